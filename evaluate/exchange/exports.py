"""Write a trained run as files that other programs can load. See `export`."""

from collections.abc import Callable
from pathlib import Path

import keras
import tensorflow as tf

from config import first_line
from data.storage import save_image
from evaluate.exchange.model_card import SAMPLES, model_card
from evaluate.sheets import tile
from evaluate.trained_run import TrainedRun
from models.exports import build_encoder, build_generator
from models.operations import with_builtin_gradients

_SAMPLES = 64  # in the model card's picture


def export(trained: TrainedRun, folder: Path) -> None:
    """Write generator.keras, encoder.keras, discriminator.keras, saved_model/ and README.md.

    After `import models`, `keras.saving.load_model` loads the first three, in safe mode. The
    SavedModel holds generator and encoder and needs TensorFlow alone. README.md is a model card
    that shows samples.png. Raises OSError.
    """
    generator = build_generator(trained.networks, trained.scale)
    encoder = build_encoder(trained.networks)
    generator.save(folder / "generator.keras")
    encoder.save(folder / "encoder.keras")
    trained.networks.present().discriminator.save(folder / "discriminator.keras")
    save_functions(generator, encoder, folder / "saved_model")
    samples = trained.generate(trained.sample_latents(_SAMPLES, seed=0))
    save_image(folder / SAMPLES, tile(samples))
    (folder / "README.md").write_text(model_card(trained), encoding="utf-8")


def save_functions(generator: keras.Model, encoder: keras.Model, folder: Path) -> None:
    """Write a SavedModel with `generate(latents) -> images` and `encode(images) -> latents`.

    Raises OSError.
    """
    module = _Functions(generator, encoder)
    signatures = {"generate": module.generate, "encode": module.encode}
    try:
        with with_builtin_gradients():
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
