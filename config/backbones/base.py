"""What the networks of every backbone are asked about their keys. See `Backbone`."""

from typing import ClassVar

from pydantic import BaseModel

from config.values import STRICT


class Backbone(BaseModel):
    """The keys of one kind of networks, beside `backbone`, its name."""

    model_config = STRICT
    has_batch_norm: ClassVar[bool] = False  # in the discriminator
    has_styles: ClassVar[bool] = False  # one for each layer of the generator

    def check(self, resolution: int, batch_size: int) -> None:
        """Raise ValueError if the keys fit neither each other nor images and batches like these."""

    def check_length(self, resolution: int, images: int) -> None:
        """Raise ValueError if a training that sees so many real images, in all, is too short."""

    def rough_size(self, resolution: int, latent_dim: int) -> int:
        """About how many weights the networks have: enough to refuse what no machine could hold."""
        raise NotImplementedError
