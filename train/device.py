"""TensorFlow itself, and the device that it computes on."""

import contextlib
import os
import re


def import_tensorflow():
    """Import TensorFlow, late and without the lines it writes before its log level counts.

    Late, because it takes seconds: neither `--help` nor an error in the config waits for it.
    """
    with _standard_error_to(os.devnull):
        import tensorflow
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


def set_up_device(tf, deterministic="auto", threads=None):
    """Limit the cores to use; returns the device in words.

    With `deterministic`, by default on CPUs, TensorFlow computes the same bits every time.
    """
    gpus = tf.config.list_physical_devices("GPU")
    if deterministic is True or (deterministic == "auto" and not gpus):
        tf.config.experimental.enable_op_determinism()
    if threads and threads != os.cpu_count():
        tf.config.threading.set_intra_op_parallelism_threads(threads)
        tf.config.threading.set_inter_op_parallelism_threads(threads)
    if not gpus:
        return f"CPU, {threads or os.cpu_count()} of {os.cpu_count()} cores"
    return tf.config.experimental.get_device_details(gpus[0]).get("device_name", "GPU")


def first_line(error):
    """What TensorFlow says of an error, in one line, without the names of its nodes."""
    return re.sub(r"\{\{.*?\}\}\s*", "", str(error).strip()).splitlines()[0]
