"""The training step: its time, its memory, and its share of what convolutions alone can do.

    python -m benchmarks.step [CONFIG] [--precision float32 mixed_bfloat16] [--set KEY=VALUE]...

The ceiling is measured in the same process: a bare convolution, forward and both gradients, of the
same dtype at each shape that the step has, weighted by what the step computes of each. It is one
where a convolution takes milliseconds; of small networks it is that of calling TensorFlow. Images
are random. Each precision has a process of its own, for its peak memory.
"""

import argparse
import multiprocessing
import os
import platform
import re
from functools import partial
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import config
from train.device import device_name, import_tensorflow, peak_memory, set_up_device, settle

_DTYPES = {"float32": "float32", "mixed_bfloat16": "bfloat16", "mixed_float16": "float16"}
_LAZY = 16
_GIGA = 1e9


def seconds_of(tf, function, options):
    """Of a function without arguments that returns tensors, compiled."""
    from train.timing import median_seconds

    compiled = tf.function(function, autograph=False, **options)

    def call():
        for tensor in tf.nest.flatten(compiled()):
            tensor.numpy()

    call()
    return median_seconds(call)


def measure_convolution(tf, convolution, batch_size, dtype, options):
    """FLOP/s of a bare convolution, forward and both gradients.

    Of TensorFlow's own, or the project's (`models.layers.convolve`) where that is faster.
    """
    from models.layers import convolve

    size, kernel_size = convolution.input_size, convolution.kernel_size
    inputs = tf.cast(tf.random.normal((batch_size, size, size, convolution.inputs)), dtype)
    ends = (convolution.inputs, convolution.outputs)
    output_shape = (batch_size, *(convolution.output_size,) * 2, convolution.outputs)
    upstream = tf.cast(tf.random.normal(output_shape), dtype)
    if convolution.output_size > size:
        ends = ends[::-1]
        kinds = [lambda x, k: tf.nn.conv2d_transpose(x, k, output_shape, 2)]
    elif convolution.output_size < size:
        kinds = [lambda x, k: tf.nn.conv2d(x, k, 2, "SAME")]
    else:
        kinds = [lambda x, k: tf.nn.conv2d(x, k, 1, "SAME"), convolve]
    kernel = tf.cast(tf.random.normal((kernel_size, kernel_size, *ends)), dtype)

    def forward_and_backward(convolve):
        outputs = convolve(inputs, kernel)
        gradients = tf.gradients(outputs, [inputs, kernel], upstream)
        # Of each a number: copying them out is no part of it.
        return [tf.reshape(tensor, [-1])[0] for tensor in (outputs, *gradients)]

    seconds = min(seconds_of(tf, partial(forward_and_backward, kind), options) for kind in kinds)
    return 3 * batch_size * convolution.flops / seconds


def measure_ceiling(tf, networks, settings, dtype, options):
    """FLOP/s of the step's 3x3 convolutions alone."""
    from models import flops

    passes = {
        "synthesis": flops.GENERATOR_PASSES,
        "discriminator": flops.discriminator_passes(settings.train),
    }
    work, seconds, rates = 0, 0.0, {}
    for name, count in passes.items():
        for convolution in flops.convolutions(getattr(networks, name)):
            if convolution.kernel_size == 1:
                continue
            if convolution not in rates:
                rates[convolution] = measure_convolution(
                    tf, convolution, settings.train.batch_size, dtype, options
                )
            work += count * convolution.flops
            seconds += count * convolution.flops / rates[convolution]
    return work / seconds


