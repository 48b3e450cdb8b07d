"""The training methods beside the paper's, and which keys each of them takes. See `MethodKeys`."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field

from config.values import STRICT, Count

_KEYS_OF_METHODS = {
    "from_run": "post_hoc_encoder",
    "infogan_codes": "infogan",
    "infogan_std": "infogan",
}
_JOINT_UNUSED = (
    "encoder_weight",
    "encoder_loss",
    "encoder_loss_in",
    "adversarial_loss",
    "updates",
    "discriminator_steps",
    "r2_weight",
    "wgan_gp_weight",
    "drift_weight",
    "path_length_weight",
    "weight_clip",
)
# Keys that say something that the method does not do. The second stage of post_hoc_encoder has no
# adversarial loss, but may share a file with its first, so that loss's keys are no mistake there.
_UNUSED = {
    "dlsgan": (),
    "post_hoc_encoder": (
        "encoder_weight",
        "encoder_loss_in",
        "discriminator_steps",
        "path_length_weight",
        "weight_clip",
    ),
    "bigan": _JOINT_UNUSED,
    "ali": _JOINT_UNUSED,
    "infogan": ("encoder_loss", "encoder_loss_in"),
}


class MethodKeys(BaseModel):
    """The keys of section `train` that choose a method; `train/methods/` has the methods."""

    model_config = STRICT

    method: Literal["dlsgan", "post_hoc_encoder", "bigan", "ali", "infogan"] = "dlsgan"
    from_run: Annotated[str, Field(min_length=1)] | None = None
    infogan_codes: Count = 16
    infogan_std: Literal["fixed", "learned"] = "fixed"

    @property
    def trains_encoder(self) -> bool:
        """Whether the encoder learns anything: not in a GAN without encoder loss."""
        return self.method in ("post_hoc_encoder", "bigan", "ali") or self.encoder_weight > 0

    @property
    def has_log_variances(self) -> bool:
        """Whether the encoder has a second output, the log variances of the latents."""
        learns_std = self.method == "infogan" and self.infogan_std == "learned"
        return self.encoder_loss == "gaussian" or self.method == "ali" or learns_std

    def check_method(self, latent: Any, model: Any) -> None:
        """Raise ValueError if the method does not fit its own keys or these two sections."""
        others = [key for key, method in _KEYS_OF_METHODS.items() if method != self.method]
        for key in (*others, *_UNUSED[self.method]):
            value, default = getattr(self, key), type(self).model_fields[key].default
            if value != default:
                raise ValueError(
                    f"train.{key}: train.method {self.method} does not use it: leave it out. "
                    f"Received: {value}"
                )
        if self.method == "dlsgan":
            return
        if latent.dynamic_scale:
            raise ValueError(
                f"latent.dynamic_scale: train.method {self.method} takes false, its latents are "
                "not scaled. Received: true"
            )
        if self.method != "infogan" and getattr(model, "grow", False):
            raise ValueError(
                f"model.grow: train.method {self.method} takes false, networks of one size. "
                "Received: true"
            )
        if self.method == "post_hoc_encoder" and self.from_run is None:
            raise ValueError(
                "train.from_run: train.method post_hoc_encoder takes the run that trained the "
                "generator: its name in this experiment, or its folder. Received: null"
            )
        if self.method == "infogan" and self.infogan_codes > latent.dim:
            raise ValueError(
                f"train.infogan_codes: takes up to latent.dim, {latent.dim}. "
                f"Received: {self.infogan_codes}"
            )
