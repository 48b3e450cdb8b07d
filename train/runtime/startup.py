"""What a process does first. See `shorten_warnings` and `import_tensorflow`."""

import os
import warnings
from collections.abc import Sequence

from config import printable
from data.standard_error import standard_error_to


def shorten_warnings() -> None:
    """Show a warning as one line, without the source; leave out Pillow's about large photos."""
    warnings.formatwarning = lambda message, *_: (
        f"warning: {printable(' '.join(str(message).split()))}\n"
    )
    warnings.filterwarnings("ignore", "Image size .* exceeds limit")


def import_tensorflow() -> None:
    """Import TensorFlow once, and let it see the devices, see `import_libraries`.

    On GPUs float32 is float32 and not TensorFloat-32, and processes share the memory.
    """
    import_libraries()
    import tensorflow

    tensorflow.config.experimental.enable_tensor_float_32_execution(False)
    for gpu in tensorflow.config.list_physical_devices("GPU"):
        tensorflow.config.experimental.set_memory_growth(gpu, True)


def import_libraries() -> None:
    """Import TensorFlow and Keras with settings that only count before and right after.

    It takes seconds, so that neither `--help` nor an error in the config waits for it. It looks for
    no device. On CPUs TensorFlow keeps freed memory: asking the system for it again takes a quarter
    of a large step. What the user chose for other programs of Keras and Matplotlib does not count.
    """
    os.environ.setdefault("TF_CPU_ALLOCATOR_USE_BFC", "true")
    os.environ["KERAS_BACKEND"] = "tensorflow"
    os.environ["MPLBACKEND"] = "agg"
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    os.environ.setdefault("TF_CPU_BFC_MEM_LIMIT_IN_MB", str(memory // 2**20))
    with open(os.devnull, "wb") as nowhere, standard_error_to(nowhere.fileno()):
        import tensorflow  # it writes lines before its log level counts
    tensorflow.get_logger().setLevel("ERROR")  # its warnings speak to programmers, not to users
    import keras  # after TensorFlow is set up

    keras.config.set_floatx("float32")  # whatever the user's keras.json says
    keras.config.set_image_data_format("channels_last")


def cores() -> int:
    """The number of cores that this process may use; a batch system may grant only some of them."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def visible_gpus(count: int) -> list[str]:
    """The names of the `count` GPUs that TensorFlow sees, as `use_gpus` takes them."""
    chosen = os.environ.get("CUDA_VISIBLE_DEVICES")
    return chosen.split(",")[:count] if chosen else [str(index) for index in range(count)]


def use_gpus(names: Sequence[str]) -> None:
    """Let TensorFlow, which must not have looked for devices yet, see only these GPUs."""
    os.environ["CUDA_VISIBLE_DEVICES"] = ",".join(names)
