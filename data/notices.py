"""What training tells about a source before it begins. See `list_notices`."""

from collections.abc import Mapping

from data.inventory import Inventory
from data.sources.base import Kind, Source, full_name

_KINDS_SHOWN = 10


def list_notices(source: Source, inventory: Inventory) -> list[str]:
    """A line each about folders, bad images and other files that are left out, unusual images."""
    notices = [f"{folder} (left out as a whole)" for folder in source.passed_over.folders]
    if bad := len(inventory.problems):
        notices.append(f"{bad} bad images are left out; `python main.py check-data` lists them")
    if inventory.remarks:
        first = min(inventory.remarks)
        notices.append(
            f"{len(inventory.remarks)} images are unusual, such as {full_name(source, first)}: "
            f"{inventory.remarks[first]}; `python main.py check-data` lists them"
        )
    if source.passed_over.kinds:
        notices.append(f"not read as images: {'; '.join(describe_kinds(source.passed_over.kinds))}")
    return notices


def describe_kinds(kinds: Mapping[str, Kind]) -> list[str]:
    """A few words about the files with each ending, the most frequent endings first."""
    by_count = sorted(kinds.items(), key=lambda item: (-item[1]["count"], item[0]))
    texts = [
        f"{kind['count']} {ending or 'without an ending'}, such as {kind['example']}"
        for ending, kind in by_count[:_KINDS_SHOWN]
    ]
    others = sum(kind["count"] for _, kind in by_count[_KINDS_SHOWN:])
    return [*texts, f"{others} with other endings"] if others else texts
