"""The config files and the one-line errors of wrong ones."""

import math
from pathlib import Path

import pytest
import yaml

from config import UserError, load
from config.loading import parse_yaml
from tests.conftest import SMALLEST

CONFIGS = Path(__file__).parent.parent / "configs"


def error_of(path, *overrides):
    with pytest.raises(UserError) as caught:
        load(path, overrides)
    message = str(caught.value)
    assert "\n" not in message
    return message


def test_celeba128_is_the_papers_experiment():
    """Section 4.1, and the authors' code where the text is silent."""
    config = load(CONFIGS / "celeba128.yaml")
    assert config.data.model_dump() == {
        "source": "celeba:downloads/img_align_celeba.zip",
        "resolution": 128,
        "train_size": 162770,
        "test_size": 19962,
        "split": None,
        "split_seed": 0,
        "crop": "none",
        "antialias": False,
        "flip": False,
        "on_bad_image": "error",
        "cache": "none",
        "cache_folder": "results/data",
    }
    assert config.latent.model_dump() == {
        "dim": 512,
        "prior": "normal",
        "dynamic_scale": True,
        "variance": "window",
        "variance_window": 512,
        "variance_decay": 0.999,
    }
    assert config.model.model_dump() == {
        "backbone": "dlsgan",
        "style_units": 512,
        "mapper_layers": 8,
        "gain": 2.0,
        "base_channels": 512,
        "synthesis_channels": [512, 512, 256, 128, 64],
        "discriminator_channels": [64, 128, 256, 512, 512],
    }
    assert config.train.model_dump() == {
        "method": "dlsgan",
        "from_run": None,
        "infogan_codes": 16,
        "infogan_std": "fixed",
        "batch_size": 16,
        "epochs": 50,
        "learning_rate": 0.001,
        "mapper_learning_rate_multiplier": 0.01,
        "beta_1": 0.0,
        "beta_2": 0.99,
        "weight_decay": 0.0,
        "learning_rate_decay": 0.02,
        "adversarial_loss": "non_saturating",
        "r1_weight": 10.0,
        "r1_interval": 1,
        "r2_weight": 0.0,
        "r2_interval": 1,
        "wgan_gp_weight": 0.0,
        "wgan_gp_interval": 1,
        "wgan_gp_target": 1.0,
        "drift_weight": 0.0,
        "path_length_weight": 0.0,
        "path_length_interval": 4,
        "weight_clip": None,
        "discriminator_steps": 1,
        "updates": "simultaneous",
        "loss_reduction": "sum",
        "average_decay": None,
        "encoder_loss": "squared_error",
        "encoder_weight": 1.0,
        "encoder_loss_in": ["discriminator", "generator"],
        "checkpoint_every": "10 minutes",
        "keep_checkpoints": 2,
        "log_every": 100,
        "deterministic": "auto",
        "precision": "auto",
        "jit_compile": "auto",
        "distribution": "auto",
        "connect_seconds": 300,
    }
    assert config.evaluate.model_dump() == {
        "every": 1,
        "batch_size": 16,
        "features": "inception_v3",
        "bootstrap": 20,
    }
    assert len(config.experiment.runs) == 8


@pytest.mark.parametrize("path", sorted(CONFIGS.glob("*.yaml")), ids=lambda path: path.name)
def test_every_line_of_the_embedded_configs_is_commented(path):
    load(path)
    for line in path.read_text().splitlines():
        is_section = line.endswith(":") and not line.startswith(" ")
        is_run = line.startswith("    ")
        assert not line or is_section or is_run or "#" in line, line


