"""The feature networks behind the Fréchet distance."""

import re

import keras
import numpy as np
import pytest
import tensorflow as tf

from config import UserError
from data.digits import DigitImages
from evaluate.features import classifier_file, digit_classifier
from evaluate.features.networks import load_features, load_spatial_features
from evaluate.metrics.frechet import frechet_distance, single_image_frechet_distance
from tests.conftest import FORKSERVER, flip_bits


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    """A folder with the trained digit classifier."""
    folder = tmp_path_factory.mktemp("features")
    classifier_file.load_digit_classifier(folder)
    return folder


def test_the_digit_classifier_is_right_on_97_percent_of_held_out_digits(cache):
    classifier = classifier_file.load_digit_classifier(cache)
    digits = DigitImages(16)
    probabilities = classifier(digits.pixels[1500:]).numpy()
    assert np.mean(probabilities.argmax(axis=1) == digits.labels[1500:]) >= 0.97


def test_the_digit_classifier_is_trained_once_and_again_only_if_damaged(cache, monkeypatch):
    path = cache / classifier_file.FILE_NAME
    content = path.read_bytes()
    trained = []

    def train(path):
        trained.append(path.name)
        path.write_bytes(content)

    expected = classifier_file.load_digit_classifier(cache).get_weights()
    monkeypatch.setattr(classifier_file, "_train", train)
    classifier_file.load_digit_classifier(cache)
    assert trained == []
    damaged = [b"", b"no model", content[:-1000], *flip_bits(content, 10)]
    for each in damaged:
        path.write_bytes(each)
        message = re.escape(f"{path} is damaged; the classifier is trained again")
        with pytest.warns(UserWarning, match=f"^{message}$"):
            weights = classifier_file.load_digit_classifier(cache).get_weights()
        for one, other in zip(weights, expected, strict=True):
            np.testing.assert_array_equal(one, other)
    assert trained == [classifier_file.FILE_NAME] * len(damaged)
    assert list(cache.iterdir()) == [path]


def put_weights(folder, threads, barrier, answers):
    tf.config.threading.set_intra_op_parallelism_threads(threads)
    barrier.wait()
    answers.put(classifier_file.load_digit_classifier(folder).get_weights())


@pytest.mark.long
def test_two_processes_at_once_with_1_and_3_threads_make_the_same_digit_classifier(cache, tmp_path):
    barrier, answers = FORKSERVER.Barrier(2), FORKSERVER.Queue()
    processes = [
        FORKSERVER.Process(target=put_weights, args=(tmp_path, threads, barrier, answers))
        for threads in (1, 3)
    ]
    for process in processes:
        process.start()
    expected = classifier_file.load_digit_classifier(cache).get_weights()
    for weights in [answers.get(timeout=300) for _ in processes]:
        for one, other in zip(weights, expected, strict=True):
            np.testing.assert_array_equal(one, other)
    for process in processes:
        process.join()
    assert [file.name for file in tmp_path.iterdir()] == [classifier_file.FILE_NAME]


def test_an_inaccurate_classifier_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(digit_classifier, "held_out_accuracy", lambda *_: 0.9)
    monkeypatch.setattr(digit_classifier, "train_digit_classifier", lambda digits: None)
    with pytest.raises(RuntimeError, match=r"90\.0% on held-out digits only"):
        digit_classifier.train_and_save(tmp_path / "new.keras")
    assert list(tmp_path.iterdir()) == []


def fail(path):
    raise RuntimeError("no\nluck")


def test_a_classifier_that_cannot_be_trained_gives_one_line(tmp_path, monkeypatch):
    monkeypatch.setattr(classifier_file, "_train_here", fail)
    message = "^the digit classifier cannot be trained: luck$"
    with pytest.raises(UserError, match=message):
        classifier_file.load_digit_classifier(tmp_path / "features")
    assert list((tmp_path / "features").iterdir()) == []


def test_digit_features_are_the_penultimate_activations(cache):
    features = load_features("digits", cache)
    images = DigitImages(32).pixels[:5]
    classifier = classifier_file.load_digit_classifier(cache)
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


@pytest.fixture(scope="module")
def inception(tmp_path_factory):
    """(InceptionV3 with random weights, the file that holds them)."""
    keras.utils.set_random_seed(0)
    network = keras.applications.InceptionV3(include_top=False, weights=None, pooling="avg")
    path = tmp_path_factory.mktemp("inception") / "inception.weights.h5"
    network.save_weights(path)
    return network, path


def test_inception_from_a_local_file(inception, tmp_path):
    network, path = inception
    images = np.random.default_rng(0).uniform(-1, 1, (2, 40, 40, 3)).astype(np.float32)
    features = load_features(f"inception_v3:{path}", tmp_path)
    expected = network(tf.image.resize(images, (299, 299)), training=False)
    assert features(images).shape == (2, 2048)
    np.testing.assert_allclose(features(images), expected, rtol=1e-5, atol=1e-5)
    assert features.label == "InceptionV3 features, weights from inception.weights.h5"


