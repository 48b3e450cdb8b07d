"""The runs of an experiment: the paper's by name, and one's own with overrides."""

import pytest
import yaml

from config import PAPER_RUNS, Config, UserError, load, resolve_run
from config.loading import override_run, to_yaml
from config.runs import resolve_runs
from train.experiment.jobs import list_jobs, make_job, shared_distribution

OWN = {
    "wide": {"label": "64 channels", "set": {"model.base_channels": 64}},
    "normal_dls_dg": None,
    "flat": {"set": {"latent.dynamic_scale": False, "train.encoder_loss_in": ["discriminator"]}},
}


def load_runs(tmp_path, tiny, runs):
    path = tmp_path / "runs.yaml"
    path.write_text(to_yaml(tiny({"experiment.runs": runs})))
    return load(path)


def test_the_papers_names_are_presets():
    assert len(PAPER_RUNS) == 8
    assert PAPER_RUNS["normal_dls_dg"].label == "DLS, DG (normal)"
    assert PAPER_RUNS["uniform_mse_d"].label == "No DLS, D (uniform)"


@pytest.mark.parametrize(
    ("run", "expected"),
    [
        ("normal_dls_dg", ("normal", True, ["discriminator", "generator"])),
        ("uniform_mse_d", ("uniform", False, ["discriminator"])),
        ("uniform_dls_d", ("uniform", True, ["discriminator"])),
        ("normal_mse_dg", ("normal", False, ["discriminator", "generator"])),
    ],
)
def test_a_paper_run_sets_three_keys_and_no_other(make_config, run, expected):
    config = make_config(**{"latent.prior": "uniform", "latent.dynamic_scale": False})
    resolved = resolve_run(config, run)
    keys = resolved.latent.prior, resolved.latent.dynamic_scale, resolved.train.encoder_loss_in
    assert keys == expected
    without = {"latent": {"prior", "dynamic_scale"}, "train": {"encoder_loss_in"}}
    assert resolved.model_dump(exclude=without) == config.model_dump(exclude=without)
    assert resolve_run(resolved, run) == resolved


def test_own_runs_keep_their_order_labels_and_overrides(tmp_path, tiny):
    config = load_runs(tmp_path, tiny, OWN)
    labels = {name: run.label for name, run in config.experiment.runs.items()}
    assert labels == {"wide": "64 channels", "normal_dls_dg": "DLS, DG (normal)", "flat": "flat"}
    assert list(labels) == list(OWN)
    resolved = resolve_runs(config)
    assert list(resolved) == list(OWN)
    assert resolved["wide"].model.base_channels == 64
    assert resolved["flat"].model.base_channels == config.model.base_channels == 8
    assert resolved["flat"].train.encoder_loss_in == ["discriminator"]
    assert not resolved["flat"].latent.dynamic_scale


def test_the_dump_of_a_config_is_a_config(tmp_path, tiny):
    for runs in (OWN, ["uniform_dls_d", "normal_dls_d"]):
        config = load_runs(tmp_path, tiny, runs)
        dumped = config.model_dump()
        assert Config.model_validate(dumped) == config
        names = dumped["experiment"]["runs"]
        assert list(names) == list(runs)
        assert type(names) is type(runs)


def set_of(name, **keys):
    return {name: {"label": name, "set": {k.replace("__", "."): v for k, v in keys.items()}}}


@pytest.mark.parametrize(
    ("runs", "message"),
    [
        (set_of("a", model__base_chanels=3), "experiment.runs.a.set: model.base_chanels: unknown "),
        (set_of("a", latent__dim=0), "experiment.runs.a.set: latent.dim: should be greater than"),
        (set_of("a", latent__dim="six"), "experiment.runs.a.set: latent.dim: should be a valid"),
        (set_of("a", experiment__name="b"), "a run may change any key but experiment.*"),
        (set_of("a", experiment__seeds=[1]), "a run may change any key but experiment.*"),
        (set_of("a", latent={"dim": 5}), "latent: name one key of a section, such as latent.dim"),
        (set_of("a", latent__dim__more=5), "experiment.runs.a.set: latent.dim is no section"),
        (set_of("a", latent__dim=5) | set_of("b", latent__dim=5), "runs: b equals a; each run"),
        (set_of("a") | {"normal_dls_dg": None}, "runs: normal_dls_dg equals a; each run"),
        (
            {name: {"label": "x", "set": {"latent.dim": d}} for name, d in (("a", 3), ("b", 4))},
            "experiment.runs: 2 runs have the label 'x'",
        ),
        (set_of("../a", latent__dim=5), "a run is named as its folder"),
        (set_of("figures", latent__dim=5), "a run is named as its folder"),
        ({"a": {"label": "_x", "set": {"latent.dim": 5}}}, "a label is one line of text"),
        ({"a": {"label": "two\nlines"}}, "a label is one line of text"),
        ({"a": {"labl": "x"}}, "experiment.runs.a.labl: unknown key; did you mean label?"),
        ({"a": 5}, "experiment.runs.a: takes keys with values, {KEY: VALUE}. Received: 5"),
        ({"normal_dls_dg": {"label": "x"}}, "normal_dls_dg is the paper's: leave it empty, or"),
        (["normal_dsl_d"], "a list takes normal_dls_dg, normal_dls_d"),
        (["normal_dls_d", "normal_dls_d"], "experiment.runs: each value may appear once"),
        ([], "experiment.runs: takes one run or more"),
        ({}, "experiment.runs: takes one run or more"),
        (set_of("report.html", latent__dim=5), "a run is named as its folder"),
        ({"a": {"set": {" experiment.seeds": [7]}}}, "a run may change any key but experiment.*"),
    ],
)
def test_wrong_runs(tmp_path, tiny, runs, message):
    with pytest.raises(UserError) as caught:
        load_runs(tmp_path, tiny, runs)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_an_unknown_run(make_config):
    with pytest.raises(UserError, match=r"unknown run: use one of normal_dls_dg, .*: dls"):
        resolve_run(make_config(), "dls")


