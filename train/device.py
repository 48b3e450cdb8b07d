"""TensorFlow itself, and the device that it computes on."""

import contextlib
import os
import re
import resource
import sys
from pathlib import Path

_CPU_INFO = Path("/proc/cpuinfo")
_BFLOAT16_CPU = {"amx_bf16", "avx512_bf16"}
_AMPERE, _VOLTA = (8, 0), (7, 0)


def import_tensorflow():
    """Import TensorFlow, late and without the lines it writes before its log level counts.

    Late, because it takes seconds: neither `--help` nor an error in the config waits for it. On
    CPUs it is told to keep freed memory, which to ask for anew takes a quarter of a large step; on
    GPUs, that float32 is float32 and not TensorFloat-32.
    """
    os.environ.setdefault("TF_CPU_ALLOCATOR_USE_BFC", "true")
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    os.environ.setdefault("TF_CPU_BFC_MEM_LIMIT_IN_MB", str(memory // 2**20))
    with _standard_error_to(os.devnull):
        import tensorflow
    tensorflow.config.experimental.enable_tensor_float_32_execution(False)
    for gpu in tensorflow.config.list_physical_devices("GPU"):
        tensorflow.config.experimental.set_memory_growth(gpu, True)  # processes share its memory
    return tensorflow


@contextlib.contextmanager
def _standard_error_to(path):
    """Redirect the file descriptor: what C++ writes does not pass through sys.stderr."""
    kept, target = os.dup(2), os.open(path, os.O_WRONLY)
    try:
        os.dup2(target, 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(target)


def choose_precision(tf, precision="auto"):
    """The Keras dtype policy to train with: for auto, the narrowest that the device is made for."""
    if precision != "auto":
        return precision
    if tf.config.list_physical_devices("TPU"):
        return "mixed_bfloat16"
    gpus = tf.config.list_physical_devices("GPU")
    if not gpus:
        return "mixed_bfloat16" if _BFLOAT16_CPU & _cpu_flags() else "float32"
    details = [tf.config.experimental.get_device_details(gpu) for gpu in gpus]
    capability = min(detail.get("compute_capability", (0, 0)) for detail in details)
    if capability >= _AMPERE:
        return "mixed_bfloat16"
    return "mixed_float16" if capability >= _VOLTA else "float32"


def choose_jit_compile(tf, jit_compile="auto"):
    """Whether to compile the training step with XLA: for auto, on GPUs and TPUs.

    On CPUs, XLA's convolutions take several times as long as TensorFlow's.
    """
    if jit_compile != "auto":
        return jit_compile
    return any(tf.config.list_physical_devices(kind) for kind in ("GPU", "TPU"))


def choose_distribution(tf, distribution="auto"):
    """How to train on several devices: for auto, on all GPUs of this machine if it has several."""
    if distribution != "auto":
        return distribution
    return "mirrored" if len(tf.config.list_physical_devices("GPU")) > 1 else "none"


def _cpu_flags():
    """What the processor says it has; nothing where Linux does not tell."""
    try:
        text = _CPU_INFO.read_text(encoding="utf-8")
    except OSError:
        return set()
    return set(re.search(r"^flags\s*:(.*)$", text + "\nflags:", re.MULTILINE)[1].split())


def settle(tf, config, recorded=None):
    """The config with what is `auto` decided: as a run was begun (`recorded`), or by the device."""
    recorded = recorded or {}
    choices = {
        "precision": recorded.get("precision") or choose_precision(tf, config.train.precision),
        "jit_compile": recorded.get(
            "jit_compile", choose_jit_compile(tf, config.train.jit_compile)
        ),
        "distribution": choose_distribution(tf, config.train.distribution),
    }
    return config.model_copy(update={"train": config.train.model_copy(update=choices)})


def cores():
    """How many cores this process may use: a batch system may grant it fewer than there are."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count()


def visible_gpus(count):
    """The names of so many GPUs that TensorFlow sees, as `use_gpus` takes them."""
    chosen = os.environ.get("CUDA_VISIBLE_DEVICES")
    return chosen.split(",")[:count] if chosen else [str(index) for index in range(count)]


def use_gpus(names):
    """Let TensorFlow, which must not have been imported yet, see only these GPUs."""
    os.environ["CUDA_VISIBLE_DEVICES"] = ",".join(names)


def set_up_device(tf, settings, threads=None):
    """Limit the cores to use; returns the device in words. `settings` is a `config.TrainConfig`.

    With `deterministic`, by default on CPUs, TensorFlow computes the same bits every time.
    """
    gpus = tf.config.list_physical_devices("GPU")
    if settings.deterministic is True or (settings.deterministic == "auto" and not gpus):
        tf.config.experimental.enable_op_determinism()
    if threads and threads != cores():
        tf.config.threading.set_intra_op_parallelism_threads(threads)
        tf.config.threading.set_inter_op_parallelism_threads(threads)
    return device_name(tf, threads)


def device_name(tf, threads=None):
    """The device in words."""
    gpus = tf.config.list_physical_devices("GPU")
    if not gpus:
        return f"CPU, {threads or cores()} of {os.cpu_count()} cores"
    name = tf.config.experimental.get_device_details(gpus[0]).get("device_name", "GPU")
    return name if len(gpus) == 1 else f"{len(gpus)} x {name}"


def peak_memory(tf):
    """The most bytes that this process has held so far, or held of the GPU's memory."""
    if tf.config.list_physical_devices("GPU"):
        return tf.config.experimental.get_memory_info("GPU:0")["peak"]
    unit = 1 if sys.platform == "darwin" else 1024
    return unit * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def first_line(error):
    """What TensorFlow says of an error, in one line, without the names of its nodes."""
    text = str(error).strip() or type(error).__name__
    return re.sub(r"\{\{.*?\}\}\s*", "", text).splitlines()[0]
