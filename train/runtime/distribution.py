"""One training on several devices and machines, by `tf.distribute`. See `open_strategy`."""

import contextlib
import hashlib
import json
import signal
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from config import UserError, first_line
from train.runtime.cluster import Cluster, ProcessLostError


def open_strategy(distribution: str) -> tf.distribute.Strategy:
    """The `tf.distribute.Strategy` for a `train.distribution` that is not auto.

    mirrored takes all GPUs, or else all logical CPUs; multi_worker waits until all processes that
    TF_CONFIG lists have opened theirs. Raises UserError if TensorFlow refuses.
    """
    try:
        if distribution == "mirrored":
            devices = tf.config.list_logical_devices("GPU") or tf.config.list_logical_devices("CPU")
            return tf.distribute.MirroredStrategy([device.name for device in devices])
        if distribution == "multi_worker":
            with _kept_signal_handlers():
                return tf.distribute.MultiWorkerMirroredStrategy()
        if distribution == "tpu":
            resolver = tf.distribute.cluster_resolver.TPUClusterResolver(tpu="")
            tf.config.experimental_connect_to_cluster(resolver)
            tf.tpu.experimental.initialize_tpu_system(resolver)
            return tf.distribute.TPUStrategy(resolver)
    except (tf.errors.OpError, ValueError, RuntimeError) as error:
        raise UserError(f"train.distribution: {distribution}: {first_line(error)}") from error
    return tf.distribute.get_strategy()


@contextlib.contextmanager
def _kept_signal_handlers() -> Iterator[None]:
    """Restore the SIGTERM handler, which TensorFlow's coordination service takes for itself."""
    handler = signal.getsignal(signal.SIGTERM)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, handler)


