"""Entry point for scripts: the public names of `evaluate.metrics.precision_recall`."""

from evaluate.metrics.precision_recall import (
    NEIGHBOURS,
    NeighbourMetrics,
    neighbour_metrics,
    precision_recall,
)

__all__ = ["NEIGHBOURS", "NeighbourMetrics", "neighbour_metrics", "precision_recall"]
