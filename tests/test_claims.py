"""The paper's claims on made-up rows, where each verdict is known by hand."""

import json
import math
from types import SimpleNamespace

import pytest

from evaluate.claims import CLAIMS, check_claims
from evaluate.report.claims_table import claims_in_markdown, print_claims
from evaluate.report.page import write_report
from tests.conftest import PROTOCOL, write_measured_run
from train.runs.experiment import MeasuredRun, read_runs

METHODS = ("dls_dg", "dls_d", "mse_dg", "mse_d")


def row(epoch=1, protocol=PROTOCOL, **metrics):
    """A metric is a number without an interval, or (number, half its interval)."""
    numbers = {n: v[0] if isinstance(v, tuple) else v for n, v in metrics.items()}
    intervals = {n: [v[0] - v[1], v[0] + v[1]] for n, v in metrics.items() if isinstance(v, tuple)}
    return numbers | {"epoch": epoch, "protocol": protocol, "intervals": intervals}


def made_up(rows_of, prior="normal"):
    """The runs of {method: {seed: rows}}; rows alone are of seed 0."""
    runs = []
    for method, by_seed in rows_of.items():
        by_seed = by_seed if isinstance(by_seed, dict) else {0: by_seed}
        folders = [
            SimpleNamespace(seed=str(seed), evaluated_rows=lambda rows=rows: rows)
            for seed, rows in by_seed.items()
        ]
        runs.append(MeasuredRun(f"{prior}_{method}", method, folders, None))
    return runs


def result_of(rows_of, number, metric, prior="normal"):
    (result,) = [
        result
        for result in check_claims(made_up(rows_of, prior))
        if (result.claim.number, result.claim.metric) == (number, metric)
    ]
    return result


def of_all(metric, values, epoch=1):
    """Rows of the four methods, one epoch each."""
    return {m: [row(epoch, **{metric: v})] for m, v in zip(METHODS, values, strict=True)}


def fresh(**values):
    """Rows of L_enc of fresh latents by method: a value for each epoch, from 1."""
    return {
        method: [row(epoch, fresh_encoder_loss=value) for epoch, value in enumerate(series, 1)]
        for method, series in values.items()
    }


@pytest.mark.parametrize(
    ("first", "second", "half", "verdict"),
    [
        ((0.5, 0.03), (0.6, 0.04), 0.05, "holds"),
        ((0.56, 0.03), (0.6, 0.04), 0.05, "within noise"),
        ((0.5, 0.0), (0.5, 0.0), 0.0, "within noise"),  # zero is in the interval
        ((0.64, 0.03), (0.6, 0.04), 0.05, "within noise"),
        ((0.7, 0.03), (0.6, 0.04), 0.05, "does not hold"),
        ((0.5, 0.03), 0.6, None, "not measured"),  # no interval
    ],
)
def test_a_difference_of_one_seed_has_the_intervals_of_the_images(first, second, half, verdict):
    result = result_of(fresh(dls_dg=[first], dls_d=[second]), "2c", "fresh_encoder_loss")
    value = first[0] - (second[0] if isinstance(second, tuple) else second)
    assert result.effect == pytest.approx((value, half), abs=1e-12)
    assert (result.verdict, result.methods) == (verdict, ("dls_dg", "dls_d"))
    assert (result.as_claimed, result.seeds) == (value < 0, 1)


@pytest.mark.parametrize(
    ("differences", "half", "verdict", "as_claimed"),
    [  # Student's 97.5 % quantiles: 12.706 with one degree of freedom, 4.303 with two
        ((-1.0, -1.1, -0.9), 4.303 * 0.1 / math.sqrt(3), "holds", 3),
        ((-1.0, -2.0, -3.0), 4.303 * 1.0 / math.sqrt(3), "within noise", 3),
        ((-2.0, 1.0, -2.0), 4.303 * math.sqrt(3) / math.sqrt(3), "within noise", 2),
        ((1.0, 1.1, 0.9), 4.303 * 0.1 / math.sqrt(3), "does not hold", 0),
        ((-1.0, -1.2), 12.706 * 0.1 * math.sqrt(2) / math.sqrt(2), "within noise", 2),
    ],
)
def test_several_seeds_have_students_interval_of_paired_differences(
    differences, half, verdict, as_claimed
):
    """The seeds themselves are far apart, and the rows need no intervals."""
    base = {seed: 10.0 * seed for seed in range(len(differences))}
    rows_of = {
        "dls_d": {s: [row(fresh_encoder_loss=value)] for s, value in base.items()},
        "dls_dg": {s: [row(fresh_encoder_loss=base[s] + d)] for s, d in enumerate(differences)},
    }
    result = result_of(rows_of, "2c", "fresh_encoder_loss")
    mean = sum(differences) / len(differences)
    assert result.effect == pytest.approx((mean, half), rel=1e-3)
    assert (result.verdict, result.as_claimed, result.seeds) == (verdict, as_claimed, len(base))


