"""Write a trained run as files that other programs can load. See `export`."""

from collections.abc import Callable
from pathlib import Path

import keras
import tensorflow as tf
import yaml

from config import first_line
from evaluate.report.results import results_in_markdown
from evaluate.trained_run import TrainedRun
from models.exports import build_encoder, build_generator
from train.runs.experiment import MeasuredRun
from train.runs.folder import PACKAGES

_PRIORS = {"normal": "N(0, 1)", "uniform": "U(-sqrt 3, sqrt 3)"}
_SCALES = {True: "dynamic latent scale", False: "no latent scale (s = 1)"}
_CARD = Path(__file__).with_name("model_card.md")


def export(trained: TrainedRun, folder: Path) -> None:
    """Write generator.keras, encoder.keras, discriminator.keras, saved_model/ and README.md.

    After `import models`, `keras.saving.load_model` loads the first three, in safe mode. The
    SavedModel holds generator and encoder and needs TensorFlow alone. README.md is a model card.
    Raises OSError.
    """
    generator = build_generator(trained.networks, trained.scale)
    encoder = build_encoder(trained.networks)
    generator.save(folder / "generator.keras")
    encoder.save(folder / "encoder.keras")
    trained.networks.parts()["discriminator"].save(folder / "discriminator.keras")
    save_functions(generator, encoder, folder / "saved_model")
    (folder / "README.md").write_text(model_card(trained), encoding="utf-8")


def save_functions(generator: keras.Model, encoder: keras.Model, folder: Path) -> None:
    """Write a SavedModel with `generate(latents) -> images` and `encode(images) -> latents`.

    Raises OSError.
    """
    module = _Functions(generator, encoder)
    signatures = {"generate": module.generate, "encode": module.encode}
    try:
        tf.saved_model.save(module, str(folder), signatures)
    except tf.errors.OpError as error:  # TensorFlow calls a full disk ResourceExhaustedError
        raise OSError(first_line(error)) from error


class _Functions(tf.Module):
    """Generator and encoder as functions that a SavedModel can hold."""

    def __init__(self, generator: keras.Model, encoder: keras.Model) -> None:
        super().__init__()
        self.generator, self.encoder = generator, encoder
        self.generate, self.encode = _to_function(generator), _to_function(encoder)


def _to_function(model: keras.Model) -> Callable[[tf.Tensor], tf.Tensor]:
    argument = tf.TensorSpec(model.input_shape, name=model.inputs[0].name)
    return tf.function(model, [argument], autograph=False)


def model_card(trained: TrainedRun) -> str:
    """Markdown that says what the model is, from which data, how good, and with what limits."""
    config, recorded = trained.config, trained.record.recorded
    versions = [f"{name} {recorded[name]}" for name in PACKAGES if name in recorded]
    return _CARD.read_text(encoding="utf-8").format(
        name=f"{config.experiment.name}, {trained.name}, seed {trained.seed}",
        resolution=config.data.resolution,
        dim=config.latent.dim,
        prior=_PRIORS[config.latent.prior],
        scale=_SCALES[config.latent.dynamic_scale],
        losses=" and ".join(config.train.encoder_loss_in),
        step=trained.step,
        imported=_describe_import(recorded.get("imported", {})),
        source=config.data.source,
        results=_describe_results(trained),
        versions=", ".join(versions) or "unknown",
        commit=recorded.get("git_commit") or "unknown",
        config=yaml.safe_dump(config.model_dump(), sort_keys=False, default_flow_style=None),
    )


def _describe_import(files: dict[str, str]) -> str:
    """A paragraph about the authors' `files`, {network: file}; nothing if there are none."""
    if not files:
        return ""
    lines = "".join(f"- {part}: {file}\n" for part, file in files.items())
    return f"\nThe weights were not trained here. They were read from these files:\n\n{lines}"


def _describe_results(trained: TrainedRun) -> str:
    if not trained.folder.evaluated_rows():
        return "Nothing was measured.\n"
    label = trained.record.label
    return results_in_markdown([MeasuredRun(trained.name, label, [trained.folder], trained.config)])
