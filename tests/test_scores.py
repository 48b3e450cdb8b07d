"""Neighbour metrics, KID, Inception Score and bootstrap intervals against their definitions."""

import numpy as np
import pytest

from evaluate.metrics.bootstrap import interval
from evaluate.metrics.correlation import rank_correlation
from evaluate.metrics.precision_recall import neighbour_metrics, precision_recall
from evaluate.metrics.scores import inception_score, kernel_inception_distance


@pytest.fixture
def clouds():
    """500 real and 400 fake samples that overlap partly."""
    generator = np.random.default_rng(0)
    return generator.standard_normal((500, 8)), 0.7 * generator.standard_normal((400, 8)) + 0.5


def brute_force(real, fake, k):
    """The four metrics as the papers define them, one distance at a time."""

    def distance(a, b):
        return np.sqrt(np.sum((a - b) ** 2))

    def radius(sample, others):
        return sorted(distance(sample, other) for other in others)[k]  # the first is itself

    real_radii = [radius(x, real) for x in real]
    fake_radii = [radius(x, fake) for x in fake]
    between = np.array([[distance(f, r) for r in real] for f in fake])
    within_real = between <= np.array(real_radii)
    within_fake = between <= np.array(fake_radii)[:, None]
    return {
        "precision": within_real.any(axis=1).mean(),
        "recall": within_fake.any(axis=0).mean(),
        "density": within_real.sum() / (k * len(fake)),
        "coverage": within_real.any(axis=0).mean(),
    }


def test_neighbour_metrics_equal_brute_force(clouds):
    real, fake = clouds
    expected = brute_force(real, fake, k=3)
    metrics = {name: x.mean() for name, x in neighbour_metrics(real, fake)._asdict().items()}
    assert metrics == pytest.approx(expected, abs=1e-12)
    assert precision_recall(real, fake) == (metrics["precision"], metrics["recall"])
    assert 0.1 < metrics["recall"] < metrics["precision"] < 1.0


def test_blocks_change_nothing(clouds, monkeypatch):
    whole = neighbour_metrics(*clouds)
    monkeypatch.setattr("evaluate.metrics.precision_recall._BLOCK", 7)
    for left, right in zip(whole, neighbour_metrics(*clouds), strict=True):
        np.testing.assert_array_equal(left, right)


def test_equal_and_distant_sets(clouds):
    real, _ = clouds
    assert precision_recall(real, real) == (1.0, 1.0)
    assert precision_recall(real, real + 100.0) == (0.0, 0.0)


def test_inception_score_by_hand():
    one_hot = np.eye(10)[np.arange(200) % 10]
    assert inception_score(one_hot, splits=2) == pytest.approx((10.0, 0.0))
    assert inception_score(np.full((50, 4), 0.25)) == pytest.approx((1.0, 0.0))
    rows = np.array([[0.9, 0.1], [0.3, 0.7]])
    marginal = rows.mean(axis=0)
    expected = np.exp(np.mean(np.sum(rows * np.log(rows / marginal), axis=1)))
    assert inception_score(rows, splits=1)[0] == pytest.approx(expected)


def test_kid_is_unbiased():
    """The KID of two random halves of one set has mean 0 over many ways to halve it."""
    generator = np.random.default_rng(0)
    samples = generator.standard_normal((120, 16))
    values = []
    for _ in range(300):
        halves = np.split(generator.permutation(samples), 2)
        values.append(kernel_inception_distance(*halves, subsets=1)[0])
    error = np.std(values) / np.sqrt(len(values))
    assert abs(np.mean(values)) < 3 * error
    assert min(values) < 0 < max(values)


def test_kid_by_its_formula():
    generator = np.random.default_rng(1)
    x, y = generator.standard_normal((5, 3)), generator.standard_normal((5, 3)) + 1.0

    def kernel(a, b):
        return (np.dot(a, b) / 3 + 1) ** 3

    pairs = [(i, j) for i in range(5) for j in range(5) if i != j]
    expected = (
        sum(kernel(x[i], x[j]) for i, j in pairs) / 20
        + sum(kernel(y[i], y[j]) for i, j in pairs) / 20
        - 2 * np.mean([[kernel(a, b) for b in y] for a in x])
    )
    mean, deviation = kernel_inception_distance(x, y, subsets=3)
    assert mean == pytest.approx(expected)
    assert deviation == pytest.approx(0.0, abs=1e-12)


def test_bootstrap_interval_of_a_mean_is_its_standard_error():
    values = np.random.default_rng(0).standard_normal(400)
    low, high = interval(np.mean, [values], values.mean(), replicates=2000)
    assert (low + high) / 2 == pytest.approx(values.mean())
    assert (high - low) / 2 == pytest.approx(1.96 * values.std() / 20, rel=0.06)


def test_rank_correlation_by_hand():
    values = np.array([1.0, 2.0, 4.0, 8.0])
    assert rank_correlation(values, values**2) == pytest.approx(1.0)
    assert rank_correlation(values, -values) == pytest.approx(-1.0)
    others = np.array([3.0, 1.0, 2.0, 4.0])  # ranks differ by 2, 1, 1, 0: 1 - 6 * 6 / (4 * 15)
    assert rank_correlation(values, others) == pytest.approx(0.4)
    for without_order in (np.ones(4), np.array([1.0, np.nan, 2.0, 3.0])):
        assert np.isnan(rank_correlation(values, without_order))
        assert np.isnan(rank_correlation(without_order, values))


NAN = np.full((10, 3), np.nan)


@pytest.mark.parametrize(
    ("metric", "arguments", "message"),
    [
        (precision_recall, (NAN, np.ones((10, 3))), "must be finite"),
        (precision_recall, (np.ones((3, 3)), np.ones((9, 3))), "4 samples or more"),
        (precision_recall, (np.ones((9, 3)), np.ones((9, 2))), "one width. Received: 3 .* and 2"),
        (kernel_inception_distance, (NAN, np.ones((10, 3))), "must be finite"),
        (kernel_inception_distance, (np.ones((1, 3)), np.ones((9, 3))), "2 samples or more"),
        (kernel_inception_distance, (np.ones((9, 3)), np.ones((9, 2))), "one width"),
        (inception_score, (np.full((10, 2), np.inf),), "must be finite"),
        (inception_score, (np.full((10, 2), 0.7),), "sum to 1"),
    ],
)
def test_wrong_input(metric, arguments, message):
    with pytest.raises(ValueError, match=message):
        metric(*arguments)
