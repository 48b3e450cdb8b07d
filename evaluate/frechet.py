"""Entry point for scripts: the public names of `evaluate.metrics.frechet`."""

from evaluate.metrics.frechet import Moments, frechet_distance, single_image_frechet_distance

__all__ = ["Moments", "frechet_distance", "single_image_frechet_distance"]
