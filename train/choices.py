"""What a config chooses for the training step: functions and numbers, in place of conditions."""

import operator
from collections.abc import Callable, Mapping
from functools import partial, reduce
from typing import Any, NamedTuple

import tensorflow as tf

from config.sections import TrainConfig
from train.losses import ADVERSARIAL_LOSSES, AdversarialLoss
from train.penalties import drift_penalty, mix, r2_penalty, wgan_gp_penalty

GENERATOR_PENALTIES = ("path_length",)  # the others are the discriminator's


class GradientPenalty(NamedTuple):
    """A formula for gradients of D's adversarial value, and the images at which they are taken.

    `images` maps real images, generated images and mixing factors (batch,) to images, all (batch,
    height, width, 3); `formula` maps gradients of this shape to values (batch,).
    """

    images: Callable[[tf.Tensor, tf.Tensor, tf.Tensor], tf.Tensor]
    formula: Callable[[tf.Tensor], tf.Tensor]


class Turn(NamedTuple):
    """The weight of a penalty, and the interval of the steps that have it, with k times the weight.

    Lazy regularisation, Karras et al. 2020, section 3.1.
    """

    weight: float
    interval: int


def choose_adversarial_loss(train_config: TrainConfig) -> AdversarialLoss:
    """f_d and f_g. f_d contains the drift penalty, which needs no gradient and so no interval."""
    loss, weight = ADVERSARIAL_LOSSES[train_config.adversarial_loss], train_config.drift_weight
    if not weight:
        return loss
    return AdversarialLoss(
        lambda a_r, a_g: loss.discriminator(a_r, a_g) + weight * drift_penalty(a_r),
        loss.generator,
    )


def choose_gradient_penalties(train_config: TrainConfig) -> dict[str, GradientPenalty]:
    """The penalties beside R1 that have a weight, by name."""
    formula = partial(wgan_gp_penalty, target=train_config.wgan_gp_target)
    known = {
        "r2": GradientPenalty(lambda real, fake, factors: fake, r2_penalty),
        "wgan_gp": GradientPenalty(mix, formula),
    }
    turns = choose_turns(train_config)
    return {name: penalty for name, penalty in known.items() if turns[name].weight}


def choose_turns(train_config: TrainConfig) -> dict[str, Turn]:
    """The turns of all gradient penalties: the discriminator's, R1 first, then the generator's."""
    return {
        "r1": Turn(train_config.r1_weight, train_config.r1_interval),
        "r2": Turn(train_config.r2_weight, train_config.r2_interval),
        "wgan_gp": Turn(train_config.wgan_gp_weight, train_config.wgan_gp_interval),
        "path_length": Turn(train_config.path_length_weight, train_config.path_length_interval),
    }


def lazy_intervals(turns: Mapping[str, Turn]) -> list[int]:
    """The intervals above 1 of the penalties that have a weight, in ascending order."""
    return sorted({turn.interval for turn in turns.values() if turn.weight and turn.interval > 1})


def due_weights(turns: Mapping[str, Turn], due: Mapping[int, bool]) -> dict[str, float]:
    """The weights of a step in which penalties of the intervals in `due` have their turn or not."""
    return {
        name: turn.interval * turn.weight if due.get(turn.interval, True) else 0.0
        for name, turn in turns.items()
    }


def take_turns(
    turns: Mapping[str, Turn], step: tf.Tensor, function: Callable[[dict[str, float]], Any]
) -> Any:
    """`function(weights)`, with the weights of the penalties whose turn it is in a step, from 0."""
    intervals = lazy_intervals(turns)

    def branch(number: int) -> Callable[[], Any]:
        due = {interval: bool(number >> bit & 1) for bit, interval in enumerate(intervals)}
        return lambda: function(due_weights(turns, due))

    if not intervals:
        return branch(0)()
    number = tf.add_n(
        [2**bit * tf.cast(step % k == 0, tf.int32) for bit, k in enumerate(intervals)]
    )
    return tf.switch_case(number, [branch(number) for number in range(2 ** len(intervals))])


def weighted_sum(penalties: Mapping[str, tf.Tensor], weights: Mapping[str, float]) -> tf.Tensor:
    """The sum (batch,) of the penalties (batch,) times their weights; there is at least one."""
    return reduce(operator.add, [weights[name] * value for name, value in penalties.items()])
