"""Priors, scale, window and entropy."""

import math
from pathlib import Path

import numpy as np
import pytest

from models.latent import (
    append_row,
    differential_entropy,
    informative_elements,
    latent_scale,
    recovered_squares,
    sample_prior,
)

PUBLISHED = Path(__file__).parent / "recorded" / "celeba128_normal_dls_dg_variance.npy"


def test_scale_by_hand():
    # sqrt(v) = (0.5, 0.1, 0.1), its norm sqrt(0.27); times sqrt(3)
    scale = latent_scale(np.array([0.25, 0.01, 0.01], np.float32))
    np.testing.assert_allclose(scale, np.array([0.5, 0.1, 0.1]) * math.sqrt(3 / 0.27), rtol=1e-6)


def test_scale_has_mean_square_one_and_is_one_for_equal_variances():
    variance = np.random.default_rng(0).uniform(0.0, 1.0, 512).astype(np.float32)
    assert np.mean(np.square(latent_scale(variance))) == pytest.approx(1.0, rel=1e-5)
    np.testing.assert_allclose(latent_scale(np.full(512, 0.3, np.float32)), 1.0, rtol=1e-5)


@pytest.mark.parametrize(("prior", "expected"), [("normal", 726.497), ("uniform", 636.136)])
def test_greatest_entropy_of_512_elements(prior, expected):
    entropy = differential_entropy(np.ones(512, np.float32), prior)
    assert float(entropy) == pytest.approx(expected, abs=1e-2)


def test_entropy_of_an_unscaled_uniform_is_the_log_of_its_width():
    assert float(differential_entropy(np.array([2.0]), "uniform")) == pytest.approx(
        math.log(4 * math.sqrt(3))
    )


def test_published_variance_window():
    """The authors' trained model ("DLS, DG", normal prior): where the paper's training ends."""
    variance = np.load(PUBLISHED)
    assert float(differential_entropy(latent_scale(variance), "normal")) == pytest.approx(
        209.205, abs=0.01
    )
    assert int(informative_elements(variance)) == 26
    assert np.sum((variance > 0.1) & (variance <= 0.5)) == 0


@pytest.mark.parametrize("prior", ["normal", "uniform"])
def test_priors_have_mean_0_and_variance_1(prior):
    latents = np.asarray(sample_prior((20000, 4), prior, seed=1))
    np.testing.assert_allclose(latents.mean(axis=0), 0.0, atol=0.03)
    np.testing.assert_allclose(latents.var(axis=0), 1.0, atol=0.03)
    fourth_moment = {"normal": 3.0, "uniform": 9.0 / 5.0}[prior]
    assert np.mean(latents**4) == pytest.approx(fourth_moment, rel=0.03)
    if prior == "uniform":
        assert np.abs(latents).max() <= math.sqrt(3.0)


def test_unknown_prior():
    with pytest.raises(ValueError, match=r"normal.*uniform.*Received: 'cauchy'"):
        sample_prior((1, 1), "cauchy")


def test_window_drops_its_oldest_row_and_gains_the_mean_square():
    window = np.array([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]], np.float32)
    recovered = np.array([[1.0, -2.0], [3.0, 4.0]], np.float32)
    expected = [[3.0, 4.0], [5.0, 6.0], [5.0, 10.0]]
    np.testing.assert_array_equal(append_row(window, recovered_squares(recovered)), expected)


def test_informative_elements_have_variance_above_a_half():
    assert int(informative_elements(np.array([0.49, 0.5, 0.51, 1.2]))) == 2
