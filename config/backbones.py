"""The networks that a config chooses, each kind with keys of its own. See `ModelConfig`."""

from typing import Annotated, Any, ClassVar, Literal, get_args

from pydantic import BaseModel, BeforeValidator, Field

from config.values import STRICT, Layers, Width


class Backbone(BaseModel):
    """The keys of one kind of networks, beside `backbone`, its name."""

    model_config = STRICT
    has_batch_norm: ClassVar[bool] = False  # in the discriminator

    def check(self, resolution: int, batch_size: int) -> None:
        """Raise ValueError if the keys fit neither each other nor images and batches like these."""

    def rough_size(self, resolution: int, latent_dim: int) -> int:
        """About how many weights the networks have: enough to refuse what no machine could hold."""
        raise NotImplementedError


class DlsganConfig(Backbone):
    """The paper's networks (`models/synthesis.py`, `models/discriminator.py`)."""

    backbone: Literal["dlsgan"] = "dlsgan"
    style_units: Width = 512
    mapper_layers: Layers = 8
    gain: Annotated[float, Field(gt=0, allow_inf_nan=False)] = 2.0
    base_channels: Width = 512
    synthesis_channels: list[Width]
    discriminator_channels: list[Width]

    def check(self, resolution: int, batch_size: int) -> None:
        blocks = resolution.bit_length() - 3  # 8x8 ... resolution
        for key in ("synthesis_channels", "discriminator_channels"):
            channels = getattr(self, key)
            if len(channels) != blocks:
                raise ValueError(
                    f"model.{key}: resolution {resolution} takes {blocks} values, "
                    f"one a size from 8 to {resolution}. Received: {channels}"
                )

    def rough_size(self, resolution: int, latent_dim: int) -> int:
        widths = (self.base_channels, *self.synthesis_channels, *self.discriminator_channels)
        return (
            self.mapper_layers * self.style_units**2
            + 16 * self.base_channels * self.style_units
            + sum(18 * width**2 for width in widths)  # two 3x3 convolutions a size
        )


class DlsganLaterConfig(DlsganConfig):
    """The networks of the authors' later code (`models/backbones/dlsgan_later.py`)."""

    backbone: Literal["dlsgan_later"] = "dlsgan_later"


class DcganConfig(Backbone):
    """DCGAN, as its authors' code has it, or as most others' with kernel size 4.

    The networks are in `models/backbones/dcgan.py`.
    """

    backbone: Literal["dcgan"] = "dcgan"
    kernel_size: Literal[5, 4] = 5
    generator_channels: Width = 128  # next to the images; twice as many at each smaller size
    discriminator_channels: Width = 128
    generator_batch_norm: bool = True
    discriminator_batch_norm: bool = True

    @property
    def has_batch_norm(self) -> bool:
        return self.discriminator_batch_norm

    def check(self, resolution: int, batch_size: int) -> None:
        if batch_size < 2 and (self.generator_batch_norm or self.discriminator_batch_norm):
            raise ValueError(
                "train.batch_size: batch normalisation compares the images of a batch, use 2 or "
                f"more. Received: {batch_size} with model.backbone {self.backbone}"
            )

    def rough_size(self, resolution: int, latent_dim: int) -> int:
        widths = [
            c * resolution // 8 for c in (self.generator_channels, self.discriminator_channels)
        ]
        # Each convolution between two sizes has a quarter of the weights of the one before.
        return sum(
            2 * (self.kernel_size * width) ** 2 // 3 + 16 * width * latent_dim for width in widths
        )


_Backbones = DlsganConfig | DlsganLaterConfig | DcganConfig
BACKBONES: dict[str, type[Backbone]] = {
    backbone.model_fields["backbone"].default: backbone for backbone in get_args(_Backbones)
}
_DEFAULT = "dlsgan"


def _complete(values: Any) -> Any:
    """Give a section without the key `backbone` the paper's."""
    return {"backbone": _DEFAULT} | values if isinstance(values, dict) else values


ModelConfig = Annotated[_Backbones, Field(discriminator="backbone"), BeforeValidator(_complete)]


def change_backbone(values: dict[str, Any], name: Any) -> dict[str, Any]:
    """A model section's values with another backbone, which begins with its own defaults.

    They stay as they are where both backbones have the same keys.
    """
    before, after = (BACKBONES.get(n) for n in (values.get("backbone", _DEFAULT), name))
    if before and after and before.model_fields.keys() != after.model_fields.keys():
        return {"backbone": name}
    return values | {"backbone": name}
