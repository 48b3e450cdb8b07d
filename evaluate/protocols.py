"""Which values of a metric may be compared: those that one protocol made. See `name_protocols`."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from evaluate.metrics.table import METRICS
from train.runs.experiment import MeasuredRun

Protocol = tuple[tuple[str, Any], ...]
_RESOLUTION = "resolution"  # rows of older runs have none
_HIDDEN = ("features_sha256", "real_images_sha256", "resize", "split")  # unless only they differ


def protocol_of(
    row: Mapping[str, Any], metric: str, protocols: Iterable[Protocol] = ()
) -> Protocol:
    """The parts of a row's protocol on which a metric depends.

    A row without a resolution belongs to the only one of `protocols` that is equal otherwise. If
    there are several, nobody knows which one made it, and it keeps a protocol of its own.
    """
    protocol = _parts(row.get("protocol", {}), METRICS[metric].protocol)
    fitting = [other for other in protocols if is_same_protocol(dict(protocol), dict(other))]
    return fitting[0] if protocol not in fitting and len(fitting) == 1 else protocol


def is_same_protocol(first: Mapping[str, Any], second: Mapping[str, Any]) -> bool:
    """Whether all parts are equal; a missing resolution is unknown and equals any."""
    unknown = {} if first.get(_RESOLUTION) and second.get(_RESOLUTION) else {_RESOLUTION: None}
    return {**first, **unknown} == {**second, **unknown}


def name_protocols(
    runs: Sequence[MeasuredRun], metric: str, only_last: bool = False
) -> dict[Protocol, str]:
    """{protocol: its name in words} of all rows that have the metric, in the order of the runs.

    With `only_last` the last row of each seed counts, as in tables.
    """
    seeds = [folder.evaluated_rows() for run in runs for folder in run.folders]
    rows = [row for rows in seeds for row in (rows[-1:] if only_last else rows)]
    measured = [row for row in rows if row.get(metric) is not None]
    all_known = _with_resolution(protocol_of(row, metric) for row in measured)
    found = dict.fromkeys(protocol_of(row, metric, all_known) for row in measured)
    resolutions = {dict(protocol).get(_RESOLUTION) for protocol in found}
    names = {protocol: _describe(protocol, len(resolutions) > 1) for protocol in found}
    if len(set(names.values())) == len(names):
        return names
    hidden = _differing(found)
    return {
        protocol: ", ".join([name, *(f"{part} {dict(protocol).get(part)}" for part in hidden)])
        for protocol, name in names.items()
    }


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


def _parts(protocol: Mapping[str, Any], names: Iterable[str]) -> Protocol:
    return tuple((part, protocol.get(part)) for part in names)


def _with_resolution(protocols: Iterable[Protocol]) -> list[Protocol]:
    return [p for p in dict.fromkeys(protocols) if dict(p).get(_RESOLUTION) is not None]


def _differing(protocols: Iterable[Protocol]) -> list[str]:
    """The hidden parts that are not the same in all protocols."""
    values = [dict(protocol) for protocol in protocols]
    return [part for part in _HIDDEN if len({str(v.get(part)) for v in values}) > 1]


def _describe(protocol: Protocol, with_resolution: bool) -> str:
    """The images, and the features if there are any, in words; "" for a metric of no images."""
    parts = dict(protocol)
    if not parts:
        return ""
    if "features" in parts:
        images = f"{parts['real_images']} real and {parts['fake_images']} generated images"
    elif "real_images" in parts:
        images = f"{parts['real_images']} test images"
    else:
        images = f"{parts['fake_images']} generated images"
    if with_resolution:
        size = parts[_RESOLUTION]
        images = f"{f'{size}x{size}' if size else 'unknown resolution'}, {images}"
    return f"{parts['features']}\n{images}" if "features" in parts else images
