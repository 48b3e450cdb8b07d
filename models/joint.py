"""The networks of BiGAN and ALI: an encoder, and a discriminator of pairs (x, z).

Both stand in one Keras model, the `discriminator` of a `Networks`: D(x, E(x)) and E(x), with the
inputs and outputs that it has elsewhere. See `join_encoder`.
"""

import keras
from keras import KerasTensor

from models.networks import Networks, shrink_heads

_MOST_UNITS = 512
_ENCODER, _PAIRS = "encoder", "pairs"


def join_encoder(networks: Networks, other: keras.Model) -> Networks:
    """The same networks with a discriminator of pairs, and an encoder that shares nothing with it.

    The encoder is the discriminator that `networks` has, without its adversarial value: `other`, a
    second one of the same form, becomes D's part that sees the image. Its inputs are images (batch,
    height, width, 3), its outputs adversarial values (batch,) of (x, E(x)), recovered latents E(x)
    (batch, d_z) and log variances if the backbone's discriminator has them. These two begin near
    0, as with the small weights of the authors' codes; E's latents would be enormous otherwise.
    """
    alone = networks.discriminator
    shrink_heads(alone, "latent", "log_variance")
    encoder = keras.Model(alone.input, alone.outputs[1:], name=_ENCODER)
    pairs = _build_pairs(other)
    images = keras.Input(networks.image_shape, name="images")
    latents, *log_variances = keras.tree.flatten(encoder(images))
    outputs = [pairs([images, latents]), latents, *log_variances]
    return networks._replace(discriminator=keras.Model(images, outputs, name="discriminator"))


def encoder_of(networks: Networks) -> keras.Model:
    """E of `join_encoder`: from images to recovered latents, or to [these, log variances]."""
    return networks.discriminator.get_layer(_ENCODER)


def pairs_of(networks: Networks) -> keras.Model:
    """D of `join_encoder`: from [images, latents] to adversarial values (batch,)."""
    return networks.discriminator.get_layer(_PAIRS)


def _build_pairs(discriminator: keras.Model) -> keras.Model:
    """D(x, z), with the image layers of a discriminator, up to those of its recovered latents.

    No minibatch standard deviation is among them. z goes through two dense layers, and two more
    take it together with the image's features. They are dense layers of the kind that the backbone
    has for latents, but leaky.
    """
    head = discriminator.get_layer("latent")
    features = head.input  # (batch, n)
    units = min(features.shape[-1], _MOST_UNITS)

    def dense(inputs: KerasTensor, units: int, name: str, activation: str) -> KerasTensor:
        changes = {"units": units, "name": name, "activation": activation, "use_bias": True}
        return type(head).from_config(head.get_config() | changes)(inputs)

    latents = hidden = keras.Input(head.output.shape[1:], name="latents")
    for number in range(2):
        hidden = dense(hidden, units, f"latent_{number}", "leaky_relu")
    joint = keras.layers.Concatenate(dtype="float32", name="joint")([features, hidden])
    for number in range(2):
        joint = dense(joint, units, f"joint_{number}", "leaky_relu")
    values = dense(joint, 1, "adversarial", "linear")  # (batch, 1)
    values = keras.layers.Reshape((), dtype="float32", name="adversarial_values")(values)
    return keras.Model([discriminator.input, latents], values, name=_PAIRS)
