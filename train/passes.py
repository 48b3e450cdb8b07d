"""The forward passes of a training step. See `choose_passes`."""

from typing import Literal

from config.sections import TrainConfig

Loss = Literal["generator", "discriminator"]
BOTH: tuple[Loss, ...] = ("generator", "discriminator")


def choose_passes(train_config: TrainConfig) -> list[tuple[Loss, ...]]:
    """The losses that each forward pass of a step serves, in their order; by default one pass.

    As the authors' code does, one forward pass D(G(z∘s)) serves both losses, and no update precedes
    the other's gradient: `train.updates` simultaneous with one `train.discriminator_steps`. Every
    further discriminator step takes a pass with real images and latents of its own before that one.
    With alternating updates, as in the authors' later code, the generator's loss takes a pass of
    its own, with latents of its own, through the discriminator as it is after its update.
    """
    last = {"simultaneous": [BOTH], "alternating": [("discriminator",), ("generator",)]}
    earlier = train_config.discriminator_steps - 1
    return [("discriminator",)] * earlier + last[train_config.updates]
