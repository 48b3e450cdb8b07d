"""Averages of the weights over training. See `Averages`."""

import keras

from models.networks import Networks


class Averages:
    """Networks whose weights are moving averages of those that are trained.

    After each step an average becomes `decay * average + (1 - decay) * weight`. As in the authors'
    later code it starts from the initial weights; Keras 3 would start from the first updated ones.
    Weights that are not trained, such as moving statistics of batches, are copied as they are.
    Without `averaged`, networks of the same kind, nothing is averaged: `networks` are the trained
    ones.
    """

    def __init__(self, trained: Networks, averaged: Networks | None, decay: float | None) -> None:
        self.trained, self.networks, self.decay = trained, averaged or trained, decay
        self.pairs: list[tuple[keras.Variable, keras.Variable]] = []
        if averaged:
            for average, part in zip(
                averaged.parts().values(), trained.parts().values(), strict=True
            ):
                self.pairs += zip(average.weights, part.weights, strict=True)
        self.start()

    def start(self) -> None:
        """Set the averages to the weights as they are."""
        for average, variable in self.pairs:
            average.assign(variable)

    def update(self) -> None:
        for average, variable in self.pairs:
            if variable.trainable:
                average.assign(self.decay * average + (1.0 - self.decay) * variable)
            else:
                average.assign(variable)

    def parts(self) -> dict[str, keras.Model]:
        """The averaged Keras models by name, as checkpoints hold them; none without averages."""
        return averaged_parts(self.networks) if self.pairs else {}


def averaged_parts(networks: Networks) -> dict[str, keras.Model]:
    """The parts of networks by the names that averages have in checkpoints."""
    return {averaged_name(name): part for name, part in networks.parts().items()}


def averaged_name(name: str) -> str:
    """What checkpoints call the averages of a part of the networks."""
    return f"averaged_{name}"
