"""The state of a run on disk. See `Checkpoints`."""

import tensorflow as tf

from train.run_folder import CHECKPOINT_NAME

KEPT = 2


class Checkpoints:
    """TensorFlow's checkpoints of a `train.step.Trainer` in its run folder, the last two."""

    def __init__(self, trainer, folder):
        self._epoch = tf.Variable(0, dtype=tf.int64, trainable=False)
        self._checkpoint = tf.train.Checkpoint(epoch=self._epoch, **trainer.state())
        self._manager = tf.train.CheckpointManager(
            self._checkpoint, str(folder.checkpoints), KEPT, checkpoint_name=CHECKPOINT_NAME
        )

    def restore(self):
        """Bring the trainer to the newest state; returns its epoch, 0 if there is none."""
        if self._manager.latest_checkpoint:
            self._checkpoint.restore(self._manager.latest_checkpoint).assert_consumed()
        return int(self._epoch)

    def save(self, epoch):
        self._epoch.assign(epoch)
        self._manager.save(checkpoint_number=epoch)