def test_overrides_are_yaml_values(config_file):
    config = load(
        config_file(),
        [
            "train.epochs=7",
            "train.learning_rate=1e-3",
            "data.test_size=null",
            "experiment.runs=[uniform_dls_d]",
        ],
    )
    assert config.train.epochs == 7
    assert math.isclose(config.train.learning_rate, 0.001)
    assert config.data.test_size is None
    assert list(config.experiment.runs) == ["uniform_dls_d"]


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("train.learning_rte=0.1", "train.learning_rte: unknown key; did you mean learning_rate?"),
        ("optimizer.name=adam", "optimizer: unknown key; known here: experiment, data, latent"),
        ("train.batch_size=many", "train.batch_size: should be a valid integer. Received: 'many'"),
        ("train.batch_size=2.5", "train.batch_size: should be a valid integer"),
        ("train.epochs='3'", "train.epochs: should be a valid integer. Received: '3'"),
        (
            "train.learning_rate=-0.1",
            "train.learning_rate: should be greater than 0. Received: -0.1",
        ),
        ("train.r1_weight=.nan", "train.r1_weight: should be"),
        (
            "train.batch_size=0",
            "train.batch_size: should be greater than or equal to 1. Received: 0",
        ),
        (
            "data.resolution=100",
            "data.resolution: use a power of two from 8 to 1024. Received: 100",
        ),
        ("data.resolution=2048", "data.resolution: should be less than or equal to 1024"),
        ("data.resolution=32", "model.synthesis_channels: resolution 32 takes 3 values"),
        ("data.source=ftp://x", "data.source: use digits, folder:PATH, zip:PATH, celeba:PATH"),
        ("train.encoder_loss_in=[generator]", "train.encoder_loss_in: use [discriminator] or"),
        (
            "latent.prior=cauchy",
            "latent.prior: should be 'normal' or 'uniform'. Received: 'cauchy'",
        ),
        (
            "train.adversarial_loss=least_square",
            "train.adversarial_loss: should be 'non_saturating', 'minimax', 'wasserstein', "
            "'least_squares' or 'hinge'; did you mean least_squares? Received: 'least_square'",
        ),
        ("train.wgan_gp_wieght=10", "train.wgan_gp_wieght: unknown key; did you mean wgan_gp_wei"),
        ("train.updates=alternate", "'simultaneous' or 'alternating'; did you mean alternating?"),
        ("train.average_decay=1", "train.average_decay: should be less than 1. Received: 1"),
        ("train.weight_clip=0", "train.weight_clip: should be greater than 0. Received: 0"),
        ("data.crop=center", "data.crop: is for image files, not digits. Received: center"),
        (
            "train.checkpoint_every=often",
            "train.checkpoint_every: use a number of steps or minutes, such as 500 steps or 10 "
            "minutes. Received: 'often'",
        ),
        ("experiment.seeds=[1, 1]", "experiment.seeds: each value may appear once"),
        (
            "experiment.name=../elsewhere",
            "experiment.name: use letters, digits, '.', '_' and '-'; a letter or digit comes "
            "first. Received: '../elsewhere'",
        ),
        ("experiment.name=2026", "experiment.name: takes text; a number or date needs quotes"),
        ("data.cache_folder=''", "data.cache_folder: takes text that is not empty. Received: ''"),
        ("experiment.seeds=[]", "experiment.seeds: takes one value or more. Received: []"),
        ("experiment.seeds=3", "experiment.seeds: takes a list, [VALUE, ...]. Received: 3"),
        ("train.jit_compile=maybe", "train.jit_compile: use true, false or auto. Received: 'ma"),
        ("train.deterministic=1", "train.deterministic: use true, false or auto. Received: 1"),
        ("train.x..y=1", "--set takes KEY=VALUE, such as train.epochs=3. Received: train.x..y=1"),
        ("evaluate.bootstrap=1", "evaluate.bootstrap: use 0 for no intervals, or 2 and more"),
        ("evaluate.features=resnet", "evaluate.features: use digits, inception_v3"),
        ("train.epochs", "--set takes KEY=VALUE"),
        ("train.epochs=[1", "not valid YAML"),
        ("train.epochs.more=1", "--set train.epochs.more=1: train.epochs is no section"),
    ],
)
def test_wrong_values(config_file, override, message):
    assert message in error_of(config_file(), override)


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("train.epohcs=3", "--set: train.epohcs: unknown key; did you mean epochs?"),
        ("epochs=3", "--set: epochs: unknown key; did you mean train.epochs?"),
        ("data={resolution: 16}", "--set: data.source: this key is needed"),
        ("train=3", "--set: train: takes keys with values, {KEY: VALUE}. Received: 3"),
        (
            "experiment.runs={a: {set: {latent.dmi: 3}}}",
            "--set: experiment.runs.a.set: latent.dmi: unknown key; did you mean dim?",
        ),
        (
            "data.resolution=32",
            "--set: model.synthesis_channels: resolution 32 takes 3 values, one a size from 8 to "
            "32. Received: [8, 4]",
        ),
    ],
)
def test_what_set_broke_is_not_blamed_on_the_file(config_file, override, message):
    assert error_of(config_file(), override) == message


def test_a_critic_takes_a_bound_on_its_slope(config_file):
    """Drift bounds its values at real images alone."""
    path = config_file(**{"train.adversarial_loss": "wasserstein", "train.r1_weight": 0.0})
    message = (
        f"{path}: train.adversarial_loss: wasserstein takes a bound on the critic's slope, without "
        "which its values grow without end: wgan_gp_weight, r1_weight or r2_weight above 0, or "
        "weight_clip. Received: none of them"
    )
    assert error_of(path, "train.drift_weight=0.001") == message
    for bound in ("wgan_gp_weight=10", "r1_weight=1", "r2_weight=1", "weight_clip=0.5"):
        assert load(path, [f"train.{bound}"]).train.adversarial_loss == "wasserstein"


DCGAN = "model.backbone=dcgan"


