"""The parts of the page of `python main.py explore`: `Figure` and `SliderRow`."""

import base64
from collections.abc import Awaitable, Callable

import numpy as np
from nicegui import ui

from evaluate.inversion.explore import STEP, to_png

_THROTTLE = 0.05  # seconds between two values of a slider in use
_PIXELATED_BELOW = 256  # pixels: larger pictures may be shown smaller than they are


class Figure:
    """A picture with its name and a caption."""

    def __init__(self) -> None:
        with ui.element("figure") as self._figure:
            self._image = ui.element("img")
            with ui.element("figcaption"):
                self._name, self._caption = ui.label(), ui.label()

    def show(self, name: str, picture: np.ndarray, caption: str) -> None:
        """Show a picture (height, width, 3) in [-1, 1]."""
        self._figure.set_visibility(True)
        content = base64.b64encode(to_png(picture)).decode()
        self._image.classes("pixelated" if len(picture) < _PIXELATED_BELOW else "")
        self._image.props["src"] = f"data:image/png;base64,{content}"
        self._image.props["alt"] = name
        self._name.set_text(name)
        self._caption.set_text(caption)

    def hide(self) -> None:
        """Leave no room for the figure."""
        self._figure.set_visibility(False)


class SliderRow:
    """A slider with its label, its value and a button that resets it.

    `on_slide` gets its value while the user drags, and once more, with True, after the release.
    """

    def __init__(
        self,
        label: str,
        on_slide: Callable[[float, bool], Awaitable[None]],
        on_reset: Callable[[], Awaitable[None]],
    ) -> None:
        with ui.element("div").classes("slider"):
            ui.label(label)
            self._number = ui.label()
            self._reset = ui.button(icon="restart_alt", on_click=on_reset).props("flat round dense")
            self._reset.props["aria-label"] = f"reset {label}"
            # Unlike those of ui.slider, the browser's own sliders have a name and Home and End.
            self._slider = ui.input().props(f"type=range step={STEP} borderless dense")
        self._slider.props["aria-label"] = label
        self._slider.on(
            "update:model-value", lambda e: on_slide(float(e.args), False), throttle=_THROTTLE
        )
        self._slider.on("change", lambda e: on_slide(float(e.args), True))

    def show(self, value: float, is_moved: bool) -> None:
        """Show the value as a number, and whether there is anything to reset."""
        self._number.set_text(f"{value:.2f}")
        self._reset.set_enabled(is_moved)

    def place(self, value: float, limits: tuple[float, float]) -> None:
        """Place the slider at a value between its ends."""
        self._slider.props["min"], self._slider.props["max"] = limits
        self._slider.set_value(value)
