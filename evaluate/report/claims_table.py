"""The verdicts on the paper's claims as a table. See `tabulate_claims` and `print_claims`."""

from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import NamedTuple

from evaluate.claims import Result
from evaluate.metrics.table import METRICS
from evaluate.report.styles import PAPER_STYLES
from evaluate.report.terminal import print_lines, print_table


class ClaimsTable(NamedTuple):
    """Texts: the titles of the columns, a row for each claim and prior, sentences about them."""

    header: list[str]
    rows: list[list[str]]
    notes: list[str]


def tabulate_claims(results: Sequence[Result]) -> ClaimsTable:
    """The table; without rows if there are no results."""
    titles = ["", "claim", "prior", "verdict", "effect", "seeds", "runs", "effect on", "figure"]
    rows = [
        [
            result.claim.number,
            result.claim.sentence,
            result.prior,
            result.verdict,
            _format_effect(result, result.claim.unit),
            _format_seeds(result),
            _name_runs(result),
            result.claim.quantity,
            str(result.claim.figures.get(result.prior, "")),
        ]
        for result in results
    ]
    return ClaimsTable(titles, rows, list(_notes(results)))


def print_claims(results: Sequence[Result]) -> None:
    """Print a narrower table on the terminal; nothing if there are no results."""
    if not results:
        return
    rows = []
    for claim, of_priors in groupby(results, key=lambda result: result.claim):
        rows.append([f"{claim.number:2} {claim.sentence}", claim.unit, "", ""])
        for result in of_priors:
            runs = f"   {result.prior}: {_name_runs(result)}"
            rows.append([runs, _format_effect(result), _format_seeds(result), result.verdict])
    print_table(["the paper's claims", "effect", "seeds", "verdict"], rows)
    print_lines(_notes(results))


def claims_in_markdown(results: Sequence[Result]) -> str:
    """The table and its notes; an empty text if there are no results."""
    if not results:
        return ""
    titles, rows, notes = tabulate_claims(results)
    lines = [titles, ["---"] * len(titles), *rows]
    table = "".join(f"| {' | '.join(line)} |\n" for line in lines)
    return "\n".join([table, *notes, ""])


def _notes(results: Sequence[Result]) -> Iterator[str]:
    have_several = {result.averaged > 1 for result in results if result.averaged}
    over = "the images"
    if True in have_several:
        over = "the seeds" + ("; with one seed over the images" if False in have_several else "")
    yield (
        f"Effect: the weakest that the claim is about, ± half a 95 % interval over {over}. "
        "Seeds: in how many all effects have the claimed sign or size."
    )
    yield (
        "A claim holds if the whole interval has the claimed sign or size. "
        "L_enc is that of fresh latents, drawn for the evaluation."
    )


def _name_runs(result: Result) -> str:
    """The run, or the pair of runs as a difference."""
    return " - ".join(PAPER_STYLES[method][0] for method in result.methods)


def _format_effect(result: Result, unit: str = "") -> str:
    if result.effect is None:
        return ""
    form = METRICS[result.claim.metric].form
    value, half = result.effect
    text = form.replace("{:", "{:+").format(value)
    return f"{text} {'' if half is None else f'±{form.format(half)} '}{unit}".strip()


def _format_seeds(result: Result) -> str:
    return f"{result.as_claimed}/{result.seeds}" if result.effect else ""
