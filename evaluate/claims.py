"""The paper's claims (sections 4.2 and 4.3) as checks on recorded rows. See `check_claims`."""

import math
from collections.abc import Mapping, Sequence
from typing import Literal, NamedTuple, get_args

from config import PAPER_RUNS
from evaluate.effects import (
    Effect,
    Measure,
    Rows,
    change,
    difference,
    distance_from_one,
    final_value,
    mean_difference,
    mean_over_seeds,
    relative_difference,
)
from evaluate.metrics.table import IMPORTANCE
from train.runs.experiment import MeasuredRun

MOST_FID_DIFFERENCE = 25.0  # percent: "little"
MOST_ENCODER_LOSS_DISTANCE = 0.1  # "near 1"
Verdict = Literal["not measured", "does not hold", "within noise", "holds"]  # weakest first
RowsBySeed = Mapping[str, Rows]
Methods = tuple[str, ...]  # ends of the names of one run or of two

_PRIORS = tuple(dict.fromkeys(name.partition("_")[0] for name in PAPER_RUNS))


class Claim(NamedTuple):
    """A statement of the paper, and the range in which the effects must be for it to hold.

    `measure` makes an effect of the rows of each run, or each pair of runs, in `methods`.
    """

    number: str
    sentence: str
    quantity: str
    unit: str
    figures: Mapping[str, int]  # of the paper, by prior
    metric: str
    measure: Measure
    methods: Sequence[Methods]
    claimed: tuple[float, float]

    def includes(self, effect: Effect | None) -> bool:
        """Whether an effect, of whatever interval, is in the claimed range."""
        low, high = self.claimed
        return effect is not None and low < effect.value < high

    def margin(self, effect: Effect) -> float:
        """How far inside the claimed range the interval is; not positive if an end is not."""
        low, high = self.claimed
        return min(effect.value - effect.half - low, high - (effect.value + effect.half))

    def judge(self, effect: Effect | None) -> Verdict:
        """Holds if the interval is inside the claimed range, does not hold if it is outside."""
        if effect is None or effect.half is None:
            return "not measured"
        if self.margin(effect) > 0:
            return "holds"
        low, high = self.claimed
        is_outside = effect.value + effect.half < low or effect.value - effect.half > high
        return "does not hold" if is_outside else "within noise"

    def strength(self, effect: Effect | None) -> tuple[int, float]:
        """What orders effects from the weakest to the strongest."""
        verdict = self.judge(effect)
        margin = 0.0 if verdict == "not measured" else self.margin(effect)
        return get_args(Verdict).index(verdict), margin


def _both(first: int) -> dict[str, int]:
    """The numbers of a figure that the paper shows for both priors."""
    return {prior: first + offset for offset, prior in enumerate(_PRIORS)}


_DLS, _NO_DLS = [("dls_dg",), ("dls_d",)], [("mse_dg",), ("mse_d",)]
_AGAINST_BASELINE = [(method, "mse_d") for method in ("dls_dg", "dls_d", "mse_dg")]
_DG_WITH_DLS = [("dls_dg", "dls_d")]
_DG = [*_DG_WITH_DLS, ("mse_dg", "mse_d")]
_BEST = [("dls_dg", other) for other in ("dls_d", "mse_dg", "mse_d")]
_LITTLE = (-MOST_FID_DIFFERENCE, MOST_FID_DIFFERENCE)
_NEAR = (-MOST_ENCODER_LOSS_DISTANCE, MOST_ENCODER_LOSS_DISTANCE)
_BELOW, _ABOVE = (-math.inf, 0.0), (0.0, math.inf)
_FRESH = "fresh_encoder_loss"  # L_enc of training has no interval