@pytest.mark.parametrize(
    ("override", "message"),
    [
        (
            "train.wgan_gp_weight=10",
            "train.wgan_gp_weight: bounds the critic's slope at each image, which has none of its "
            "own with batch normalisation: use 0, or model.discriminator_batch_norm false. "
            "Received: 10 with model.backbone dcgan",
        ),
        (
            "train.batch_size=1",
            "train.batch_size: batch normalisation compares the images of a batch, use 2 or more. "
            "Received: 1 with model.backbone dcgan",
        ),
        ("model.kernel_size=3", "model.kernel_size: should be 5 or 4. Received: 3"),
        ("model.base_channels=8", "model.base_channels: unknown key; did you mean generator_chan"),
        ("model.generator_channels=16384", "model: these sizes make about 17.9 billion weights"),
    ],
)
def test_what_dcgan_cannot_have(config_file, override, message):
    path = config_file()
    assert error_of(path, DCGAN, override).startswith(f"--set: {message}")
    off = ["generator_batch_norm", "discriminator_batch_norm"]
    if override.startswith("train."):
        load(path, [DCGAN, override, *(f"model.{key}=false" for key in off)])


def test_an_unknown_key_with_the_name_of_the_backbone(config_file):
    message = "--set: model.dlsgan: unknown key; did you mean gain?"
    assert error_of(config_file(), "model.dlsgan=1") == message


def test_a_backbone_on_the_command_line_is_in_place_of_one_that_is_no_name(tmp_path, tiny):
    path = tmp_path / "config.yaml"
    path.write_text(yaml.safe_dump(tiny({}) | {"model": {"backbone": ["dlsgan"]}}))
    assert load(path, [DCGAN]).model.backbone == "dcgan"


def test_the_file_is_blamed_for_its_own_mistakes(config_file):
    path = config_file(**{"train.epochs": "three"})
    message = f"{path}: train.epochs: should be a valid integer"
    assert message in error_of(path, "train.batch_size=2")
    message = f"{path}: train.epochs: should be a valid integer. Received: 'three' (and 1 more)"
    assert error_of(path, "train.learning_rate=2") == message


@pytest.mark.parametrize(
    "overrides",
    [
        ["model.style_units=16384", "model.mapper_layers=64"],
        ["model.base_channels=16384"],  # each below its own bound
        ["model.synthesis_channels=[8000, 4]"],
        ["latent.variance_window=1000000", "latent.dim=1024"],
    ],
)
def test_networks_that_no_machine_can_hold_are_refused(config_file, overrides):
    error = error_of(config_file(), *overrides)
    assert "model: these sizes make about " in error
    assert error.endswith("; at most 1 billion are accepted")


def test_digit_features_are_for_digits(config_file):
    path = config_file(**{"data.source": "folder:photos", "evaluate.features": "digits"})
    assert "evaluate.features: digits describes digits only" in error_of(path)


@pytest.mark.parametrize(
    ("key", "most"),
    [
        ("data.train_size", 10**9),
        ("data.test_size", 10**9),
        ("latent.dim", 16384),
        ("latent.variance_window", 10**6),
        ("model.style_units", 16384),
        ("model.mapper_layers", 64),
        ("train.batch_size", 10**6),
        ("train.epochs", 10**6),
        ("train.r1_interval", 10**6),
        ("train.keep_checkpoints", 10**6),
        ("train.connect_seconds", 10**6),
        ("evaluate.every", 10**6),
        ("evaluate.batch_size", 10**6),
        ("evaluate.bootstrap", 10**5),
    ],
)
def test_counts_have_an_upper_bound(config_file, key, most):
    path = config_file()
    section, name = key.split(".")
    assert getattr(getattr(load(path, [f"{key}={most}"]), section), name) == most
    for value in (most + 1, 10**21):
        message = f"{key}: should be less than or equal to {most}. Received: {value}"
        assert error_of(path, f"{key}={value}").endswith(message)


def test_channels_seeds_and_intervals_have_an_upper_bound(config_file):
    path = config_file(**SMALLEST)
    message = "model.base_channels: should be less than or equal to 16384. Received: 16385"
    assert message in error_of(path, "model.base_channels=16385")
    for key in ("synthesis_channels", "discriminator_channels"):
        assert f"model.{key}.0: should be less than or equal to 16384. Received: 16385" in error_of(
            path, f"model.{key}=[16385]"
        )
    many = error_of(path, f"experiment.seeds={list(range(1001))}")
    assert "experiment.seeds: takes 1000 values or fewer. Received: [0, 1" in many
    assert "train.checkpoint_every: " in error_of(path, f"train.checkpoint_every={10**9} steps")


def test_a_missing_key_and_a_missing_section(config_file):
    path = config_file()
    values = yaml.safe_load(path.read_text())
    del values["data"]["source"]
    path.write_text(yaml.safe_dump(values))
    assert "data.source: this key is needed" in error_of(path)
    del values["data"]
    path.write_text(yaml.safe_dump(values))
    assert "data: this key is needed" in error_of(path)


