"""The page of `python main.py explore`. Streamlit runs this file anew after each change on it."""

import base64
import re
import secrets

import streamlit as st

from config import UserError, in_one_line
from data.images import BadImageError
from data.sources import printable
from evaluate.trained import explore_server
from evaluate.trained.explore import STEP, decibels, png

_WIDTH, _NARROW_WIDTH = 256, 160  # pixels of the screen, at most, of images smaller than that
_STYLE = """<style>
.pictures {{ display: flex; flex-wrap: wrap; gap: 16px; }}
.pictures figure {{ margin: 0; }}
.pictures img {{ width: {wide}px; max-width: 100%; image-rendering: pixelated; display: block; }}
.pictures figcaption {{ font-size: 14px; margin-top: 4px; }}
@media (max-width: 640px) {{ .pictures img {{ width: {narrow}px; }} }}
.stMainBlockContainer {{ padding-top: 4rem; padding-bottom: 2rem; }}
</style>"""


def show(explorer):
    """The whole page; what it shows at present is in Streamlit's state of the session."""
    trained, state = explorer.trained, st.session_state
    st.set_page_config(page_title=f"explore {trained.name}", layout="wide")
    if "latent" not in state:
        state.uploads = 0
        show_sample(explorer)
    title = f"{trained.config.experiment.name}: {trained.name}, epoch {trained.epoch}"
    st.markdown(f"#### {plain(title)}")
    left, right = st.columns([3, 2], gap="large")
    with right:
        latent = explorer.move(state.latent, sliders(explorer))
    with left:
        key = f"upload_{state.uploads}"
        st.file_uploader(
            "Drop an image: JPEG, PNG, WebP or BMP, of any size",
            key=key,
            on_change=show_upload,
            args=(explorer, key),
        )
        with st.container():  # there even if empty, so that what follows keeps its place
            if state.problem:
                st.error(plain(state.problem))
        draw(explorer.generate(latent))
        buttons(explorer, latent)


def sliders(explorer):
    """Draw one for each element; returns {index: value} of those that were moved."""
    state, moved = st.session_state, {}
    for rank, element in enumerate(explorer.elements, start=1):
        least, largest = explorer.limits(state.latent, element)
        start = float(state.latent[element])
        key = f"slider_{state.start}_{element}"  # another key, another slider: it starts anew
        label = f"rank {rank}: element {element}"
        value = st.slider(label, least, largest, start, STEP, key=key)
        if value != start:
            moved[element] = value
    return moved


def draw(picture):
    """Draw a picture, and before it the user's image if there is one."""
    state = st.session_state
    if state.image is None:
        shown = {state.name: picture}
    else:
        psnr = decibels(state.image, picture)
        shown = {"your image": state.image, f"from its latent, PSNR {psnr:.1f} dB": picture}
    figures = "".join(
        f'<figure><img alt="{caption}" src="data:image/png;base64,'
        f'{base64.b64encode(png(image)).decode()}"><figcaption>{caption}</figcaption></figure>'
        for caption, image in shown.items()
    )
    size = picture.shape[1]
    wide, narrow = (size * max(1, width // size) for width in (_WIDTH, _NARROW_WIDTH))
    style = _STYLE.format(wide=wide, narrow=narrow)
    st.html(f'<div class="pictures">{figures}</div>{style}')


def buttons(explorer, latent):
    state = st.session_state
    with st.container(horizontal=True):
        st.button("Another sample", on_click=show_sample, args=(explorer,))
        st.button("Reset", on_click=start_sliders)
        saves = st.button("Save")
    if saves:
        try:
            path = explorer.save(latent, state.name)
        except (UserError, OSError) as error:
            state.problem = in_one_line(error)
            st.rerun()
        state.saved = f"picture.png and latents.npz are in {path}"
    if state.saved:
        st.success(plain(state.saved))


def show_sample(explorer):
    """Have the page show a random picture, and no image of the user's."""
    state = st.session_state
    seed = secrets.randbelow(2**31)
    state.latent, state.image = explorer.sample(seed), None
    state.name, state.problem = f"random sample, seed {seed}", None
    state.uploads += 1
    start_sliders()


def show_upload(explorer, key):
    """Have the page show what was dropped on it, or else what is wrong with it."""
    state, file = st.session_state, st.session_state[key]
    state.problem = None
    if file is None:  # taken away, or about to be another: the picture stays meanwhile
        return
    name = printable(file.name)
    try:
        state.image, state.latent = explorer.recover(file.getvalue())
    except BadImageError as error:
        state.problem = f"{name}: {error}"
    else:
        state.name = name
        start_sliders()


def start_sliders():
    state = st.session_state
    state.start, state.saved = state.get("start", 0) + 1, None


def plain(text):
    """The text for Streamlit to show as it is, not as Markdown."""
    return re.sub(r"([^\w\s]|_)", r"\\\1", text)


if __name__ == "__main__":
    show(explore_server.explorer)