def test_only_seeds_that_both_runs_have_and_finished_count():
    def rows_until(last, value):
        return [row(epoch, fresh_encoder_loss=(value, 0.01)) for epoch in range(1, last + 1)]

    rows_of = {
        "dls_dg": {0: rows_until(3, 0.5), 1: rows_until(3, 0.7), 2: rows_until(3, 0.1), 9: []},
        "dls_d": {0: rows_until(4, 0.6), 1: rows_until(2, 0.0), 7: rows_until(3, 0.0), 9: []},
    }
    result = result_of(rows_of, "2c", "fresh_encoder_loss")
    assert result.effect == pytest.approx((-0.1, math.hypot(0.01, 0.01)))  # of seed 0, epoch 3
    assert (result.verdict, result.as_claimed, result.seeds) == ("holds", 1, 3)


@pytest.mark.parametrize(
    ("fids", "effect", "verdict"),
    [  # those of DLS, DG; DLS, D; No DLS, DG; No DLS, D
        ((110, 100, 95, 100), (10.0, 0.0), "holds"),
        ((80, 100, 100, 100), (-20.0, 0.0), "holds"),
        (((110, 6), 100, 95, (100, 8)), (10.0, math.hypot(6, 8.8)), "holds"),
        (((120, 6), 100, 95, (100, 8)), (20.0, math.hypot(6, 9.6)), "within noise"),
        (((150, 6), 100, 95, (100, 8)), (50.0, math.hypot(6, 12)), "does not hold"),
        ((50, 100, 95, 100), (-50.0, 0.0), "does not hold"),
        ((50, 100, None, 100), None, "not measured"),
        ((50, 100, 100, 0), None, "not measured"),  # no share of nothing
    ],
)
def test_fids_differ_little_within_a_quarter(fids, effect, verdict):
    values = [(v, 0.0) if isinstance(v, int) else v for v in fids]
    result = result_of(of_all("fid", values), "1", "fid")
    assert result.effect == (pytest.approx(effect) if effect else None)
    assert result.verdict == verdict


@pytest.mark.parametrize(
    ("one", "other", "verdict", "weakest"),
    [
        ((0.98, 0.01), (0.95, 0.01), "holds", "mse_d"),
        ((1.04, 0.01), (1.02, 0.09), "within noise", "mse_d"),
        ((0.85, 0.01), (0.99, 0.01), "does not hold", "mse_dg"),
        ((0.99, 0.01), (1.2, 0.09), "does not hold", "mse_d"),
        ((0.92, 0.03), (0.99, 0.01), "within noise", "mse_dg"),
    ],
)
def test_without_dls_the_weaker_run_must_be_near_one(one, other, verdict, weakest):
    result = result_of(fresh(mse_dg=[(3.0, 0.1), one], mse_d=[other]), "2a", "fresh_encoder_loss")
    assert (result.verdict, result.methods) == (verdict, (weakest,))


@pytest.mark.parametrize(
    ("series", "effect", "verdict"),
    [
        ([(1.2, 0.03), (0.3, 0.5), (0.9, 0.04)], (-0.3, 0.05), "holds"),
        ([(1.2, 0.03), (1.17, 0.04)], (-0.03, 0.05), "within noise"),
        ([(1.2, 0.03), (1.3, 0.04)], (0.1, 0.05), "does not hold"),
        ([(1.2, 0.03)], None, "not measured"),  # one epoch does not fall
    ],
)
def test_with_dls_the_last_epoch_is_below_the_first(series, effect, verdict):
    better = [(9.0, 0.1), *[(1.0, 0.1)] * (len(series) - 1)]
    result = result_of(fresh(dls_dg=better, dls_d=series), "2b", "fresh_encoder_loss")
    assert result.effect == (pytest.approx(effect) if effect else None)
    assert result.verdict == verdict


