"""One training on several devices and machines, by `tf.distribute`. See `open_strategy`."""

import contextlib
import hashlib
import json
import signal

import numpy as np
import tensorflow as tf

from config import UserError
from train.cluster import WorkerLostError
from train.device import first_line


def open_strategy(distribution):
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
def _kept_signal_handlers():
    """TensorFlow's coordination service takes SIGTERM for itself: afterwards it is ours again."""
    handler = signal.getsignal(signal.SIGTERM)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, handler)


class Workers:
    """The processes of a training, of which each has one or more replicas of the networks.

    It is for the `strategy` whose scope it is made in; without one there is one process with one
    replica. A global batch is cut into equal consecutive parts, one a replica. What `gather` and
    those after it do, and what `map` returns, waits for the other processes: all must call the same
    in the same order.
    """

    def __init__(self):
        self.strategy = tf.distribute.get_strategy()
        replicas = [0]
        if self.strategy.num_replicas_in_sync > 1:
            replicas = self.strategy.experimental_local_results(self._number_replicas())
        self.replicas = len(replicas)  # of this process
        self.count = self.strategy.num_replicas_in_sync // self.replicas
        self.index = int(replicas[0]) // self.replicas
        self.is_chief = self.index == 0
        self._sums = {  # the functions that sum vectors of a type over the processes
            kind: tf.function(
                self._sum_over_workers, [tf.TensorSpec([None], kind)], autograph=False
            )
            for kind in (tf.int64, tf.float32, tf.float64)
        }

    @tf.function(autograph=False)
    def _number_replicas(self):
        return self.strategy.run(_replica)

    def positions(self, size):
        """Which of the `size` samples of a global batch this process takes: an array of indices.

        The last sample is repeated where they would not suffice for all replicas to have as many.
        """
        taken = -(-size // self.strategy.num_replicas_in_sync) * self.replicas
        first = self.index * taken
        return np.minimum(np.arange(first, first + taken), size - 1)

    def part(self, batch):
        """What this process takes of a global batch (n, ...)."""
        if self.strategy.num_replicas_in_sync == 1:
            return batch
        return tf.gather(batch, self.positions(batch.shape[0]))

    def part_of_replica(self, batch):
        """In a replica context, what that has of this process' part of a batch."""
        if self.replicas == 1:
            return batch
        size = batch.shape[0] // self.replicas
        replica = _replica() - self.index * self.replicas
        return tf.reshape(batch, (self.replicas, size, *batch.shape[1:]))[replica]

    def map(self, function, size):
        """Spread a function of batches over all replicas.

        `function` returns a float32 tensor, or nested ones, with a value for each sample. What is
        returned takes this process' parts of batches of `size`, and returns the values of whole
        batches.
        """
        replicas = self.strategy.num_replicas_in_sync

        def place(values):
            """Those of this replica, among zeros for those of the others."""
            whole = [replicas * values.shape[0], *values.shape[1:]]
            first = _replica() * values.shape[0]
            rows = [first, whole[0] - first - values.shape[0]]
            padded = tf.pad(values, [rows] + [[0, 0]] * (len(whole) - 1))
            return tf.ensure_shape(padded, whole)

        def of_replica(*parts):
            outputs = function(*map(self.part_of_replica, parts))
            if replicas == 1:
                return outputs
            return sum_over_replicas(tf.nest.map_structure(place, outputs))

        @tf.function(autograph=False, reduce_retracing=True)
        def of_all(*parts):
            outputs = self.strategy.run(of_replica, parts)
            return tf.nest.map_structure(
                lambda values: self.strategy.experimental_local_results(values)[0][:size], outputs
            )

        return of_all

    def gather(self, number):
        """An integer of each process: the list of them."""
        if self.count == 1:
            return [number]
        numbers = np.zeros(self.count, np.int64)
        numbers[self.index] = number
        return self._sums[tf.int64](numbers).numpy().tolist()

    def from_chief(self, value):
        """What JSON can hold: the chief's, in all processes."""
        if self.count == 1:
            return value
        content = np.frombuffer(json.dumps(value).encode(), np.uint8)
        length = self.gather(len(content))[0]
        padded = np.int64(content) if self.is_chief else np.zeros(length, np.int64)
        return json.loads(np.uint8(self._sums[tf.int64](padded)).tobytes())

    def require_same(self, what, value):
        """Raise UserError in all processes unless they have the same `value`, as JSON."""
        content = json.dumps(value, sort_keys=True).encode()
        digests = self.gather(int.from_bytes(hashlib.sha256(content).digest()[:7], "big"))
        others = [str(index) for index, digest in enumerate(digests) if digest != digests[0]]
        if others:
            raise UserError(
                f"train.distribution: the {what} of process {', '.join(others)} of TF_CONFIG are "
                "not those of the chief, number 0; all must be given the same config, images and "
                "feature network"
            )

    def copy_from_chief(self, variables):
        """Assign the chief's values to the variables of all processes."""
        if self.count == 1:
            return
        for variable in variables:
            value = tf.convert_to_tensor(variable)
            kind = value.dtype if value.dtype.is_floating else tf.int64  # which can be added
            own = tf.cast(value if self.is_chief else tf.zeros_like(value), kind)
            total = self._sums[kind](tf.reshape(own, [-1]))
            variable.assign(tf.cast(tf.reshape(total, value.shape), value.dtype))

    def _sum_over_workers(self, vector):
        def of_replica():
            own = vector if self.replicas == 1 else self._only_of_the_first_replica(vector)
            context = tf.distribute.get_replica_context()
            return context.all_reduce(tf.distribute.ReduceOp.SUM, tf.identity(own))

        return self.strategy.experimental_local_results(self.strategy.run(of_replica))[0]

    def _only_of_the_first_replica(self, vector):
        is_first = _replica() == self.index * self.replicas
        return tf.where(is_first, vector, tf.zeros_like(vector))


def _replica():
    """In a replica context: the number of this replica among those of all processes."""
    return tf.distribute.get_replica_context().replica_id_in_sync_group


def sum_over_replicas(tensors):
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
def told_when_a_worker_is_lost(cluster):
    """Within, what TensorFlow raises when another of a `Cluster` is gone: WorkerLostError."""
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
        raise WorkerLostError(
            f"{lost} ended or cannot be reached any more; start all processes again to go on from "
            "the last checkpoint"
        ) from error