class Processes:
    """The processes of one training, each with one or more replicas of the networks.

    It serves the `tf.distribute.Strategy` in whose scope it is made; without one there is a single
    process with one replica. A global batch is cut into equal consecutive parts, one for each
    replica. `gather`, `from_chief`, `require_same`, `copy_from_chief` and the functions that `map`
    returns wait for the other processes: all processes must call the same ones in the same order.
    """

    def __init__(self) -> None:
        self.strategy = tf.distribute.get_strategy()
        replicas = [0]
        if self.strategy.num_replicas_in_sync > 1:
            replicas = self.strategy.experimental_local_results(self._number_replicas())
        self.replicas = len(replicas)  # in this process
        self.count = self.strategy.num_replicas_in_sync // self.replicas
        self.index = int(replicas[0]) // self.replicas
        self.is_chief = self.index == 0
        self._sums = {  # by dtype: functions that sum a vector over the processes
            dtype: tf.function(
                self._sum_over_processes, [tf.TensorSpec([None], dtype)], autograph=False
            )
            for dtype in (tf.int64, tf.float32, tf.float64)
        }

    @tf.function(autograph=False)
    def _number_replicas(self) -> tf.Tensor:
        return self.strategy.run(_replica_number)

    def positions(self, size: int) -> np.ndarray:
        """The indices of the samples that this process takes from a global batch of `size`.

        Where `size` does not suffice for equal parts, the last sample is repeated.
        """
        taken = -(-size // self.strategy.num_replicas_in_sync) * self.replicas
        first = self.index * taken
        return np.minimum(np.arange(first, first + taken), size - 1)

    def part(self, batch: tf.Tensor) -> tf.Tensor:
        """The part of a global batch (n, ...) that this process takes."""
        if self.strategy.num_replicas_in_sync == 1:
            return batch
        return tf.gather(batch, self.positions(batch.shape[0]))

    def replica_part(self, batch: tf.Tensor) -> tf.Tensor:
        """In a replica context: the replica's part of this process's part of a batch (n, ...)."""
        if self.replicas == 1:
            return batch
        size = batch.shape[0] // self.replicas
        replica = _replica_number() - self.index * self.replicas
        return tf.reshape(batch, (self.replicas, size, *batch.shape[1:]))[replica]

    def map(self, function: Callable[..., Any], size: int) -> Callable[..., Any]:
        """Spread a function of batches over all replicas.

        `function` returns a float32 tensor, or nested ones, with a value for each sample. The
        returned function takes this process's parts of batches of `size`, and returns the values of
        the whole batches.
        """
        replicas = self.strategy.num_replicas_in_sync

        def pad_to_whole(values: tf.Tensor) -> tf.Tensor:
            """This replica's values, with zeros in the places of the other replicas."""
            whole = [replicas * values.shape[0], *values.shape[1:]]
            first = _replica_number() * values.shape[0]
            rows = [first, whole[0] - first - values.shape[0]]
            padded = tf.pad(values, [rows] + [[0, 0]] * (len(whole) - 1))
            return tf.ensure_shape(padded, whole)

        def run_replica(*parts: tf.Tensor) -> Any:
            outputs = function(*map(self.replica_part, parts))
            if replicas == 1:
                return outputs
            return sum_over_replicas(tf.nest.map_structure(pad_to_whole, outputs))

        @tf.function(autograph=False, reduce_retracing=True)
        def run_all(*parts: tf.Tensor) -> Any:
            outputs = self.strategy.run(run_replica, parts)
            return tf.nest.map_structure(
                lambda values: self.strategy.experimental_local_results(values)[0][:size], outputs
            )

        return run_all

    def gather(self, number: int) -> list[int]:
        """The integers that the processes pass, in the order of the processes."""
        if self.count == 1:
            return [number]
        numbers = np.zeros(self.count, np.int64)
        numbers[self.index] = number
        return self._sums[tf.int64](numbers).numpy().tolist()

    def from_chief(self, value: Any) -> Any:
        """In every process the value that the chief passes; JSON must be able to hold it."""
        if self.count == 1:
            return value
        content = np.frombuffer(json.dumps(value).encode(), np.uint8)
        length = self.gather(len(content))[0]
        padded = np.int64(content) if self.is_chief else np.zeros(length, np.int64)
        return json.loads(np.uint8(self._sums[tf.int64](padded)).tobytes())

    def require_same(self, what: str, value: Any) -> None:
        """Raise UserError in all processes unless all pass the same `value`, compared as JSON."""
        content = json.dumps(value, sort_keys=True).encode()
        digests = self.gather(int.from_bytes(hashlib.sha256(content).digest()[:7], "big"))
        others = [str(index) for index, digest in enumerate(digests) if digest != digests[0]]
        if others:
            raise UserError(
                f"train.distribution: process {', '.join(others)} of TF_CONFIG has other {what} "
                "than the chief, number 0; all must be given the same config, images and feature "
                "network"
            )

    def copy_from_chief(self, variables: Sequence[Any]) -> None:
        """Assign the chief's values to the variables of all processes."""
        if self.count == 1:
            return
        for variable in variables:
            value = tf.convert_to_tensor(variable)
            dtype = value.dtype if value.dtype.is_floating else tf.int64  # which can be added
            own = tf.cast(value if self.is_chief else tf.zeros_like(value), dtype)
            total = self._sums[dtype](tf.reshape(own, [-1]))
            variable.assign(tf.cast(tf.reshape(total, value.shape), value.dtype))

    def _sum_over_processes(self, vector: tf.Tensor) -> tf.Tensor:
        def run_replica() -> tf.Tensor:
            own = vector if self.replicas == 1 else self._keep_in_first_replica(vector)
            context = tf.distribute.get_replica_context()
            return context.all_reduce(tf.distribute.ReduceOp.SUM, tf.identity(own))

        return self.strategy.experimental_local_results(self.strategy.run(run_replica))[0]

    def _keep_in_first_replica(self, vector: tf.Tensor) -> tf.Tensor:
        """The vector in this process's first replica, zeros in its others."""
        is_first = _replica_number() == self.index * self.replicas
        return tf.where(is_first, vector, tf.zeros_like(vector))


def _replica_number() -> tf.Tensor:
    """In a replica context: the number of this replica, counted over all processes."""
    return tf.distribute.get_replica_context().replica_id_in_sync_group


def sum_over_replicas(tensors: Any) -> Any:
    """In a replica context: nested float32 tensors summed over all replicas, in one transfer."""
    context = tf.distribute.get_replica_context()
    if context.num_replicas_in_sync == 1:
        return tensors
    flat = tf.nest.flatten(tensors)
    joined = tf.concat([tf.reshape(tensor, [-1]) for tensor in flat], axis=0)
    total = context.all_reduce(tf.distribute.ReduceOp.SUM, joined)
    parts = tf.split(total, [tensor.shape.num_elements() for tensor in flat])
    return tf.nest.pack_sequence_as(
        tensors,
        [tf.reshape(part, tensor.shape) for part, tensor in zip(parts, flat, strict=True)],
    )


@contextlib.contextmanager
def lost_process_reported(cluster: Cluster) -> Iterator[None]:
    """Within, the errors that TensorFlow raises when another process ended: ProcessLostError."""
    try:
        yield
    except (
        tf.errors.UnavailableError,
        tf.errors.AbortedError,
        tf.errors.CancelledError,
        tf.errors.DeadlineExceededError,
    ) as error:
        if len(cluster.addresses) == 1:
            raise
        lost = ", ".join(cluster.unreachable()) or "another process"
        raise ProcessLostError(
            f"{lost} ended or cannot be reached any more; start all processes again to go on from "
            "the last checkpoint"
        ) from error
