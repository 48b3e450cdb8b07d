"""What measures runs in their training, and again afterwards. See `Measuring`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from config import Config
from evaluate.features.classifier_file import require_digit_classifier

if TYPE_CHECKING:  # TensorFlow takes seconds to import: main.py passes a `Measuring` to processes
    from data.stored import Images
    from evaluate.evaluator import Evaluator
    from evaluate.features.networks import FeatureNetwork
    from train.model import Model
    from train.runtime.distribution import Processes


class Measuring(NamedTuple):
    """Opens the evaluators of the runs under one folder of results.

    All experiments share `results_folder`/features, with trained feature networks and features of
    test images.
    """

    results_folder: Path

    def train_features(self, config: Config) -> None:
        """Train the config's feature network if it is trained here and missing.

        Raises UserError if that fails.
        """
        if config.evaluate.features == "digits":
            require_digit_classifier(self.features_folder)

    def check(self, config: Config) -> None:
        """Raise UserError if the config's feature network cannot be had."""
        self.load_features(config)

    def open(
        self, config: Config, model: Model, processes: Processes, test_images: Images
    ) -> Evaluator:
        """The evaluator of a run's networks. Raises UserError as `check` does."""
        from evaluate.evaluator import Evaluator

        features = self.load_features(config)
        return Evaluator(config, model, processes, test_images, features, self.features_folder)

    def load_features(self, config: Config) -> FeatureNetwork | None:
        """The feature network of a config; None for "none"."""
        from evaluate.features.networks import load_features

        return load_features(config.evaluate.features, self.features_folder)

    @property
    def features_folder(self) -> Path:
        """Where feature networks and features are kept."""
        return Path(self.results_folder) / "features"