def test_files_that_are_no_config(tmp_path):
    assert "nowhere.yaml: cannot read the config file: no such file" in error_of(
        tmp_path / "nowhere.yaml"
    )
    assert "cannot read the config file" in error_of(tmp_path)
    broken = tmp_path / "broken.yaml"
    broken.write_text("train:\n  epochs: [1\n")
    assert "broken.yaml: line 3: not valid YAML" in error_of(broken)
    broken.write_text("just words")
    assert "a config file has sections" in error_of(broken)
    broken.write_bytes(b"\xff\xfe\x00")
    assert "cannot read the config file" in error_of(broken)
    endless = "/dev/zero: cannot read the config file: more than 1000000 characters"
    assert error_of("/dev/zero") == endless


def test_repeated_keys_are_refused_with_both_lines(tmp_path, config_file):
    text = config_file().read_text()
    last = text.count("\n") + 1
    first = text.splitlines().index("train:") + 1
    twice = tmp_path / "twice.yaml"
    twice.write_text(text + "train:\n  epochs: 3\n")
    expected = f"twice.yaml: train: this key is there twice, on lines {first} and {last}"
    assert error_of(twice) == f"{tmp_path}/{expected}"
    twice.write_text("train:\n  epochs: 3\n  batch_size: 4\n  epochs: 5\n")
    assert "epochs: this key is there twice, on lines 2 and 4" in error_of(twice)
    assert "epochs: this key is there twice" in error_of(
        config_file(), "train={epochs: 1, epochs: 2}"
    )


def expand(levels):
    """YAML in which each level has nine aliases of the one below."""
    lines = ["level_0: &level_0 [x, x, x, x, x, x, x, x, x]\n"]
    for number in range(1, levels):
        aliases = ", ".join([f"*level_{number - 1}"] * 9)
        lines.append(f"level_{number}: &level_{number} [{aliases}]\n")
    return "".join(lines)


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("[" * 5000, "line 1: not valid YAML: more than 50 values inside each other"),
        ("a: 1\nb: " + "{c: " * 5000 + "}" * 5000,
         "line 2: not valid YAML: more than 50 values inside each other"),
        (expand(7), "line 6: not valid YAML: more than 100000 values, with aliases written out"),
        ("a: &a\n  - *a\n",
         "line 2: not valid YAML: more than 100000 values, with aliases written out"),
        ("k" * 200 + ": 1\n" + "k" * 200 + ": 2",
         f"{'k' * 100}...: this key is there twice, on lines 1 and 2"),
        ("a: b\nc: 010",
         "line 2: not valid YAML: a whole number is decimal, without leading zeros: 010"),
        ("1:30", "line 1: not valid YAML: a whole number is decimal, without leading zeros: 1:30"),
        ("a: 0x" + "1" * 200, "line 1: not valid YAML: a whole number is decimal, without leading "
         f"zeros: 0x{'1' * 98}..."),
        (r'a: "b\0"', r"line 1: not valid YAML: a text with \0 or half a character"),
        (r'a: "\ud800"', r"line 1: not valid YAML: a text with \0 or half a character"),
    ],
)  # fmt: skip
def test_yaml_that_is_refused(text, fault):
    with pytest.raises(UserError) as caught:
        parse_yaml(text, "file.yaml")
    assert str(caught.value) == f"file.yaml: {fault}"


def test_aliases_can_be_used():
    text = "base: &base {x: 1}\nsame: *base\nmerged: {<<: *base, y: 2}\n"
    expected = {"base": {"x": 1}, "same": {"x": 1}, "merged": {"x": 1, "y": 2}}
    assert parse_yaml(text, "file.yaml") == expected


def test_what_is_quoted_is_cut(config_file):
    path = config_file()
    values = yaml.safe_load(path.read_text())
    nested = yaml.safe_load(expand(4))["level_3"]
    for section, key, value, message in (
        (
            "latent",
            "dim",
            nested,
            "latent.dim: should be a valid integer. Received: [[[['x', 'x', ",
        ),
        ("latent", "dim", "x" * 10_000, "latent.dim: should be a valid integer. Received: 'xxxxx"),
        ("latent", "k" * 10_000, 1, f"latent.{'k' * 93}...: unknown key; known here: dim, prior"),
        ("latent", "two\nlines", 1, r"latent.two\nlines: unknown key; known here: dim, prior"),
        ("experiment", "runs", nested, "experiment.runs: a list takes normal_dls_dg, normal_dls_d"),
    ):
        changed = {**values, section: {**values[section], key: value}}
        path.write_text(yaml.safe_dump(changed))
        error = error_of(path)
        assert message in error
        assert len(error) < 600