def test_entropy_is_compared_over_all_epochs_with_an_interval():
    """An interval is missing where the variance window had initial rows, or in older rows."""

    def rows_of(*values):
        return [row(epoch, latent_entropy=value) for epoch, value in enumerate(values, 1)]

    halves = math.hypot(0.3, 0.4), math.hypot(0.6, 0.8)
    lower = rows_of(9.0, (4.0, 0.3), (2.0, 0.6))
    higher = rows_of(1.0, (5.0, 0.4), (5.0, 0.8), (9.0, 0.1))
    result = result_of({"dls_dg": lower, "dls_d": higher}, "3", "latent_entropy")
    assert result.effect == pytest.approx((-2.0, sum(halves) / 2))
    assert result.verdict == "holds"
    older = {"dls_dg": rows_of(3.0, 2.0), "dls_d": rows_of(5.0, 1.0)}
    result = result_of(older, "3", "latent_entropy")
    assert (result.effect, result.verdict) == ((-0.5, None), "not measured")
    seeds = {method: {0: rows, 1: rows} for method, rows in older.items()}
    result = result_of(seeds, "3", "latent_entropy")
    assert (result.effect, result.verdict, result.as_claimed) == ((-0.5, 0.0), "holds", 2)


@pytest.mark.parametrize("metric", ["fake_psnr", "fake_ssim", "real_psnr", "real_ssim"])
def test_reconstruction_shows_the_pair_with_the_weakest_effect(metric):
    number = "4a" if metric.startswith("fake") else "5"
    rows_of = of_all(metric, [(20, 0.3), (10, 0.4), (19, 0.4), (16, 0.4)])
    result = result_of(rows_of, number, metric)
    assert (result.verdict, result.methods) == ("holds", ("dls_dg", "mse_dg"))
    assert result.effect == pytest.approx((1.0, 0.5))
    rows_of |= {"mse_d": [row(**{metric: (20.1, 0.4)})]}
    result = result_of(rows_of, number, metric)
    assert (result.verdict, result.methods) == ("within noise", ("dls_dg", "mse_d"))
    rows_of |= {"mse_dg": [row(**{metric: (21.0, 0.4)})]}
    result = result_of(rows_of, number, metric)
    assert (result.verdict, result.methods) == ("does not hold", ("dls_dg", "mse_dg"))


def test_dg_is_compared_with_d_in_both():
    rows_of = of_all("fake_psnr", [(20, 0.3), (10, 0.4), (19, 0.3), (19.2, 0.4)])
    result = result_of(rows_of, "4b", "fake_psnr")
    assert (result.verdict, result.methods) == ("within noise", ("mse_dg", "mse_d"))


def test_a_seed_counts_if_all_effects_of_the_claim_are_as_claimed():
    """DLS, DG is best in seed 0 only: in 1 and 2 it is behind another run each."""
    values = {"dls_dg": (9, 9, 9), "dls_d": (1, 9.5, 1), "mse_dg": (1, 1, 9.5), "mse_d": (1, 1, 1)}
    rows_of = {m: {s: [row(real_psnr=v)] for s, v in enumerate(x)} for m, x in values.items()}
    result = result_of(rows_of, "5", "real_psnr")
    assert (result.as_claimed, result.seeds) == (1, 3)
    rows_of["mse_d"][0] = [row(real_psnr=math.nan)]
    assert result_of(rows_of, "5", "real_psnr").as_claimed == 0


@pytest.mark.parametrize(
    ("correlation", "verdict"),
    [
        ((0.8, 0.3), "holds"),
        ((0.2, 0.3), "within noise"),
        ((-0.5, 0.3), "does not hold"),
        (None, "not measured"),
    ],
)
def test_importance_follows_the_scale(correlation, verdict):
    name = "scale_importance_correlation"
    rows_of = {"dls_dg": [row(**{name: correlation})], "dls_d": [row()]}
    assert result_of(rows_of, "6", name).verdict == verdict


def test_an_interval_that_a_bound_cuts_is_taken_as_wide_as_its_other_side():
    name = "scale_importance_correlation"
    cut = row(**{name: 0.9}) | {"intervals": {name: [-0.1, 1.0]}}
    result = result_of({"dls_dg": [cut], "dls_d": [row()]}, "6", name)
    assert result.effect == pytest.approx((0.9, 1.0))
    assert result.verdict == "within noise"


