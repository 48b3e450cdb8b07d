"""Functions that the tests of distribution run in processes of their own."""

import json
import os
import tempfile
from signal import SIGKILL

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
import tensorflow as tf

from config import Config
from data.loading import open_images
from evaluate.evaluator import Evaluator
from models.reference.weights import load_arrays, to_arrays
from tests.conftest import run_in
from tests.test_evaluator import PixelFeatures
from tests.test_golden import RECORDED, configure, real_images, with_prefix
from train.clock import Clock
from train.losses import ADVERSARIAL_LOSSES
from train.runtime.distribution import open_strategy
from train.step import Trainer

# By method, the recorded state to begin with. In its three steps no activation lies within a
# rounding error of the kink of leaky ReLU, where gradients jump.
METHODS = {
    "normal_dls_d": "normal_dls_dg",
    "normal_mse_dg": "normal_dls_dg",
    "uniform_dls_dg": "uniform_mse_d",
    "uniform_mse_d": "uniform_mse_d",
}
LOSSES = ("encoder_loss", "discriminator_loss", "generator_loss", "r1_penalty")


def open_replicas(distribution, count=1, tf_config=None):
    """The strategy of a new process: mirrored takes `count` logical CPUs."""
    if tf_config:
        os.environ["TF_CONFIG"] = json.dumps(tf_config)
    if count > 1:
        devices = [tf.config.LogicalDeviceConfiguration()] * count
        cpu = tf.config.list_physical_devices("CPU")[0]
        tf.config.set_logical_device_configuration(cpu, devices)
    return open_strategy(distribution)


def take_golden_steps(strategy):
    """{method: (losses (3, 4), variance window, weights by name)} of the three recorded steps."""
    tf.config.run_functions_eagerly(True)  # to trace them would take longer
    results = {}
    for method, recorded in METHODS.items():
        arrays = dict(np.load(RECORDED / f"{recorded}.npz"))
        with strategy.scope():
            trainer = Trainer(configure(json.loads(str(arrays["config"]))), method)
        load_arrays(trainer.networks, with_prefix(arrays, "weights/"))
        trainer.variance_window.assign(arrays["variance_window"])
        results[method] = _take_steps(trainer, arrays)
    tf.config.run_functions_eagerly(False)
    return results


def _take_steps(trainer, arrays):
    losses = []
    for step in range(3):
        images = trainer.processes.part(real_images(arrays, step))
        statistics = trainer.train_step(images, arrays["latents"][step])
        losses.append([float(statistics[name]) for name in LOSSES])
    return np.array(losses), trainer.variance_window.numpy(), to_arrays(trainer.networks)


def take_steps_of_losses(config, strategy):
    """{loss: statistics of two steps} of every adversarial loss with penalties and averages."""
    tf.config.run_functions_eagerly(True)
    changes = {"updates": "alternating", "discriminator_steps": 2, "average_decay": 0.9}
    changes |= {"wgan_gp_weight": 1.0, "wgan_gp_interval": 2, "drift_weight": 0.001}
    images = np.random.default_rng(0).uniform(-1, 1, (8, 8, 8, 3)).astype(np.float32)
    results = {}
    for loss in ADVERSARIAL_LOSSES:
        values = config.model_dump()
        values["train"] |= changes | {"adversarial_loss": loss}
        with strategy.scope():
            trainer = Trainer(Config.model_validate(values), "normal_dls_dg")
        rows = [trainer.train_step(images[trainer.positions()]) for _ in range(2)]
        results[loss] = [{name: float(value) for name, value in row.items()} for row in rows]
        average = trainer.averages.networks.mapper.get_layer("dense_0").kernel
        results[loss].append({"average": float(tf.norm(average))})
    tf.config.run_functions_eagerly(False)
    return results


def losses_of(config, *arguments):
    return take_steps_of_losses(config, open_replicas(*arguments))


def take_growing_steps(config, strategy):
    """The losses of six steps, in which networks grow from the first size to the second."""
    with strategy.scope():
        trainer = Trainer(config, "normal_dls_dg")
    images = np.random.default_rng(0).uniform(-1, 1, (6, 4, 8, 8, 3)).astype(np.float32)
    statistics = trainer.train_steps(images[:, trainer.positions()])
    return {loss: statistics[loss].numpy().tolist() for loss in LOSSES}


def growing_steps_of(config, *arguments):
    return take_growing_steps(config, open_replicas(*arguments))


def take_averaging_steps(config, strategy):
    """(statistics of two steps, moving averages after them, whether XLA compiles a step)."""
    tf.config.run_functions_eagerly(True)
    images = np.random.default_rng(0).uniform(-1, 1, (4, 16, 16, 3)).astype(np.float32)
    with strategy.scope():
        trainer = Trainer(config, "normal_dls_dg")
    rows = [trainer.train_step(images[trainer.positions()]) for _ in range(2)]
    tf.config.run_functions_eagerly(False)
    moving = [
        [replica.numpy() for replica in strategy.experimental_local_results(variable.value)]
        for part in trainer.networks.parts().values()
        for variable in part.non_trainable_variables
    ]
    rows = [{name: float(value) for name, value in row.items()} for row in rows]
    return rows, moving, trainer._differentiate != trainer.differentiate


def averaging_steps_of(config, *arguments):
    return take_averaging_steps(config, open_replicas(*arguments))


def answer(answers, function, *arguments):
    """The main function of a process: puts into a queue what `function` returns or raises."""
    try:
        result = function(*arguments)
    except Exception as error:
        result = f"{type(error).__name__}: {error}"
    answers.put(result)
    answers.close()
    answers.join_thread()
    os._exit(0)  # not to wait for processes that are gone


def steps_of(*arguments):
    return take_golden_steps(open_replicas(*arguments))


def measure_on(config, strategy):
    """(row, values of each image) of networks with fresh weights, untraced."""
    tf.config.run_functions_eagerly(True)
    with strategy.scope():
        trainer = Trainer(config, "normal_dls_dg")
    window = np.linspace(0.1, 1.0, config.latent.dim) + np.zeros((5, 1))
    trainer.variance_window.assign(window.astype(np.float32))
    images = open_images(config.data, "test")
    cache = tempfile.mkdtemp()
    evaluator = Evaluator(config, trainer, trainer.processes, images, PixelFeatures(), cache)
    measured = evaluator.measure(epoch=1)
    tf.config.run_functions_eagerly(False)
    return measured


def measured_by(config, *arguments):
    return measure_on(config, open_replicas(*arguments))


def train(config, folder):
    """Train a run; returns its rows."""
    return run_in(config, folder).rows()


def train_in_cluster(config, folder, tf_config, killed_after=None):
    """Train a run as one of several processes, which is killed after the step `killed_after`."""
    os.environ["TF_CONFIG"] = json.dumps(tf_config)
    original = Clock.steps_at_once

    def steps_at_once(self, step, steps):
        if step == killed_after:
            os.kill(os.getpid(), SIGKILL)
        return original(self, step, steps)

    Clock.steps_at_once = steps_at_once
    return train(config, folder)
