"""The networks that a config chooses, each kind with keys of its own. See `ModelConfig`."""

from typing import Annotated, Any, get_args

from pydantic import BeforeValidator, Field

from config.backbones.base import Backbone
from config.backbones.dcgan import DcganConfig
from config.backbones.dlsgan import DlsganConfig, DlsganLaterConfig
from config.backbones.karras import ProgressiveGanConfig
from config.backbones.stylegan import (
    StyleGan2Config,
    StyleGan3RConfig,
    StyleGan3TConfig,
    StyleGanConfig,
)

_Backbones = (
    DlsganConfig
    | DlsganLaterConfig
    | DcganConfig
    | ProgressiveGanConfig
    | StyleGanConfig
    | StyleGan2Config
    | StyleGan3TConfig
    | StyleGan3RConfig
)
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
    names = (values.get("backbone", _DEFAULT), name)
    before, after = (BACKBONES.get(n) if isinstance(n, str) else None for n in names)
    if before and after and before.model_fields.keys() != after.model_fields.keys():
        return {"backbone": name}
    return values | {"backbone": name}
