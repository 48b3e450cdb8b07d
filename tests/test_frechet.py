"""The Fréchet distance against SciPy's matrix root and closed forms."""

import numpy as np
import pytest
import scipy.linalg

from evaluate.metrics.frechet import Moments, frechet_distance


def features(width, seed, samples=None):
    generator = np.random.default_rng(seed)
    mixing = generator.standard_normal((width, width)) / np.sqrt(width) + np.eye(width)
    samples = samples or 4 * width
    return generator.standard_normal((samples, width)) @ mixing + generator.standard_normal(width)


@pytest.mark.parametrize("ddof", [0, 1])
@pytest.mark.parametrize("width", [8, 64, 512])
def test_agrees_with_the_matrix_root(width, ddof):
    real, fake = features(width, 1), features(width, 2)
    a, b = (np.cov(x, rowvar=False, ddof=ddof) for x in (real, fake))
    root = np.real(scipy.linalg.sqrtm(a @ b))
    expected = np.sum((real.mean(0) - fake.mean(0)) ** 2) + np.trace(a + b - 2 * root)
    assert frechet_distance(real, fake, ddof) == pytest.approx(expected, rel=1e-6)


def test_one_dimension_by_hand():
    real, fake = np.array([[0.0], [2.0]]), np.array([[5.0], [9.0]])  # means 1, 7; deviations 1, 2
    assert frechet_distance(real, fake) == pytest.approx(6**2 + (1 - 2) ** 2)
    assert frechet_distance(real, fake, ddof=1) == pytest.approx(
        36 + (np.sqrt(2) - np.sqrt(8)) ** 2
    )


@pytest.mark.parametrize("batch_size", [1, 7, 64])
def test_batches_of_any_size_give_the_same_moments(batch_size):
    samples = features(8, 5, samples=100) + 50.0
    moments = Moments()
    for start in range(0, 100, batch_size):
        moments.update(samples[start : start + batch_size])
    np.testing.assert_allclose(moments.mean, samples.mean(axis=0), rtol=1e-12)
    expected = np.cov(samples, rowvar=False, ddof=1)
    np.testing.assert_allclose(moments.covariance(ddof=1), expected, rtol=1e-9)
    other = features(8, 6)
    assert frechet_distance(moments, other) == pytest.approx(frechet_distance(samples, other))


@pytest.mark.parametrize("width", [8, 64, 512])
def test_equal_sets_have_distance_0(width):
    same = features(width, 3)
    assert frechet_distance(same, same) == 0.0
    few = features(width, 3, samples=5)
    assert frechet_distance(few, few) == 0.0


def test_fewer_samples_than_features():
    distance = frechet_distance(features(64, 1, samples=10), features(64, 2, samples=10))
    assert np.isfinite(distance)
    assert distance > 0


@pytest.mark.parametrize(
    ("real", "fake", "message"),
    [
        (np.ones((4, 3)), np.ones((4, 2)), "one width. Received: 3 .* and 2"),
        (np.ones((1, 3)), np.ones((4, 3)), r"2 samples or more. Received: \(1, 3\)"),
        (np.ones(3), np.ones((4, 3)), r"Received: \(3,\)"),
        (np.full((4, 3), np.nan), np.ones((4, 3)), "must be finite"),
    ],
)
def test_wrong_input(real, fake, message):
    with pytest.raises(ValueError, match=message):
        frechet_distance(real, fake)
