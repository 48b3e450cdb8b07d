"""The device that TensorFlow computes on. See `set_up_device`."""

import os
import resource
import sys
from collections.abc import Mapping
from typing import Any, NamedTuple

import tensorflow as tf

from config.sections import TrainConfig
from train.runtime.startup import cores

_AMPERE, _VOLTA = (8, 0), (7, 0)


class Device(NamedTuple):
    """The device in words, and the training settings with everything `auto` decided for it."""

    name: str
    train_config: TrainConfig


def set_up_device(
    train_config: TrainConfig, threads: int | None = None, recorded: Mapping[str, Any] | None = None
) -> Device:
    """Make TensorFlow use `threads` cores, by default all, and the same bits every time if asked.

    `recorded` is what a run that goes on was begun with.
    """
    resolved = resolve_auto(train_config, recorded)
    if resolved.deterministic:
        tf.config.experimental.enable_op_determinism()
    if threads and threads != cores():
        tf.config.threading.set_intra_op_parallelism_threads(threads)
        tf.config.threading.set_inter_op_parallelism_threads(threads)
    return Device(device_name(threads), resolved)


def resolve_auto(
    train_config: TrainConfig, recorded: Mapping[str, Any] | None = None
) -> TrainConfig:
    """Decide everything that is `auto`: as a run was begun (`recorded`), or by the device.

    Without anything `auto` or recorded it changes nothing.
    """
    gpus = tf.config.list_physical_devices("GPU")
    accelerators = gpus or tf.config.list_physical_devices("TPU")
    decided = {
        "precision": _choose_precision(),
        # XLA's convolutions take several times as long as TensorFlow's on CPUs.
        "jit_compile": bool(accelerators),
        "distribution": "mirrored" if len(gpus) > 1 else "none",
        "deterministic": not gpus,
    }
    choices = {key: value for key, value in decided.items() if getattr(train_config, key) == "auto"}
    for key in ("precision", "jit_compile"):
        if recorded and recorded.get(key) is not None:
            choices[key] = recorded[key]
    return train_config.model_copy(update=choices)


def _choose_precision() -> str:
    """The Keras dtype policy to train with: the narrowest that an accelerator is made for.

    On CPUs it is float32: a narrower one changes the results, so that users ask for it by name.
    """
    if tf.config.list_physical_devices("TPU"):
        return "mixed_bfloat16"
    gpus = tf.config.list_physical_devices("GPU")
    if not gpus:
        return "float32"
    details = [tf.config.experimental.get_device_details(gpu) for gpu in gpus]
    capability = min(detail.get("compute_capability", (0, 0)) for detail in details)
    if capability >= _AMPERE:
        return "mixed_bfloat16"
    return "mixed_float16" if capability >= _VOLTA else "float32"


def gpu_count() -> int:
    """The number of GPUs that TensorFlow sees."""
    return len(tf.config.list_physical_devices("GPU"))


def device_name(threads: int | None = None) -> str:
    """The device in words."""
    gpus = tf.config.list_physical_devices("GPU")
    if not gpus:
        return f"CPU, {threads or cores()} of {os.cpu_count()} cores"
    name = tf.config.experimental.get_device_details(gpus[0]).get("device_name", "GPU")
    return name if len(gpus) == 1 else f"{len(gpus)} x {name}"


def peak_memory() -> int:
    """The most bytes that this process has held so far: of the GPU's memory, or else of RAM."""
    if gpu_count():
        return tf.config.experimental.get_memory_info("GPU:0")["peak"]
    unit = 1 if sys.platform == "darwin" else 1024
    return unit * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
