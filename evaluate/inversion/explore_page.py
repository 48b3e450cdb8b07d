"""The page of `python main.py explore`. See `ExplorePage`."""

import asyncio
import html
from collections.abc import Callable
from pathlib import Path

import numpy as np
from nicegui import events, ui

from config import UserError, in_one_line
from data.images import MAX_BYTES, MAX_PIXELS, BadImageError
from data.sources.base import printable
from evaluate.inversion.explore import Explorer, decibels, to_png
from evaluate.inversion.explore_view import (
    Key,
    View,
    parse_count,
    parse_seed,
    random_seed,
    read_query,
    write_query,
)
from evaluate.inversion.explore_widgets import Figure, SliderRow

_STYLE = Path(__file__).with_name("explore.css")
_BLUE = "#1565c0"  # white on it has a contrast of 5.7, and it has 3.3 on the dark page
_OPEN_FILES = "() => document.querySelector('input[type=file]').click()"
_LIMITS = f"up to {MAX_PIXELS // 10**6} megapixels and {MAX_BYTES >> 20} MiB"


class ExplorePage:
    """What one browser sees: three pictures, buttons and sliders.

    `view` is what the page shows. `history` are the views that Undo goes back to; the last one is
    `view`, or what it was before the user touched the slider in use.
    """

    def __init__(self, explorer: Explorer, query: str) -> None:
        self.explorer = explorer
        self.rows: dict[Key, SliderRow] = {}
        self.is_stale = self.is_drawing = False
        problem = ""
        try:
            picture = self._open(self._read(query))
        except UserError as error:
            problem = in_one_line(error)
            picture = self._open(self._read(""))
        self.history = [self.view]
        ui.add_css(_STYLE)
        ui.colors(primary=_BLUE)
        with ui.element("div").classes("page"):
            self._build()
        self._show_view()
        self._show_edited(picture)
        self._show_address()
        self._tell(problem, is_problem=True)

    def _read(self, query: str) -> View:
        return read_query(query, self.explorer.trained, self.explorer.direction is not None)

    def _open(self, view: View) -> np.ndarray:
        """Set the view, if it can be shown; returns its edited picture. Raises UserError."""
        origin = self.explorer.origin(view)
        picture = self.explorer.generate(self.explorer.edit(origin, view))
        self.view, self.origin = view, origin
        return picture

    @property
    def latent(self) -> np.ndarray:
        """The edited latent (d_z,)."""
        return self.explorer.edit(self.origin, self.view)

    def _build(self) -> None:
        trained = self.explorer.trained
        title = f"{trained.config.experiment.name}: {trained.name}, epoch {trained.epoch}"
        ui.html(html.escape(title), tag="h1", sanitize=False)
        with ui.element("div").classes("left"):
            with ui.element("div").classes("pictures"):
                self.original, self.start, self.edited = Figure(), Figure(), Figure()
            with ui.element("div").classes("tools"):
                self._build_start()
            with ui.element("div").classes("tools"):
                self.undo = ui.button("Undo", icon="undo", on_click=self._undo)
                self.reset = ui.button("Reset all", icon="restart_alt")
                self.reset.on_click(lambda: self.visit(lambda: self.view._replace(moved={})))
                ui.button("Download", icon="download", on_click=self._download)
                ui.button("Save", icon="save", on_click=self._save)
            self.message = ui.label().classes("message").props("role=status")
        with ui.element("div").classes("right"):
            self.count = ui.number(f"elements, of {len(trained.scale)}").props("outlined dense")
            self.count.on("change", self._type_count)
            self.sliders = ui.element("div")

    def _build_start(self) -> None:
        """The fields that say where the latent comes from."""
        self.seed = ui.number("seed").props("outlined dense")
        self.seed.on("change", self._type_seed)
        another = ui.button("Another sample", icon="casino")
        another.on_click(lambda: self.visit(lambda: self.view.show_sample(random_seed())))
        self.upload = ui.upload(
            max_file_size=MAX_BYTES,
            on_rejected=lambda: self._tell(f"the file is too large: {_LIMITS}", is_problem=True),
            on_upload=self._upload,
            auto_upload=True,
        ).props("flat bordered")
        with self.upload.add_slot("header"):
            choose = ui.button("Choose an image", icon="image")
            choose.on("click", js_handler=_OPEN_FILES)
            with ui.element("label"):
                ui.label(f"or drop one here: JPEG, PNG, WebP or BMP, {_LIMITS}")
                ui.element("q-uploader-add-trigger")  # the field for files

    async def visit(self, choose: Callable[[], View]) -> None:
        """Show another view, and remember it for Undo."""
        self._tell("")
        try:
            self._open(choose())
        except UserError as error:
            self._tell(in_one_line(error), is_problem=True)
        else:
            self._commit()
            self._show_view()
            await self._draw()  # after the picture that may be in work

    def _commit(self) -> None:
        """Remember the view, and write it to the address."""
        if self.view != self.history[-1]:
            self.history.append(self.view)
        self._show_address()

    async def _slide(self, key: Key, value: float, is_released: bool) -> None:
        """Show a view with a slider moved; Undo goes back to the one before the slider's use."""
        is_new = value != self.explorer.value(self.view, self.latent, key)
        if is_new:
            self._tell("")
            self.view = self.view.move(key, value)
            self._show_sliders(in_use=key)
        if is_released:
            self._commit()
        if is_new:
            await self._draw()

    async def _draw(self) -> None:
        """Draw the edited picture. While it is generated, only the last of further calls counts."""
        self.is_stale = True
        if self.is_drawing:
            return
        self.is_drawing = True
        try:
            while self.is_stale:
                self.is_stale = False
                self._show_edited(await asyncio.to_thread(self.explorer.generate, self.latent))
        except UserError as error:
            self._tell(in_one_line(error), is_problem=True)
        finally:
            self.is_drawing = False

    def _show_edited(self, picture: np.ndarray) -> None:
        count = len(self.view.moved)
        sliders = "slider" if count == 1 else "sliders"
        self.edited.show(
            "edited", picture, f"{count} {sliders} moved" if count else "nothing moved yet"
        )

    def _show_view(self) -> None:
        """Show all of a view but the edited picture."""
        image, picture = self.origin.image, self.origin.picture
        if image is None:
            self.original.hide()
            self.start.show("sample", picture, self.origin.name)
        else:
            caption = f"from its latent, PSNR {decibels(image, picture):.1f} dB"
            self.original.show("original", image, self.origin.name)
            self.start.show("reconstruction", picture, caption)
        self.seed.set_value(self.view.seed)
        self.count.set_value(self.view.count)
        keys = self.explorer.keys(self.view)
        if keys != list(self.rows):
            self.sliders.clear()
            with self.sliders:
                self.rows = {key: self._build_row(key) for key in keys}
        self._show_sliders()

    def _build_row(self, key: Key) -> SliderRow:
        return SliderRow(
            self.explorer.label(key),
            lambda value, is_released: self._slide(key, value, is_released),
            lambda: self.visit(lambda: self.view.reset(key)),
        )

    def _show_sliders(self, in_use: Key | None = None) -> None:
        """Place all sliders but the one that the user drags."""
        latent = self.latent
        for key, row in self.rows.items():
            value = self.explorer.value(self.view, latent, key)
            row.show(value, key in self.view.moved)
            if key != in_use:
                row.place(value, self.explorer.limits(key, value))
        self.reset.set_enabled(bool(self.view.moved))

    def _show_address(self) -> None:
        self.undo.set_enabled(len(self.history) > 1)
        ui.navigate.history.replace(f"/?{write_query(self.view)}")

    async def _undo(self) -> None:
        self.history.pop()
        await self.visit(lambda: self.history[-1])

    async def _type_seed(self, event: events.GenericEventArguments) -> None:
        await self.visit(lambda: self.view.show_sample(parse_seed(str(event.args))))

    async def _type_count(self, event: events.GenericEventArguments) -> None:
        trained = self.explorer.trained
        await self.visit(lambda: self.view._replace(count=parse_count(str(event.args), trained)))

    async def _upload(self, event: events.UploadEventArguments) -> None:
        """Show the image that the user chose, or say what is wrong with it."""
        self.upload.reset()
        name, content = printable(event.file.name), await event.file.read()
        try:
            key = await asyncio.to_thread(self.explorer.recover, name, content)
        except (BadImageError, UserError) as error:
            self._tell(f"{name}: {in_one_line(error)}", is_problem=True)
        else:
            await self.visit(lambda: self.view.show_image(key))

    def _download(self) -> None:
        ui.download.content(to_png(self.explorer.generate(self.latent)), "picture.png")

    async def _save(self) -> None:
        try:
            path = await asyncio.to_thread(self.explorer.save, self.latent, self.origin.name)
        except (UserError, OSError) as error:
            self._tell(in_one_line(error), is_problem=True)
        else:
            self._tell(f"Saved: picture.png and latents.npz are in {path}")

    def _tell(self, text: str, is_problem: bool = False) -> None:
        """Show a message until the next change."""
        self.message.set_text(text)
        self.message.classes(remove="problem", add="problem" if is_problem else "")
