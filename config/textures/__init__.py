"""The settings of texture models, a file for each family. See `load_texture_config`."""

from collections.abc import Sequence
from typing import Any

from pydantic import ValidationError

from config.errors import UserError
from config.loading import override
from config.messages import explain
from config.textures.base import TextureConfig
from config.textures.gotex import GotexConfig
from config.textures.psgan import PsganConfig, SganConfig
from config.textures.singan import SinganConfig
from config.textures.texto import TextoConfig

SECTIONS: dict[str, type[TextureConfig]] = {
    "texto": TextoConfig,
    "gotex": GotexConfig,
    "sgan": SganConfig,
    "psgan": PsganConfig,
    "singan": SinganConfig,
}
COMPARED: dict[str, tuple[str, list[str]]] = {  # name: (method, what differs from its defaults)
    "texto": ("texto", []),
    "gotex": ("gotex", []),
    "gotex_network": ("gotex", ["form=network"]),
    "sgan": ("sgan", []),
    "psgan": ("psgan", []),
    "singan": ("singan", []),
}


def load_texture_config(
    method: str, overrides: Sequence[str] = (), preset: str | None = None
) -> TextureConfig:
    """The settings of a method with `KEY=VALUE` overrides, over the authors' with preset "paper".

    Raises UserError for an unknown key, a wrong type or a value out of range.
    """
    given = _parse(overrides)
    section = SECTIONS[method]
    values = (section.preset(given) if preset else {}) | given
    return validate_texture_config(method, values, "--set")


def change_samples(method: str, config: TextureConfig, overrides: Sequence[str]) -> TextureConfig:
    """The settings of a learned model with `KEY=VALUE` overrides of keys in `of_samples`.

    Raises UserError as `load_texture_config` does, and for a key that only learning reads.
    """
    given = _parse(overrides)
    for key in given:
        if key not in config.of_samples:
            raise UserError(
                f"--set: of a learned {method} model this takes "
                f"{', '.join(config.of_samples) or 'no key'}. Received: {key}"
            )
    return validate_texture_config(method, config.model_dump() | given, "--set")


def _parse(overrides: Sequence[str]) -> dict[str, Any]:
    given: dict[str, Any] = {}
    for text in overrides:
        override(given, text, example="steps=300")
    return given


def load_compared(
    overrides: Sequence[str] = (), preset: str | None = None
) -> dict[str, tuple[str, TextureConfig]]:
    """{name: (method, settings)} of all that is compared; overrides are NAME.KEY=VALUE.

    Raises UserError as `load_texture_config` does, and for an override of something else.
    """
    given: dict[str, list[str]] = {name: [] for name in COMPARED}
    for text in overrides:
        name, _, rest = text.partition(".")
        if name not in COMPARED:
            raise UserError(
                f"--set takes NAME.KEY=VALUE with one of {', '.join(COMPARED)}. Received: {text}"
            )
        given[name].append(rest)
    return {
        name: (method, load_texture_config(method, [*own, *given[name]], preset))
        for name, (method, own) in COMPARED.items()
    }


def validate_texture_config(method: str, values: dict[str, Any], where: str) -> TextureConfig:
    """The settings of a method from a mapping. Raises UserError, which begins with `where`."""
    try:
        return SECTIONS[method].model_validate(values)
    except ValidationError as error:
        raise UserError(f"{where}: {explain(error, SECTIONS[method])}") from error
