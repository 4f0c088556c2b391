"""XorSequences: is one of two slow inputs high? Scored on new sequences."""

import dataclasses
from typing import Any

import numpy as np

from keras_seqattn._checks import check_non_negative_integer
from keras_seqattn._checks import check_positive_integer
from keras_seqattn._checks import random_generator


@dataclasses.dataclass(frozen=True)
class XorSequences:
    """Say at each step whether exactly one of two inputs is above 1/2.

    Inputs are slow waves, each sequence with its own. Each target belongs to
    a pair of inputs, the same in all sequences; the other inputs distract it:

    ```
    x_t = A cos(B t + C) + 0.5
    y_t = 0.8 where one of the pair is above 0.5, 0.2 where both or none are;
          then smoothed in time

    A ~ U(0.2, 0.4)   B ~ U(0.005, 0.03)   C ~ U(0, 2 pi)
    ```

    No input says anything about a target alone, so that no linear read-out
    of the step's inputs beats the mean on new sequences. A hidden layer of
    100 units does, trained by backprop with Adam on single steps drawn from
    50 sequences: mean squared error 0.0015, the mean's is 0.08. A read-out
    by least squares of 200 hidden units left as drawn had 0.03, at the best
    of four ranges of their weights: the task shows whether a hidden layer
    learns.

    After a later task of [Temporal-Deep-Learning](
    https://github.com/jordan-g/Temporal-Deep-Learning). What differs: phases
    cover the circle (`C ~ U(0, 1)` there, so that all inputs start high); a
    weighted mean over time in the place of a smoothing spline; every sequence
    is drawn anew, instead of slightly distorted copies of ten; and the pairs
    are the same in all of them, so that a rule is learned, not ten examples.

    Args:
        inputs: Integer >= 2, number of input channels.
        targets: Positive integer, number of targets, at most the number of
            pairs of inputs: each target has a pair of its own.
        steps: Positive integer, length of a sequence.
        smoothing: Odd positive integer, width in steps of the window (a von
            Hann window, centered, so that a target starts to change before
            its inputs cross 1/2) whose weighted mean smooths the targets. 1:
            none.
        seed: Integer >= 0, chooses the pairs, and nothing else.

    Raises:
        ValueError: A setting out of its range.

    Example:
    ```python
    import keras_seqattn as ks

    task = ks.tasks.XorSequences()
    train, held_out = task.sample(50, seed=0), task.sample(100, seed=1)
    x, y = train
    print(x.shape, y.shape)  # (50, 1000, 10) (50, 1000, 3)
    levels = task.reference_levels(train, held_out)
    print({name: round(mse, 3) for name, mse in levels.items()})
    # {'mean': 0.08, 'linear': 0.08, 'unsmoothed': 0.005}
    ```
    """

    inputs: int = 10
    targets: int = 3
    steps: int = 1000
    smoothing: int = 25
    seed: int = 0

    def __post_init__(self) -> None:
        for name in ("inputs", "targets", "steps", "smoothing"):
            check_positive_integer(name, getattr(self, name))
        check_non_negative_integer("seed", self.seed)
        if self.smoothing % 2 == 0:
            raise ValueError(
                "`smoothing` must be odd, so that the window has a middle. "
                f"Received: smoothing={self.smoothing}"
            )
        pairs = self.inputs * (self.inputs - 1) // 2
        if self.targets > pairs:
            raise ValueError(
                "`targets` must be at most the number of pairs of inputs, "
                f"{pairs}. Received: targets={self.targets}, "
                f"inputs={self.inputs}"
            )

    @property
    def pairs(self) -> np.ndarray:
        """The two inputs of each target, integers of shape (targets, 2)."""
        pairs = np.stack(np.triu_indices(self.inputs, 1), axis=1)
        rng = np.random.default_rng(self.seed)
        return rng.choice(pairs, self.targets, replace=False)

    def sample(
        self, batch_size: int, seed: Any = None
    ) -> tuple[np.ndarray, np.ndarray]:
        """Draw sequences. Another seed gives held-out ones.

        Args:
            batch_size: Positive integer.
            seed: Anything that `numpy.random.default_rng` takes.

        Returns:
            `(x, y)`, float32 arrays of shape `(batch, steps, inputs)`, in 0.1
            .. 0.9, and `(batch, steps, targets)`, in 0.2 .. 0.8.
        """
        batch_size = check_positive_integer("batch_size", batch_size)
        rng = random_generator(seed)
        shape = (batch_size, 1, self.inputs)
        amplitude = rng.uniform(0.2, 0.4, shape)
        frequency = rng.uniform(0.005, 0.03, shape)
        phase = rng.uniform(0.0, 2 * np.pi, shape)
        # The window sees steps before the first and after the last one.
        margin = self.smoothing // 2
        t = np.arange(-margin, self.steps + margin)[None, :, None]
        x = amplitude * np.cos(frequency * t + phase) + 0.5
        window = np.hanning(self.smoothing + 2)[1:-1]  # ends are not 0
        sharp = self._unsmoothed(x)
        y = np.zeros((batch_size, self.steps, self.targets))
        for lag, weight in enumerate(window / window.sum()):
            y += weight * sharp[:, lag : lag + self.steps]
        x = x[:, margin : margin + self.steps]
        return x.astype(np.float32), y.astype(np.float32)

    def reference_levels(
        self,
        train: tuple[np.ndarray, np.ndarray],
        held_out: tuple[np.ndarray, np.ndarray],
    ) -> dict[str, float]:
        """Score simple predictors on held-out sequences: what to beat.

        Args:
            train: `(x, y)`, sequences that `sample` drew. All their steps
                have a teacher here.
            held_out: `(x, y)`, sequences of another seed.

        Returns:
            The mean squared error, over all held-out steps and targets, of

            - `"mean"`: each target's mean over the training sequences.
            - `"linear"`: ridge regression on the step's inputs, trained on
              the training sequences. The penalty is 1, on inputs that are
              not scaled: next to nothing, so that with too few sequences for
              the inputs it is worse than the mean.
            - `"unsmoothed"`: the right answer for the step's inputs, 0.2 or
              0.8. A network that follows the smooth transitions is better.
        """
        x, y = map(_rows, train)
        mean_x, mean_y = x.mean(axis=0), y.mean(axis=0)
        x, y = x - mean_x, y - mean_y
        readout = np.linalg.solve(x.T @ x + np.eye(self.inputs), x.T @ y)
        x, y = map(_rows, held_out)
        predictions = {
            "mean": mean_y,
            "linear": mean_y + (x - mean_x) @ readout,
            "unsmoothed": self._unsmoothed(x),
        }
        return {
            name: float(np.mean((y - predicted) ** 2))
            for name, predicted in predictions.items()
        }

    def _unsmoothed(self, x: np.ndarray) -> np.ndarray:
        one, other = self.pairs.T
        high = x > 0.5
        return np.where(high[..., one] != high[..., other], 0.8, 0.2)


def _rows(sequences: np.ndarray) -> np.ndarray:
    """Return all steps of all sequences, (batch * steps, channels)."""
    return sequences.reshape(-1, sequences.shape[-1]).astype(np.float64)
