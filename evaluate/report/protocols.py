"""Which values of a metric may be compared: those that one protocol made. See `name_protocols`."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from evaluate.metrics.table import METRICS
from train.runs.experiment import MeasuredRun

Protocol = tuple[tuple[str, Any], ...]
_HIDDEN = ("features_sha256", "real_images_sha256", "resize", "split")  # unless only they differ


def protocol_of(row: Mapping[str, Any], metric: str) -> Protocol:
    """The parts of a row's protocol on which a metric depends."""
    protocol = row.get("protocol", {})
    return tuple((part, protocol.get(part)) for part in METRICS[metric].protocol)


def name_protocols(
    runs: Sequence[MeasuredRun], metric: str, only_last: bool = False
) -> dict[Protocol, str]:
    """{protocol: its name in words} of all rows that have the metric, in the order of the runs.

    With `only_last` the last row of each seed counts, as in tables.
    """
    seeds = [folder.evaluated_rows() for run in runs for folder in run.folders]
    rows = [row for rows in seeds for row in (rows[-1:] if only_last else rows)]
    found = dict.fromkeys(protocol_of(row, metric) for row in rows if row.get(metric) is not None)
    names = {protocol: _describe(protocol) for protocol in found}
    if len(set(names.values())) == len(names):
        return names
    return {protocol: _describe(protocol, _differing(found)) for protocol in found}


def marks(protocols: Iterable[Protocol]) -> dict[Protocol, str]:
    """{protocol: suffix}: "" if there is one protocol, otherwise " [1]", " [2]" ..."""
    protocols = list(protocols)
    if len(protocols) < 2:
        return dict.fromkeys(protocols, "")
    return {protocol: f" [{number}]" for number, protocol in enumerate(protocols, start=1)}


def notes(names: Mapping[Protocol, str]) -> list[str]:
    """The names of several protocols, each with its mark: texts such as "[1] 297 test images"."""
    marked = marks(names)
    return [f"{marked[protocol]} {name}".strip() for protocol, name in names.items() if name]


def _differing(protocols: Iterable[Protocol]) -> list[str]:
    """The hidden parts that are not the same in all protocols."""
    values = [dict(protocol) for protocol in protocols]
    return [part for part in _HIDDEN if len({str(v.get(part)) for v in values}) > 1]


def _describe(protocol: Protocol, shown: Sequence[str] = ()) -> str:
    parts = dict(protocol)
    if "features" in parts:
        images = f"{parts['real_images']} real and {parts['fake_images']} generated images"
        words = [f"{parts['features']}\n{images}"]
    else:
        words = [f"{parts['real_images']} test images"] if parts else []
    return ", ".join(words + [f"{part} {parts.get(part)}" for part in shown])
