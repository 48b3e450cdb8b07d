"""BiGAN (Donahue et al. 2017, arxiv.org/abs/1605.09782)."""

from typing import ClassVar

from train.methods.joint import JointTrainer


class BiGan(JointTrainer):
    """A deterministic encoder. As in the authors' code, both losses have the factor 1/2."""

    loss_factor: ClassVar[float] = 0.5
