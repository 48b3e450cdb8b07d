"""The page of `python main.py explore`. Streamlit runs this file again after each change on it."""

import base64
import re
import secrets

import numpy as np
import streamlit as st

from config import UserError, in_one_line
from data.images import BadImageError
from data.sources.base import printable
from evaluate.inversion.explore import STEP, Explorer, decibels, to_png
from evaluate.inversion.explore_server import current_explorer

_WIDTH, _NARROW_WIDTH = 256, 160  # pixels on the screen, at most, for images smaller than that
_STYLE = """<style>
.pictures {{ display: flex; flex-wrap: wrap; gap: 16px; }}
.pictures figure {{ margin: 0; }}
.pictures img {{ width: {wide}px; max-width: 100%; image-rendering: pixelated; display: block; }}
.pictures figcaption {{ font-size: 14px; margin-top: 4px; }}
@media (max-width: 640px) {{ .pictures img {{ width: {narrow}px; }} }}
.stMainBlockContainer {{ padding-top: 4rem; padding-bottom: 2rem; }}
</style>"""


def draw_page(explorer: Explorer) -> None:
    """Draw the whole page.

    Streamlit's session state holds what it shows: the `latent` and its `name`, the user's `image`
    or None, and the messages `problem` and `saved` or None. `uploader` and `sliders` are numbers in
    the widgets' keys: Streamlit takes a widget with another key for a new one.
    """
    trained, state = explorer.trained, st.session_state
    st.set_page_config(page_title=f"explore {trained.name}", layout="wide")
    if "latent" not in state:
        state.uploader, state.sliders = 0, 0
        show_sample(explorer)
    title = f"{trained.config.experiment.name}: {trained.name}, epoch {trained.epoch}"
    st.markdown(f"#### {escape_markdown(title)}")
    left, right = st.columns([3, 2], gap="large")
    with right:
        latent = explorer.move(state.latent, draw_sliders(explorer))
    with left:
        key = f"upload_{state.uploader}"
        st.file_uploader(
            "Drop an image: JPEG, PNG, WebP or BMP, of any size",
            key=key,
            on_change=show_upload,
            args=(explorer, key),
        )
        with st.container():  # even if it is empty, so that the pictures keep their place
            if state.problem:
                st.error(escape_markdown(state.problem))
        draw_pictures(explorer.generate(latent))
        draw_buttons(explorer, latent)


def draw_sliders(explorer: Explorer) -> dict[int, float]:
    """Draw a slider for each element; returns {index: value} of those that the user moved."""
    state, moved = st.session_state, {}
    for rank, element in enumerate(explorer.elements, start=1):
        least, largest = explorer.limits(state.latent, element)
        start = float(state.latent[element])
        key = f"slider_{state.sliders}_{element}"
        label = f"rank {rank}: element {element}"
        value = st.slider(label, least, largest, start, STEP, key=key)
        if value != start:
            moved[element] = value
    return moved


def draw_pictures(picture: np.ndarray) -> None:
    """Draw a picture (height, width, 3), and before it the user's image if there is one."""
    state = st.session_state
    if state.image is None:
        shown = {state.name: picture}
    else:
        psnr = decibels(state.image, picture)
        shown = {"your image": state.image, f"from its latent, PSNR {psnr:.1f} dB": picture}
    figures = "".join(
        f'<figure><img alt="{caption}" src="data:image/png;base64,'
        f'{base64.b64encode(to_png(image)).decode()}"><figcaption>{caption}</figcaption></figure>'
        for caption, image in shown.items()
    )
    size = picture.shape[1]
    wide, narrow = (size * max(1, width // size) for width in (_WIDTH, _NARROW_WIDTH))
    style = _STYLE.format(wide=wide, narrow=narrow)
    st.html(f'<div class="pictures">{figures}</div>{style}')


def draw_buttons(explorer: Explorer, latent: np.ndarray) -> None:
    """Draw the buttons, and save the latent (d_z,) and its picture if the user asks for it."""
    state = st.session_state
    with st.container(horizontal=True):
        st.button("Another sample", on_click=show_sample, args=(explorer,))
        st.button("Reset", on_click=reset_sliders)
        is_save_clicked = st.button("Save")
    if is_save_clicked:
        try:
            path = explorer.save(latent, state.name)
        except (UserError, OSError) as error:
            state.problem = in_one_line(error)
            st.rerun()
        state.saved = f"picture.png and latents.npz are in {path}"
    if state.saved:
        st.success(escape_markdown(state.saved))


def show_sample(explorer: Explorer) -> None:
    """Let the page show a random picture, and no image of the user's."""
    state = st.session_state
    seed = secrets.randbelow(2**31)
    state.latent, state.image = explorer.sample(seed), None
    state.name, state.problem = f"random sample, seed {seed}", None
    state.uploader += 1
    reset_sliders()


def show_upload(explorer: Explorer, key: str) -> None:
    """Let the page show the image that the user dropped on it, or say what is wrong with it."""
    state, file = st.session_state, st.session_state[key]
    state.problem = None
    if file is None:  # the user removed it, perhaps to drop another: the picture stays meanwhile
        return
    name = printable(file.name)
    try:
        state.image, state.latent = explorer.recover(file.getvalue())
    except BadImageError as error:
        state.problem = f"{name}: {error}"
    else:
        state.name = name
        reset_sliders()


def reset_sliders() -> None:
    """Let new sliders begin at the latent's own values."""
    state = st.session_state
    state.sliders += 1
    state.saved = None


def escape_markdown(text: str) -> str:
    """The text as Markdown that shows it unchanged."""
    return re.sub(r"([^\w\s]|_)", r"\\\1", text)


if __name__ == "__main__":
    draw_page(current_explorer())