BETTER, WORSE = [row(1, fake_psnr=(30.0, 0.1)), row(3, fake_psnr=(30.0, 0.1))], (20.0, 0.1)


@pytest.mark.parametrize(
    ("other", "verdict"),
    [
        ([row(3, fake_psnr=WORSE)], "holds"),  # nothing is missing
        ([row(3)], "not measured"),  # as older rows
        ([row(3, fake_psnr=None)], "not measured"),
        ([row(3, fake_psnr=math.nan)], "not measured"),
        ([row(3, fake_psnr=-math.inf)], "not measured"),
        ([row(1, fake_psnr=WORSE), row(3, fake_psnr=None)], "not measured"),
        ([row(3, fake_psnr=(20.0, math.nan))], "not measured"),
        ([row(3, fake_psnr=20.0) | {"intervals": {"fake_psnr": None}}], "not measured"),
        ([row(3, PROTOCOL | {"fake_images": 7}, fake_psnr=WORSE)], "not measured"),
        ([row(2, fake_psnr=WORSE)], "not measured"),  # no epoch that both measured
        ({1: [row(3, fake_psnr=WORSE)]}, "not measured"),  # no seed that both have
        ([], "not measured"),
        (None, "not measured"),  # no such run
    ],
)
def test_what_is_missing_gives_no_verdict(other, verdict):
    """Though the claim holds without DLS."""
    rows_of = {"dls_dg": BETTER, "mse_dg": BETTER, "mse_d": [row(3, fake_psnr=WORSE)]}
    rows_of |= {} if other is None else {"dls_d": other}
    result = result_of(rows_of, "4b", "fake_psnr")
    assert result.verdict == verdict
    if verdict == "not measured":
        assert result.methods == ("dls_dg", "dls_d")


def test_seeds_without_a_number_are_left_out_and_do_not_count_as_claimed():
    lower = {seed: [row(fresh_encoder_loss=0.5 + 0.01 * seed)] for seed in range(4)}
    higher = {seed: [row(fresh_encoder_loss=0.9)] for seed in range(4)}
    higher[3] = [row(fresh_encoder_loss=math.nan)]
    result = result_of({"dls_dg": lower, "dls_d": higher}, "2c", "fresh_encoder_loss")
    assert result.effect == pytest.approx((-0.39, 4.303 * 0.01 / math.sqrt(3)), rel=1e-3)
    assert (result.verdict, result.as_claimed, result.seeds) == ("holds", 3, 4)
    missing = dict.fromkeys(range(4), higher[3])
    result = result_of({"dls_dg": lower, "dls_d": missing}, "2c", "fresh_encoder_loss")
    assert (result.effect, result.verdict, result.as_claimed) == (None, "not measured", 0)


def test_a_metric_is_compared_by_the_parts_of_the_protocol_that_it_depends_on():
    other = PROTOCOL | {"features": "others", "resolution": 16}
    rows_of = {
        "dls_dg": [row(fake_psnr=(20.0, 0.1), fresh_encoder_loss=(0.5, 0.1), protocol=other)],
        "dls_d": [row(fake_psnr=(10.0, 0.1), fresh_encoder_loss=(0.9, 0.1))],
        "mse_dg": [row(fake_psnr=(10.0, 0.1))],
        "mse_d": [row(fake_psnr=(10.0, 0.1))],
    }
    assert result_of(rows_of, "2c", "fresh_encoder_loss").verdict == "holds"
    assert result_of(rows_of, "4a", "fake_psnr").verdict == "holds"  # older rows: no resolution


def test_nothing_is_said_of_runs_that_no_claim_compares():
    one = [row(fake_psnr=(20.0, 0.1), fresh_encoder_loss=(1.0, 0.1))]
    assert check_claims(made_up({"dls_dg": one})) == []
    assert check_claims(made_up({"dls_d": one, "mse_dg": one})) == []
    assert check_claims(made_up({"dls_dg": one}) + made_up({"dls_d": one}, "uniform")) == []
    own = made_up({"dls_dg": one, "dls_d": one}, prior="my")
    assert check_claims(own) == []


