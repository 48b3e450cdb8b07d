"""The training step of one run and its parts, measured in this process. See `measure_step`."""

import platform
import re
from pathlib import Path

import tensorflow as tf

from benchmarks.measurements import StepMeasurement
from benchmarks.measurements.ceiling import measure_ceiling
from benchmarks.measurements.compiled import compiled_seconds
from benchmarks.runs import vary_run
from config import Config, resolve_run
from train.flops import step_flops
from train.runtime.device import peak_memory, set_up_device
from train.step import Trainer
from train.timing import random_batches, time_step

_LAZY_INTERVAL = 16
_GIGA = 1e9
_CPU_INFO = Path("/proc/cpuinfo")


def measure_step(config: Config, run: str, calls: int) -> StepMeasurement:
    """Measure the training step of a run; the time of a step is the median of `calls` calls."""
    device = set_up_device(resolve_run(config, run).train)
    trainer = Trainer(config, run)
    seconds = time_step(trainer, calls).mean
    memory = peak_memory()
    parts = measure_parts(trainer)
    parts["backward, by difference"] = seconds - sum(parts.values())
    rate = trainer.images_per_step * step_flops(trainer) / seconds
    ceiling = measure_ceiling(trainer)
    quantities = {
        "seconds a step": f"{seconds:.3g}",
        "images a second": f"{trainer.images_per_step / seconds:.3g}",
        "GFLOP/s": f"{rate / _GIGA:.0f}",
        "ceiling, GFLOP/s": f"{ceiling / _GIGA:.0f}",
        "share of the ceiling": f"{rate / ceiling:.0%}",
        "peak memory, GB": f"{memory / _GIGA:.2f}",
    }
    quantities |= {
        f"{name}, share of a step": f"{part / seconds:.1%}" for name, part in parts.items()
    }
    share = measure_lazy_share(config, run, calls)
    quantities[f"a step with r1_interval {_LAZY_INTERVAL}, share"] = f"{share:.0%}"
    return StepMeasurement(describe(device.name, trainer), quantities)


def measure_parts(trainer: Trainer) -> dict[str, float]:
    """{part: seconds} of the step's parts, each compiled alone."""
    real_images = random_batches(trainer)[0]
    latents = trainer.sample_latents(trainer.batch_size, trainer.random)
    scale = trainer.scale()
    fake_images = trainer.networks.generate(latents, scale)
    fake_adversarial = trainer.networks.discriminate(fake_images)[0]
    variables = [v for group in trainer.parameter_groups for v in group.variables]
    gradients = [tf.zeros(variable.shape) for variable in variables]

    def update_weights() -> tf.Tensor:
        trainer.optimizer.apply(gradients)
        return tf.identity(trainer.optimizer.iterations.value)

    parts = {
        "generator, forward": lambda: trainer.networks.generate(latents, scale),
        "discriminator of generated images, forward": lambda: trainer.networks.discriminate(
            fake_images
        ),
        "discriminator of real images, with the gradient for R1": lambda: (
            trainer.penaliser.discriminate_real(
                real_images, fake_adversarial, trainer.train_config.r1_weight
            )
        ),
        "Adam": update_weights,
    }
    jit_compile = trainer.train_config.jit_compile
    return {name: compiled_seconds(part, jit_compile) for name, part in parts.items()}


def measure_lazy_share(config: Config, run: str, calls: int) -> float:
    """The mean time of a step with lazy R1, as a share of the time of a step that has R1."""
    lazy_config = vary_run(config, run, {"lazy": {"train.r1_interval": _LAZY_INTERVAL}})
    lazy = time_step(Trainer(lazy_config, "lazy"), calls)
    return lazy.mean / lazy.with_r1


def describe(device: str, trainer: Trainer) -> str:
    """The device, the machine, and the batches of a trainer, in one line."""
    height, width, _ = trainer.networks.image_shape
    return (
        f"{device} ({processor()}), TensorFlow {tf.__version__}, batches of "
        f"{trainer.batch_size} at {height}x{width}"
    )


def processor() -> str:
    """The name of the processor; Linux alone tells the whole name."""
    text = _CPU_INFO.read_text(encoding="utf-8") if _CPU_INFO.exists() else ""
    found = re.search(r"^model name\s*: (.*)$", text, re.MULTILINE)
    return found[1] if found else platform.processor()
