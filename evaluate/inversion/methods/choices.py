"""The methods of GAN inversion by name, and what the user chooses of one; without TensorFlow.

See `METHODS` and `Choice`.
"""

import math
from typing import Literal, NamedTuple

MethodName = Literal["encoder", "optimise", "hybrid", "in_domain"]
Space = Literal["z", "w", "w+"]
Features = Literal["discriminator", "evaluate"]


class Method(NamedTuple):
    """How the code of an image is found: by the encoder alone, or in `steps` of optimisation.

    `from_encoder`: whether optimisation begins at the encoder's code, and compares pixels and
    features (Zhu et al. 2020, section 3.3). Otherwise it begins at the mean code, and goes as
    StyleGAN2-ADA's projector (Karras et al. 2020). `keeps_best`: the result is the code with the
    highest PSNR of all steps, the start included; otherwise it is the last one.
    """

    steps: int  # by default
    from_encoder: bool = True
    regulariser_weight: float = 0.0
    keeps_best: bool = False


METHODS: dict[MethodName, Method] = {
    "encoder": Method(0),
    "optimise": Method(200, from_encoder=False),
    "hybrid": Method(100, keeps_best=True),
    "in_domain": Method(100, regulariser_weight=2.0),
}
RATE = 0.01  # of Adam, where optimisation begins at the encoder's code
FEATURES_WEIGHT = 5e-5


class Choice(NamedTuple):
    """A method by name, how many steps it takes, in which space, and comparing which features."""

    name: MethodName
    steps: int
    space: Space = "z"
    features: Features = "discriminator"

    @property
    def method(self) -> Method:
        return METHODS[self.name]


class Pace(NamedTuple):
    """Of one step: the learning rate, and the noise on the code relative to the codes' spread."""

    rate: float
    noise: float


def projector_pace(step: int, steps: int) -> Pace:
    """The schedules of StyleGAN2-ADA's projector: noise falls, the rate rises and falls.

    With t = step / steps the noise is `0.05 max(0, 1 - t / 0.75)^2`, and the rate
    `0.1 (0.5 - 0.5 cos(pi min(1, (1 - t) / 0.25))) min(1, t / 0.05)`: none at first.
    """
    share = step / steps
    ramp = 0.5 - 0.5 * math.cos(math.pi * min(1.0, (1.0 - share) / 0.25))
    return Pace(
        rate=0.1 * ramp * min(1.0, share / 0.05),
        noise=0.05 * max(0.0, 1.0 - share / 0.75) ** 2,
    )


def list_paces(method: Method, steps: int) -> list[Pace]:
    """The pace of each of the steps."""
    if method.from_encoder:
        return [Pace(RATE, 0.0)] * steps
    return [projector_pace(step, steps) for step in range(steps)]