def test_multi_worker_is_for_all_runs_or_none(tmp_path, tiny):
    cluster = {"set": {"train.distribution": "multi_worker", "latent.dim": 5}}
    config = load_runs(tmp_path, tiny, {"a": cluster, "normal_dls_dg": None})
    with pytest.raises(UserError, match="multi_worker is for all runs of an experiment or none"):
        shared_distribution(list_jobs(config, tmp_path))
    assert shared_distribution([make_job(config, "a", 0, tmp_path)]) == "multi_worker"


def test_texts_that_look_like_numbers_survive_a_run_folder(tmp_path, tiny):
    runs = {"1e-4": {"label": "1e-3", "set": {"latent.dim": 5}}}
    config = load_runs(tmp_path, tiny, runs)
    folder = make_job(config, "1e-4", 0, tmp_path).folder
    folder.create()
    folder.write_config(resolve_run(config, "1e-4"), "1e-4", 0, "cpu")
    record = folder.read()
    assert (record.run, record.label, record.config.latent.dim) == ("1e-4", "1e-3", 5)


def test_set_of_a_key_that_runs_set(tmp_path, tiny):
    path = tmp_path / "runs.yaml"
    path.write_text(yaml.safe_dump(tiny({"experiment.runs": OWN}), sort_keys=False))
    with pytest.warns(UserWarning, match=r"--set model.base_channels: wide keep the value of"):
        assert load(path, ["model.base_channels=12"]).model.base_channels == 12
    path.write_text(yaml.safe_dump(tiny({"experiment.runs": ["normal_dls_d", "normal_mse_d"]})))
    with pytest.raises(UserError, match=r"--set latent.prior: every run sets this key itself"):
        load(path, ["latent.prior=uniform"])


def test_set_of_a_key_that_runs_drop_with_the_backbone(tmp_path, tiny):
    path = tmp_path / "runs.yaml"
    later = {"label": "later", "set": {"model.backbone": "dlsgan_later"}}
    other = {"label": "other", "set": {"model.backbone": "dcgan"}}
    path.write_text(yaml.safe_dump(tiny({"experiment.runs": {"later": later, "other": other}})))
    message = (
        "^--set model.gain: other keep the value of experiment.runs, which sets this key or "
        "model.backbone$"
    )
    with pytest.warns(UserWarning, match=message):
        load(path, ["model.gain=1.0"])
    path.write_text(yaml.safe_dump(tiny({"experiment.runs": {"other": other}})))
    with pytest.raises(UserError) as caught:
        load(path, ["model.gain=1.0"])
    assert str(caught.value) == (
        "--set model.gain: every run sets this key or model.backbone itself; change experiment.runs"
    )


def test_overrides_of_one_run_win_over_what_it_sets_itself(make_config):
    runs = {"long": {"set": {"train.epochs": 24, "latent.dim": 5}}, "normal_dls_dg": None}
    config = resolve_run(make_config(**{"experiment.runs": runs}), "long")
    assert override_run(config, "long", []) == config
    longer = override_run(config, "long", ["train.epochs=36"])
    assert (longer.train.epochs, longer.latent.dim) == (36, 5)
    assert resolve_run(longer, "long") == longer
    paper = resolve_run(config, "normal_dls_dg")
    with pytest.raises(UserError, match=r"^--set latent\.prior: normal_dls_dg sets this key"):
        override_run(paper, "normal_dls_dg", ["latent.prior=uniform"])
    with pytest.raises(UserError, match=r"^--set: train\.epohcs: unknown key; did you mean epochs"):
        override_run(paper, "normal_dls_dg", ["train.epohcs=3"])
    with pytest.raises(UserError, match=r"^--set: experiment: takes keys with values"):
        override_run(paper, "normal_dls_dg", ["experiment=5"])