@pytest.fixture
def saved_model(tmp_path):
    """A function: save a model with this input shape and these layers; returns "model:PATH"."""

    def save(shape, *layers):
        keras.Sequential([keras.Input(shape), *layers]).save(tmp_path / "own.keras")
        return f"model:{tmp_path / 'own.keras'}"

    return save


@pytest.mark.parametrize(
    ("size", "resize"), [(8, "bilinear without antialiasing to 8x8"), (None, "none")]
)
def test_any_keras_model_that_gives_vectors(saved_model, tmp_path, size, resize):
    layers = keras.layers.Conv2D(5, 3), keras.layers.GlobalAveragePooling2D()
    features = load_features(saved_model((size, size, 3), *layers), tmp_path)
    images = np.random.default_rng(0).uniform(-1, 1, (4, 12, 12, 3)).astype(np.float32)
    expected = tf.image.resize(images, (size, size)) if size else images
    for layer in layers:
        expected = layer(expected)
    np.testing.assert_allclose(features(images), expected, atol=1e-6)
    assert features.label == "features of own.keras"
    assert features.protocol["resize"] == resize


def test_models_with_the_same_weights_differ_in_their_digest(saved_model, tmp_path):
    pooling = keras.layers.GlobalMaxPooling2D, keras.layers.GlobalAveragePooling2D
    digests = [
        load_features(saved_model((8, 8, 3), layer()), tmp_path).protocol["features_sha256"]
        for layer in pooling
    ]
    assert digests[0] != digests[1]


def test_a_model_that_gives_no_vectors_and_a_file_that_is_no_model(saved_model, tmp_path):
    with pytest.raises(UserError, match=r"own\.keras should map images .* to finite vectors"):
        load_features(saved_model((8, 8, 3), keras.layers.Conv2D(5, 3)), tmp_path)
    with pytest.raises(UserError, match="should map images"):  # channels first
        load_features(saved_model((3, 8, 8), keras.layers.Flatten()), tmp_path)
    to_nan = keras.layers.Rescaling(float("nan"))
    with pytest.raises(UserError, match="finite vectors"):
        load_features(saved_model((8, 8, 3), to_nan, keras.layers.Flatten()), tmp_path)
    (tmp_path / "broken.keras").write_bytes(b"no model")
    with pytest.raises(UserError, match=r"broken\.keras is no Keras model that can be loaded"):
        load_features(f"model:{tmp_path}/broken.keras", tmp_path)


@pytest.mark.parametrize("value", [1.5, -2.0, np.nan, np.inf])
def test_images_out_of_range(cache, value):
    images = np.zeros((2, 16, 16, 3), np.float32)
    images[1, 2, 3, 0] = value
    with pytest.raises(ValueError, match=r"images must be in \[-1, 1\]"):
        load_features("digits", cache)(images)


def test_spatial_features_are_those_before_the_second_pooling(inception):
    features = load_spatial_features(f"inception_v3:{inception[1]}")
    images = np.random.default_rng(0).uniform(-1, 1, (2, 35, 64, 3)).astype(np.float32)
    maps = features(images)
    assert maps.shape == (2, 5, 12, 192)  # the images are not resized
    assert features(images[:, :23, :23]).shape == (2, 2, 2, 192)
    flat = maps.reshape(2, -1, 192)
    expected = frechet_distance(flat[0], flat[1], ddof=1)
    assert single_image_frechet_distance(maps[0], maps[1]) == expected
    assert expected > 0
    assert single_image_frechet_distance(maps[0], maps[0]) == pytest.approx(0.0, abs=1e-6)


def test_none_loads_no_network(tmp_path):
    assert load_features("none", tmp_path) is None


def test_missing_inception_weights(tmp_path, monkeypatch):
    with pytest.raises(UserError, match=r"no such file: .*nowhere\.h5"):
        load_features(f"inception_v3:{tmp_path}/nowhere.h5", tmp_path)
    with pytest.raises(UserError, match=r"evaluate.features: no such file: .*nowhere\.keras"):
        load_features(f"model:{tmp_path}/nowhere.keras", tmp_path)
    (tmp_path / "folder.keras").mkdir()
    with pytest.raises(UserError, match=r"folder\.keras is a folder, not a file"):
        load_features(f"model:{tmp_path}/folder.keras", tmp_path)
    (tmp_path / "other.h5").write_bytes(b"no weights")
    with pytest.raises(UserError, match=r"other\.h5 does not hold InceptionV3's weights"):
        load_features(f"inception_v3:{tmp_path}/other.h5", tmp_path)

    def offline(**_):
        raise OSError("URL fetch failure")

    monkeypatch.setattr(keras.applications, "InceptionV3", offline)
    with pytest.raises(UserError, match=r"could not be downloaded; save https.*notop\.h5 and use"):
        load_features("inception_v3", tmp_path)
