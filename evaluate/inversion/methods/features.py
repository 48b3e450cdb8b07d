"""The features that optimisation compares beside pixels, or in their place. See `find_features`."""

from collections.abc import Callable

import keras
import tensorflow as tf

from config import UserError
from evaluate.inversion.methods.choices import Features
from evaluate.measuring import Measuring
from evaluate.trained_run import TrainedRun
from models.joint import encoder_of
from models.networks import Networks


def find_features(
    trained: TrainedRun, networks: Networks, choice: Features
) -> tuple[Callable[[tf.Tensor], tf.Tensor], str]:
    """(images (n, height, width, 3) to features (n, width), what they are in words).

    "discriminator": the flattened last feature maps of the network that has the encoder;
    `networks` are the run's present ones. "evaluate": the features of `evaluate.features`. Raises
    UserError if these cannot be had.
    """
    if choice == "discriminator":
        return body(networks), "the discriminator's own, before its heads"
    found = Measuring(trained.folder.results_folder).load_features(trained.config)
    if found is None:
        raise UserError(
            f"{trained.folder.path}: --features evaluate takes a run with evaluate.features. "
            "Received: none"
        )
    # The function keeps the network, to which TensorFlow's own refers weakly.
    return lambda images: found.extract(images), f"{found.label}, which FID judges by too"


def body(networks: Networks) -> keras.Model:
    """The network with the encoder, from images to its last feature maps, flattened (n, width).

    BiGAN's and ALI's discriminator contains it as a network of its own.
    """
    network, tensor = networks.discriminator, networks.discriminator.outputs[1]
    if isinstance(tensor._keras_history.operation, keras.Model):
        network = encoder_of(networks)
        tensor = network.outputs[0]
    while not isinstance(tensor._keras_history.operation, keras.layers.Flatten):
        history = tensor._keras_history
        tensor = history.operation._inbound_nodes[history.node_index].input_tensors[0]
    return keras.Model(network.inputs, tensor)