CLAIMS = (
    Claim("1", "FIDs differ little", "FID, relative to No DLS, D", "%",
          _both(1), "fid", relative_difference, _AGAINST_BASELINE, _LITTLE),
    Claim("2a", "L_enc stays near 1 without DLS", "fresh L_enc, minus 1", "",
          _both(3), _FRESH, distance_from_one, _NO_DLS, _NEAR),
    Claim("2b", "L_enc falls with DLS", "fresh L_enc, last minus first epoch", "",
          _both(3), _FRESH, change, _DLS, _BELOW),
    Claim("2c", "With DLS, L_enc is lower with DG", "fresh L_enc", "",
          _both(3), _FRESH, difference, _DG_WITH_DLS, _BELOW),
    Claim("3", "Entropy falls faster with DG", "entropy, mean over the epochs", "nats",
          _both(5), "latent_entropy", mean_difference, _DG_WITH_DLS, _BELOW),
    Claim("4a", "Fake PSNR is best with DLS, DG", "PSNR", "dB",
          _both(7), "fake_psnr", difference, _BEST, _ABOVE),
    Claim("4a", "Fake SSIM is best with DLS, DG", "SSIM", "",
          _both(9), "fake_ssim", difference, _BEST, _ABOVE),
    Claim("4b", "Fake PSNR is better with DG", "PSNR", "dB",
          _both(7), "fake_psnr", difference, _DG, _ABOVE),
    Claim("4b", "Fake SSIM is better with DG", "SSIM", "",
          _both(9), "fake_ssim", difference, _DG, _ABOVE),
    Claim("5", "Real PSNR is best with DLS, DG", "PSNR", "dB",
          _both(12), "real_psnr", difference, _BEST, _ABOVE),
    Claim("5", "Real SSIM is best with DLS, DG", "SSIM", "",
          _both(14), "real_ssim", difference, _BEST, _ABOVE),
    Claim("6", "Elements of larger s matter more", "rank correlation with s", "",
          {"normal": 17}, IMPORTANCE, final_value, [("dls_dg",)], _ABOVE),
)  # fmt: skip


class Result(NamedTuple):
    """The verdict on a claim for one prior.

    `effect` is the weakest of the claim's effects, that of the runs `methods`: the mean of
    `averaged` seeds. `seeds` is how many seeds the runs share; in `as_claimed` of them all effects
    are in the claimed range.
    """

    claim: Claim
    prior: str
    methods: Methods
    effect: Effect | None
    averaged: int
    as_claimed: int
    seeds: int
    verdict: Verdict


def check_claims(runs: Sequence[MeasuredRun]) -> list[Result]:
    """The verdicts on all claims, for each prior with a pair of runs that one of them compares.

    `runs` are those of one experiment; the paper's count. With one seed, intervals are over images;
    with several, over the seeds that the runs of a pair share.
    """
    rows = {run.name: _read_rows(run) for run in runs if run.is_paper_run}
    by_prior = {
        prior: {
            name.removeprefix(f"{prior}_"): r for name, r in rows.items() if name.startswith(prior)
        }
        for prior in _PRIORS
    }
    pairs = {methods for claim in CLAIMS for methods in claim.methods if len(methods) == 2}
    return [
        _check(claim, prior, by_method)
        for claim in CLAIMS
        for prior, by_method in by_prior.items()
        if any(_shared_rows(by_method, pair) for pair in pairs)
    ]


def _read_rows(run: MeasuredRun) -> RowsBySeed:
    return {
        folder.seed: {row["epoch"]: row for row in folder.evaluated_rows()}
        for folder in run.folders
    }


def _check(claim: Claim, prior: str, by_method: Mapping[str, RowsBySeed]) -> Result:
    measured = {methods: _measure_seeds(claim, by_method, methods) for methods in claim.methods}
    counted = {
        methods: [effect for effect in by_seed.values() if effect]
        for methods, by_seed in measured.items()
    }
    effects = {methods: mean_over_seeds(each) for methods, each in counted.items()}
    weakest = min(effects, key=lambda methods: claim.strength(effects[methods]))
    seeds = set().union(*measured.values())
    as_claimed = [
        all(claim.includes(by_seed.get(seed)) for by_seed in measured.values()) for seed in seeds
    ]
    effect = effects[weakest]
    return Result(
        claim,
        prior,
        weakest,
        effect,
        averaged=len(counted[weakest]),
        as_claimed=sum(as_claimed),
        seeds=len(seeds),
        verdict=claim.judge(effect),
    )


def _measure_seeds(
    claim: Claim, by_method: Mapping[str, RowsBySeed], methods: Methods
) -> dict[str, Effect | None]:
    """The effect of one run or pair by seed; None for a seed that has not got as far as others."""
    shared = _shared_rows(by_method, methods)
    last = {
        seed: max(set.intersection(*map(set, runs)), default=0) for seed, runs in shared.items()
    }
    furthest = max(last.values(), default=0)
    return {
        seed: claim.measure(claim.metric, furthest, runs) if 0 < last[seed] == furthest else None
        for seed, runs in shared.items()
    }


def _shared_rows(by_method: Mapping[str, RowsBySeed], methods: Methods) -> dict[str, list[Rows]]:
    """The rows of each of the methods, by the seeds that all of them have."""
    runs = [by_method.get(method, {}) for method in methods]
    return {seed: [run[seed] for run in runs] for seed in runs[0] if all(seed in r for r in runs)}
