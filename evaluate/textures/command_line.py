"""The options of the commands for texture models; main.py adds them to its own."""

from pathlib import Path
from types import ModuleType
from typing import Annotated, Literal

import typer

from config import UserError
from config.textures import SECTIONS, change_samples, load_compared, load_texture_config
from data.paths import require_file
from data.storage import NewFolder
from evaluate.options import LARGEST_SEED
from evaluate.textures.files import read_settings
from evaluate.textures.sizes import made_name, parse_crop, parse_size, require_size
from train.runtime.startup import import_tensorflow

_MOST_SAMPLES = 1000

app = typer.Typer()


def _with_tensorflow() -> ModuleType:
    """What the commands do: TensorFlow takes seconds to import, so this comes late."""
    import_tensorflow()
    from evaluate.textures import commands

    return commands


def _check_method(text: str) -> str:
    """Return the text of `--method`. Raises UserError for an unknown one."""
    if text not in SECTIONS:
        raise UserError(f"--method takes one of {', '.join(SECTIONS)}. Received: {text}")
    return text


def _check_features(text: str | None) -> str | None:
    """Return the text of `--features`. Raises UserError for networks without spatial features."""
    if text and text.partition(":")[0] != "inception_v3":
        raise UserError(f"--features takes inception_v3 or inception_v3:PATH.h5. Received: {text}")
    return text


Image = Annotated[
    str, typer.Argument(metavar="IMAGE", help="any size and mode; made:bricks, made:cobbles")
]
CropOption = Annotated[
    str | None,
    typer.Option("--crop", metavar="HxW[+TOP+LEFT]", help="learn from this part [the centre]"),
]
SeedOption = Annotated[int, typer.Option("--seed", min=0, max=LARGEST_SEED - _MOST_SAMPLES)]
CountOption = Annotated[
    int, typer.Option("--count", min=1, max=_MOST_SAMPLES, metavar="N", help="how many samples")
]
Preset = Annotated[
    Literal["paper"] | None, typer.Option("--preset", help="the authors' values, which take longer")
]
FeaturesOption = Annotated[
    str | None,
    typer.Option(
        "--features",
        metavar="NAME",
        callback=_check_features,
        help="for SIFID: inception_v3 or inception_v3:PATH.h5",
    ),
]
NewFolderOption = Annotated[
    Path | None,
    typer.Option("--out", metavar="DIR", help="a new folder [one in results/textures/]"),
]


@app.command("texture")
def texture(
    image: Image = "made:bricks",
    method: Annotated[
        str,
        typer.Option(
            "--method", metavar="NAME", callback=_check_method, help=f"{', '.join(SECTIONS)}"
        ),
    ] = "texto",
    size: Annotated[
        str | None, typer.Option("--size", metavar="HxW", help="of the samples [the image's]")
    ] = None,
    count: CountOption = 1,
    seed: SeedOption = 0,
    overrides: Annotated[
        list[str], typer.Option("--set", metavar="KEY=VALUE", help="a setting: steps=300")
    ] = [],
    preset: Preset = None,
    crop: CropOption = None,
    features: FeaturesOption = None,
    out: NewFolderOption = None,
) -> None:
    """Learn a texture from one image, and make more: samples, the model, a sheet, measures."""
    config = load_texture_config(method, overrides, preset)
    wanted = parse_size(size) if size else None
    if wanted:
        require_size(config, method, wanted, "--size")
    place = _parse_crop(image, crop)
    _require_free(out)
    _with_tensorflow().make_texture(
        image, place, method, config, wanted, count, seed, features, out
    )


@app.command("texture-sample")
def texture_sample(
    model: Annotated[
        Path, typer.Argument(metavar="MODEL_DIR", help="a folder that `texture` made")
    ],
    size: Annotated[str, typer.Option("--size", metavar="HxW", help="in pixels")],
    tile: Annotated[bool, typer.Option("--tile", help="images that repeat without a seam")] = False,
    count: CountOption = 1,
    seed: SeedOption = 0,
    overrides: Annotated[
        list[str],
        typer.Option("--set", metavar="KEY=VALUE", help="a setting of samples: start_scale=2"),
    ] = [],
    out: Annotated[
        Path | None, typer.Option("--out", metavar="DIR", help="a new folder [one in MODEL_DIR]")
    ] = None,
) -> None:
    """Make more images of any size with a texture model."""
    method, config = read_settings(model)
    config = change_samples(method, config, overrides)
    wanted = parse_size(size)
    require_size(config, method, wanted, "--size", tile)
    _require_free(out)
    _with_tensorflow().sample_texture(model, method, config, wanted, count, seed, tile, out)


@app.command("texture-compare")
def texture_compare(
    image: Image = "made:bricks",
    seed: SeedOption = 0,
    overrides: Annotated[
        list[str],
        typer.Option("--set", metavar="NAME.KEY=VALUE", help="a setting: texto.steps=300"),
    ] = [],
    preset: Preset = None,
    crop: CropOption = None,
    features: FeaturesOption = None,
    out: NewFolderOption = None,
) -> None:
    """Learn one image with every method: one sheet and one table, beside references."""
    compared = load_compared(overrides, preset)
    place = _parse_crop(image, crop)
    _require_free(out)
    _with_tensorflow().compare_textures(image, place, compared, seed, features, out)


def _parse_crop(image: str, crop: str | None) -> tuple[int, ...] | None:
    """The crop of an image. Raises UserError for a made image, or without a file at `image`."""
    if not made_name(image):
        require_file(image)
    elif crop:
        raise UserError(f"--crop takes an image file to cut from. Received: {image}")
    return parse_crop(crop) if crop else None


def _require_free(out: Path | None) -> None:
    """Raise UserError if there is something at `out`."""
    if out:
        NewFolder(out).require_free()