def measure_parts(tf, trainer, settings, options):
    """{part: seconds} of the step's parts, each compiled alone."""
    from train.timing import random_batches

    real_images = random_batches(settings)[0]
    latents = trainer.sample_latents(settings.train.batch_size)
    scale = trainer.scale()
    variables = [v for network in trainer.networks for v in network.trainable_variables]
    gradients = [tf.zeros(variable.shape) for variable in variables]
    fake_images = trainer.networks.generate(latents, scale)

    def update():
        trainer.optimizer.apply(gradients)
        return trainer.optimizer.iterations.value + 0

    parts = {
        "generator, forward": lambda: trainer.networks.generate(latents, scale),
        "discriminator of generated images, forward": lambda: trainer.networks.discriminator(
            fake_images
        ),
        "discriminator of real images, with the gradient for R1": lambda: trainer.discriminate_real(
            real_images
        ),
        "Adam": update,
    }
    return {name: seconds_of(tf, part, options) for name, part in parts.items()}


def measure(settings, steps):
    """{quantity: text} of one precision, in a process of its own."""
    tf = import_tensorflow()
    settings = settle(tf, settings)
    set_up_device(tf, settings.train)
    from models.flops import step_flops
    from train.step import Trainer
    from train.timing import time_step

    run = settings.experiment.runs[0]
    trainer = Trainer(settings, run)
    seconds = time_step(settings, trainer, steps).mean
    memory = peak_memory(tf) / _GIGA
    options = {"jit_compile": settings.train.jit_compile}
    parts = measure_parts(tf, trainer, settings, options)
    parts["backward, by difference"] = seconds - sum(parts.values())
    batch_size = settings.train.batch_size
    rate = batch_size * step_flops(trainer.networks, settings.train) / seconds
    dtype = _DTYPES[settings.train.precision]
    ceiling = measure_ceiling(tf, trainer.networks, settings, dtype, options)
    train = settings.train.model_copy(update={"r1_interval": _LAZY})
    lazy_settings = settings.model_copy(update={"train": train})
    lazy = time_step(lazy_settings, Trainer(lazy_settings, run), steps)
    return {
        "seconds a step": f"{seconds:.3g}",
        "images a second": f"{batch_size / seconds:.3g}",
        "GFLOP/s": f"{rate / _GIGA:.0f}",
        "ceiling, GFLOP/s": f"{ceiling / _GIGA:.0f}",
        "share of the ceiling": f"{rate / ceiling:.0%}",
        "peak memory, GB": f"{memory:.2f}",
        **{f"{name}, share of a step": f"{part / seconds:.1%}" for name, part in parts.items()},
        f"a step with r1_interval {_LAZY}, share": f"{lazy.mean / lazy.with_r1:.0%}",
    }


def processor():
    """The name of the processor where Linux tells it."""
    path = Path("/proc/cpuinfo")
    found = re.search(r"^model name\s*: (.*)$", path.read_text() if path.exists() else "", re.M)
    return found[1] if found else platform.processor()


def describe(settings):
    """One line: the device, the machine and the config."""
    tf = import_tensorflow()
    return (
        f"{device_name(tf)} ({processor()}), TensorFlow {tf.__version__}, batches of "
        f"{settings.train.batch_size} at {settings.data.resolution}x{settings.data.resolution}"
    )


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("config", nargs="?", default="configs/celeba128.yaml")
    parser.add_argument("--precision", nargs="+", choices=_DTYPES, default=[*_DTYPES][:2])
    parser.add_argument("--set", dest="overrides", action="append", default=[])
    parser.add_argument("--steps", type=int, default=5, help="calls to time")
    arguments = parser.parse_args()
    columns = {}
    context = multiprocessing.get_context("spawn")
    for precision in arguments.precision:
        overrides = [*arguments.overrides, f"train.precision={precision}"]
        settings = config.load(arguments.config, overrides)
        with context.Pool(1) as pool:
            columns[precision] = pool.apply(measure, (settings, arguments.steps))
    print(describe(settings))
    print(f"| | {' | '.join(columns)} |")
    print(f"|---{'|---' * len(columns)}|")
    for quantity in columns[arguments.precision[0]]:
        print(f"| {quantity} | {' | '.join(c[quantity] for c in columns.values())} |")


if __name__ == "__main__":
    main()