def test_priors_are_judged_apart():
    pair = fresh(dls_dg=[(0.5, 0.1)], dls_d=[(0.9, 0.1)])
    reverse = fresh(dls_dg=[(0.9, 0.1)], dls_d=[(0.5, 0.1)])
    results = check_claims(made_up(pair) + made_up(reverse, "uniform"))
    assert [(r.claim, r.prior) for r in results] == [
        (claim, prior) for claim in CLAIMS for prior in ("normal", "uniform")
    ]
    verdicts = {r.prior: r.verdict for r in results if r.claim.number == "2c"}
    assert verdicts == {"normal": "holds", "uniform": "does not hold"}


@pytest.fixture
def results():
    rows_of = of_all("real_psnr", [(20.0, 0.3), (10, 0.4), (19.0, 0.4), (16, 0.4)])
    return check_claims(made_up(rows_of) + made_up(rows_of, "uniform"))


def test_the_table_in_the_terminal_fits_80_columns(results, capsys):
    print_claims(results)
    output = capsys.readouterr().out
    lines = [" ".join(line.split()) for line in output.splitlines()]
    place = lines.index("5 Real PSNR is best with DLS, DG dB")
    assert lines[place + 1] == "normal: DLS, DG - No DLS, DG +1.00 ±0.50 1/1 holds"
    assert lines[place + 2] == "uniform: DLS, DG - No DLS, DG +1.00 ±0.50 1/1 holds"
    assert lines[place + 4] == "normal: DLS, DG - DLS, D not measured"  # SSIM
    notes = [line for line in output.splitlines() if line.startswith(("Effect", "A claim"))]
    assert len(notes) == 2
    assert max(len(line) for line in output.splitlines() if line not in notes) <= 80
    print_claims([])
    assert capsys.readouterr().out == ""


def test_the_table_in_markdown(results):
    lines = claims_in_markdown(results).splitlines()
    assert lines[0] == (
        "|  | claim | prior | verdict | effect | seeds | runs | effect on | figure |"
    )
    assert (
        "| 5 | Real PSNR is best with DLS, DG | uniform | holds | +1.00 ±0.50 dB | 1/1 "
        "| DLS, DG - No DLS, DG | PSNR | 13 |"
    ) in lines
    assert lines[2] == (
        "| 1 | FIDs differ little | normal | not measured |  |  "
        "| DLS, DG - No DLS, D | FID, relative to No DLS, D | 1 |"
    )
    assert claims_in_markdown([]) == ""


def test_the_notes_say_over_what_intervals_are(capsys):
    one, two = fresh(dls_dg=[0.5], dls_d=[0.9]), {}
    for method, rows in one.items():
        two[method] = {0: rows, 1: rows}
    lagging = two | {"dls_d": {0: two["dls_d"][0], 1: [row(fresh_encoder_loss=math.nan)]}}
    for runs, words in (
        (made_up(one), "interval over the images. Seeds"),
        (made_up(two), "interval over the seeds. Seeds"),
        (made_up(lagging), "interval over the images. Seeds"),  # of the seed that counts
        (made_up(one) + made_up(two, "uniform"), "seeds; with one seed over the images. Seeds"),
    ):
        print_claims(check_claims(runs))
        assert words in capsys.readouterr().out


def test_the_commands_end_with_the_claims(tmp_path, command):
    """The rows have one metric, so that there is one figure to draw."""
    experiment = tmp_path / "made"
    for method, value in (("dls_dg", 20.0), ("dls_d", 10.0)):
        for seed in (100, 101):
            folder = write_measured_run(experiment, f"normal_{method}", seed)
            rows = [row(1, fake_psnr=value + seed)]
            (folder / "metrics.jsonl").write_text("".join(json.dumps(r) + "\n" for r in rows))
    with pytest.warns(UserWarning, match="image sheets missing"):
        code, output, errors = command("figures", experiment)
    assert (code, errors) == (0, "")
    assert output.index("fake PSNR") < output.index("the paper's claims") < output.index("figures")
    markdown = (experiment / "figures" / "results.md").read_text(encoding="utf-8")
    assert markdown.endswith(claims_in_markdown(check_claims(read_runs(experiment))))
    assert "| 4b | Fake PSNR is better with DG | normal | not measured |" in markdown
    page = (experiment / "report.html").read_text(encoding="utf-8")
    assert page.count("<td>not measured</td>") == len(CLAIMS)  # without No DLS
    assert "claims</h2>" in page
    assert "claims</h2>" not in write_report(read_runs(experiment), experiment).read_text()
