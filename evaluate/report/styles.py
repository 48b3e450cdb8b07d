"""Colours, dashes and markers of curves. See `choose_styles`."""

import itertools
from collections.abc import Sequence
from typing import NamedTuple

from config import PAPER_RUNS
from train.runs.experiment import MeasuredRun

_COLORS = (
    "#0b4f9c", "#b4430b", "#1b7f3b", "#8a3ffc", "#b3126b", "#00707a", "#7a5c00", "#4d4d4d",
)  # fmt: skip
_DASHES = ("solid", "dashed", "dotted", "dashdot")
_MARKERS = ("o", "s", "^", "D", "v", "P", "X", "*", "<", ">")  # as Matplotlib names them


class Style(NamedTuple):
    color: str
    dash: str = _DASHES[0]
    marker: str = _MARKERS[0]

    def for_protocol(self, index: int) -> "Style":
        """The style for values of the protocol at an index of a chart's protocols.

        The first protocol keeps the run's style. Each other one changes dashes and marker, so that
        the curve looks like no other of the same colour.
        """
        dash = _DASHES.index(self.dash) + index
        marker = _MARKERS.index(self.marker) + 2 * index  # the next marker is another run's
        return Style(self.color, _DASHES[dash % len(_DASHES)], _MARKERS[marker % len(_MARKERS)])


# The paper's methods in the order of its legends, by the end of a run's name. As all colours here,
# theirs have a contrast of 3:1 or more on white.
PAPER_STYLES = {
    "dls_d": ("DLS, D", Style("#3585d6", "dashed", "^")),
    "dls_dg": ("DLS, DG", Style("#0b4f9c", "solid", "o")),
    "mse_d": ("No DLS, D", Style("#cf7414", "dashed", "D")),
    "mse_dg": ("No DLS, DG", Style("#b4430b", "solid", "s")),
}
_UNIFORM_DASHES = {"solid": "dashdot", "dashed": "dotted"}  # where both priors share a chart


def run_style(index: int) -> Style:
    """The style of the run at an index: each colour has its marker, then dashes change.

    Dashes and markers tell 32 runs apart without colours. 64 runs have different styles, which also
    differ from `for_protocol` of any of them.
    """
    rest, color = divmod(index, len(_COLORS))
    turn, dash = divmod(rest, len(_DASHES))
    return Style(_COLORS[color], _DASHES[dash], _MARKERS[(color + turn) % len(_MARKERS)])


def choose_styles(runs: Sequence[MeasuredRun]) -> list[Style]:
    """A style for each run of a chart, in their order.

    Runs of one experiment have styles by their order in its config: a run keeps its style when
    others begin or fail. The paper's runs keep the colours of the paper's figures; runs of one's
    own share out the other styles: each group has a colour and a marker, and each of its runs other
    dashes, or from the fifth on another marker. Runs of several experiments have styles by their
    order here.
    """
    experiments = {folder.path.resolve().parent.parent for run in runs for folder in run.folders}
    if len(experiments) > 1:
        return [run_style(index) for index in range(len(runs))]
    configs = [run.config.experiment.runs for run in runs if run.config]
    listed = max(configs, key=len, default={})  # the config may have got more runs later
    names = dict.fromkeys([*listed, *(run.name for run in runs)])
    styles = {name: _paper_style(name) for name in names if name in PAPER_RUNS}
    taken = set(styles.values())
    known = map(run_style, range(len(_COLORS) * len(_DASHES) * len(_MARKERS)))
    unused = (style for style in known if style not in taken)
    free = itertools.chain(unused, map(run_style, itertools.count()))
    groups: dict[str, itertools.cycle[Style]] = {}
    for name in names:
        if name in styles:
            continue
        group = listed[name].group if name in listed else None
        if group and group not in groups:
            shared = _same_color(next(free))
            taken.update(shared[: len(_DASHES)])
            groups[group] = itertools.cycle(s for s in shared if s not in styles.values())
        styles[name] = next(groups[group] if group else free)
        taken.add(styles[name])
    return [styles[run.name] for run in runs]


def _same_color(first: Style) -> list[Style]:
    """All styles of its colour: those with its marker, then those with the others."""
    turn = _MARKERS.index(first.marker)
    markers = _MARKERS[turn:] + _MARKERS[:turn]
    return [first._replace(dash=dash, marker=marker) for marker in markers for dash in _DASHES]


def _paper_style(name: str) -> Style:
    prior, _, method = name.partition("_")
    style = PAPER_STYLES[method][1]
    return style if prior == "normal" else style._replace(dash=_UNIFORM_DASHES[style.dash])
