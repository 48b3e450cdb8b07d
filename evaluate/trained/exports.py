"""A trained run as files that others can load. See `export`."""

from pathlib import Path

import tensorflow as tf
import yaml

from evaluate.results import results_in_markdown
from models.exports import build_encoder, build_generator
from train.device import first_line
from train.run_folder import PACKAGES

_PRIORS = {"normal": "N(0, 1)", "uniform": "U(-sqrt 3, sqrt 3)"}
_SCALES = {True: "dynamic latent scale", False: "no latent scale (s = 1)"}
_LOSSES = {True: "discriminator and generator", False: "the discriminator only"}
_CARD = Path(__file__).with_name("model_card.md")


def export(trained, folder):
    """Write generator.keras, encoder.keras, discriminator.keras, saved_model/ and README.md.

    The first three are loaded by `keras.saving.load_model` after `import models`, in safe mode. The
    SavedModel of generator and encoder needs TensorFlow alone. README.md is a model card.
    """
    keras_models = {
        "generator": build_generator(trained.networks, trained.scale),
        "encoder": build_encoder(trained.networks),
        "discriminator": trained.networks.discriminator,
    }
    for name, model in keras_models.items():
        model.save(folder / f"{name}.keras")
    save_functions(keras_models["generator"], keras_models["encoder"], folder / "saved_model")
    (folder / "README.md").write_text(model_card(trained), encoding="utf-8")


def save_functions(generator, encoder, folder):
    """Write a SavedModel with `generate(latents) -> images` and `encode(images) -> latents`.

    Raises OSError.
    """
    module = tf.Module()
    module.generator, module.encoder = generator, encoder
    for name, model in (("generate", generator), ("encode", encoder)):
        argument = tf.TensorSpec(model.input_shape, name=model.inputs[0].name)
        setattr(module, name, tf.function(model, [argument], autograph=False))
    signatures = {name: getattr(module, name) for name in ("generate", "encode")}
    try:
        tf.saved_model.save(module, str(folder), signatures)
    except tf.errors.OpError as error:  # a full disk is ResourceExhaustedError, as is no memory
        raise OSError(first_line(error)) from error


def model_card(trained):
    """What the model is, of which data, how good and with what limits: Markdown."""
    config, recorded = trained.config, trained.folder.recorded()
    results = "Nothing was measured.\n"
    if trained.folder.evaluated_rows():
        results = results_in_markdown({trained.name: [trained.folder]})
    versions = [f"{name} {recorded[name]}" for name in PACKAGES if name in recorded]
    imported = "".join(f"- {part}: {file}\n" for part, file in recorded.get("imported", {}).items())
    if imported:
        imported = f"\nThe weights were not trained here but read from\n\n{imported}"
    return _CARD.read_text(encoding="utf-8").format(
        name=f"{config.experiment.name}, {trained.name}, seed {trained.seed}",
        resolution=config.data.resolution,
        dim=config.latent.dim,
        prior=_PRIORS[trained.run.prior],
        scale=_SCALES[trained.run.dynamic_scale],
        losses=_LOSSES[trained.run.encoder_loss_in_generator],
        step=trained.step,
        imported=imported,
        source=config.data.source,
        results=results,
        versions=", ".join(versions) or "unknown",
        commit=recorded.get("git_commit") or "unknown",
        config=yaml.safe_dump(config.model_dump(), sort_keys=False, default_flow_style=None),
    )
