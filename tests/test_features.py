"""The feature networks behind the Fréchet distance."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from config import UserError
from data.sources import DigitImages
from evaluate import digit_classifier
from evaluate.features import load_features


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    """A folder with the trained digit classifier."""
    folder = tmp_path_factory.mktemp("features")
    digit_classifier.load_digit_classifier(folder)
    return folder


def test_the_digit_classifier_is_right_on_97_percent_of_held_out_digits(cache):
    classifier = digit_classifier.load_digit_classifier(cache)
    digits = DigitImages(16)
    probabilities = classifier(digits.images[1500:]).numpy()
    assert np.mean(probabilities.argmax(axis=1) == digits.labels[1500:]) >= 0.97


def test_the_digit_classifier_is_trained_once_and_again_only_if_damaged(cache, monkeypatch):
    def refuse(digits):
        raise AssertionError("trained again")

    original = digit_classifier.train_digit_classifier
    monkeypatch.setattr(digit_classifier, "train_digit_classifier", refuse)
    digit_classifier.load_digit_classifier(cache)

    path = cache / digit_classifier.FILE_NAME
    path.write_bytes(path.read_bytes()[:1000])
    with pytest.raises(AssertionError, match="trained again"):
        digit_classifier.load_digit_classifier(cache)
    monkeypatch.setattr(digit_classifier, "train_digit_classifier", original)
    digit_classifier.load_digit_classifier(cache)
    assert [file.name for file in cache.iterdir()] == [digit_classifier.FILE_NAME]


def test_an_inaccurate_classifier_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(digit_classifier, "held_out_accuracy", lambda *_: 0.9)
    monkeypatch.setattr(digit_classifier, "train_digit_classifier", lambda digits: None)
    with pytest.raises(RuntimeError, match=r"90\.0% on held-out digits only"):
        digit_classifier.load_digit_classifier(tmp_path)


def test_digit_features_are_the_penultimate_activations(cache):
    features = load_features("digits", cache)
    images = DigitImages(32).images[:5]
    classifier = digit_classifier.load_digit_classifier(cache)
    *others, last = classifier.layers
    expected = tf.image.resize(images, (16, 16))
    for layer in others:
        expected = layer(expected)
    np.testing.assert_allclose(features(images), expected, atol=1e-5)
    assert features(images).shape == (5, 64)
    assert last.units == 10
    assert features.protocol["features"] == "digit-classifier features"
    assert (
        features.protocol["features_sha256"]
        == load_features("digits", cache).protocol["features_sha256"]
    )


def test_inception_from_a_local_file(tmp_path):
    keras.utils.set_random_seed(0)
    inception = keras.applications.InceptionV3(include_top=False, weights=None, pooling="avg")
    path = tmp_path / "inception.weights.h5"
    inception.save_weights(path)
    images = np.random.default_rng(0).uniform(-1, 1, (2, 40, 40, 3)).astype(np.float32)
    features = load_features(f"inception_v3:{path}", tmp_path)
    expected = inception(tf.image.resize(images, (299, 299)), training=False)
    assert features(images).shape == (2, 2048)
    np.testing.assert_allclose(features(images), expected, rtol=1e-5, atol=1e-5)
    assert features.label == "InceptionV3 features, weights from inception.weights.h5"


def test_none_goes_without(tmp_path):
    assert load_features("none", tmp_path) is None


def test_inception_weights_that_are_not_there(tmp_path, monkeypatch):
    with pytest.raises(UserError, match=r"no such weight file: .*nowhere\.h5"):
        load_features(f"inception_v3:{tmp_path}/nowhere.h5", tmp_path)
    (tmp_path / "other.h5").write_bytes(b"no weights")
    with pytest.raises(UserError, match=r"other\.h5 does not hold InceptionV3's weights"):
        load_features(f"inception_v3:{tmp_path}/other.h5", tmp_path)

    def offline(**_):
        raise OSError("URL fetch failure")

    monkeypatch.setattr(keras.applications, "InceptionV3", offline)
    with pytest.raises(UserError, match=r"could not be downloaded; save https.*notop\.h5 and set"):
        load_features("inception_v3", tmp_path)
