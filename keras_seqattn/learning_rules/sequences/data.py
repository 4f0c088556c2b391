"""Sequences to learn: of one sinusoid, of XOR in time."""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from keras_seqattn.tasks.sinusoids import Sinusoids
from keras_seqattn.tasks.xor_sequences import XorSequences


class TaughtSequences(NamedTuple):
    """Sequences to learn from, and to score on.

    Attributes:
        x_train: `(sequences, steps, features)`.
        y_train: `(sequences, steps, outputs)`, in [0, 1].
        x_test, y_test: The same, run from rest without a teacher.
        levels: Mean squared errors of simple predictors on the test part.
    """

    x_train: np.ndarray
    y_train: np.ndarray
    x_test: np.ndarray
    y_test: np.ndarray
    levels: Mapping[str, float] = {}


def draw_sinusoids(seed: int) -> TaughtSequences:
    """The sequence of `tasks.Sinusoids(seed=seed)`: can it be memorized?

    Nothing is held out. The test part is the same sequence, without a teacher.
    """
    task = Sinusoids(seed=seed)
    return TaughtSequences(
        *task.sample(), *task.sample(), task.reference_levels()
    )


def draw_xor_sequences(seed: int) -> TaughtSequences:
    """Fifty sequences of `tasks.XorSequences`, and a hundred for the test."""
    task = XorSequences(seed=seed)
    train = task.sample(50, seed=(seed, 0))
    test = task.sample(100, seed=(seed, 1))
    return TaughtSequences(*train, *test, task.reference_levels(train, test))
