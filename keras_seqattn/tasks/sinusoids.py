"""Sinusoids: follow slow curves, with a teacher on few of the steps."""

import dataclasses
from typing import Any

import keras
import numpy as np

from keras_seqattn._checks import check_non_negative_integer
from keras_seqattn._checks import check_positive_integer
from keras_seqattn._checks import check_positive_rate

# w1, f1, A1, w2, f2, A2 of a channel, in the order in which they are drawn.
_LOW = 0.01, 0.0, 0.1, 0.01, 0.0, 0.1
_HIGH = 0.04, 20.0, 0.3, 0.05, 20.0, 0.3


@dataclasses.dataclass(frozen=True)
class Sinusoids:
    """One long sequence: slow curves in, other slow curves out.

    Each channel, of the inputs and of the targets, is by itself

    ```
    s_t = 0.2 + A1/2 (sin(w1 t + f1) + 1) + A2/2 (cos(w2 t + f2) + 1)

    w1 ~ U(0.01, 0.04)   f1 ~ U(0, 20)   A1 ~ U(0.1, 0.3)
    w2 ~ U(0.01, 0.05)   f2 ~ U(0, 20)   A2 ~ U(0.1, 0.3)
    ```

    which lies in 0.2 .. 0.8, with periods of 126 to 628 steps. The data of
    the sinusoid task of [Temporal-Deep-Learning](
    https://github.com/jordan-g/Temporal-Deep-Learning).

    Nothing ties targets to inputs but the step, and nothing is held out: the
    task is to memorize one sequence. It tells learning rules apart, not
    models: 50 inputs or more determine the targets linearly, and least
    squares on the 100 steps that one epoch teaches finds that read-out. For
    held-out sequences and targets that are not linear see `XorSequences`.

    Args:
        inputs: Positive integer, number of input channels.
        targets: Positive integer, number of target channels.
        steps: Positive integer, length of the sequence.
        seed: Integer >= 0, seeds everything. `numpy.random.default_rng(seed)`
            draws w1, f1, A1, w2, f2, A2 of the first channel, then of the
            next one; inputs first, then targets.

    Raises:
        ValueError: A setting out of its range.

    Example:
    ```python
    import keras_seqattn as ks

    x, y = ks.tasks.Sinusoids().sample()
    print(x.shape, y.shape)  # (1, 2000, 500) (1, 2000, 3)
    ```
    """

    inputs: int = 500
    targets: int = 3
    steps: int = 2000
    seed: int = 0

    def __post_init__(self) -> None:
        for name in ("inputs", "targets", "steps"):
            check_positive_integer(name, getattr(self, name))
        check_non_negative_integer("seed", self.seed)

    def sample(self) -> tuple[np.ndarray, np.ndarray]:
        """Return the sequence, always the same one.

        Returns:
            `(x, y)`, float32 arrays of shape `(1, steps, inputs)` and `(1,
            steps, targets)`.
        """
        rng = np.random.default_rng(self.seed)
        shape = (self.inputs + self.targets, 6)
        w1, f1, a1, w2, f2, a2 = rng.uniform(_LOW, _HIGH, shape).T
        t = np.arange(self.steps)[None, :, None]
        channels = (
            0.2
            + a1 / 2 * (np.sin(w1 * t + f1) + 1)
            + a2 / 2 * (np.cos(w2 * t + f2) + 1)
        ).astype(np.float32)
        return channels[..., : self.inputs], channels[..., self.inputs :]

    def reference_levels(self) -> dict[str, float]:
        """Score simple predictors: what a model has to beat.

        Both know the targets of all steps.

        Returns:
            The mean squared error, over all steps and targets, of

            - `"mean"`: each target's mean (the variance of the targets).
            - `"linear"`: the linear read-out of the step's inputs, with a
              constant, by least squares: 0 but for rounding with the default
              500 inputs.
        """
        x, y = (channels[0].astype(np.float64) for channels in self.sample())
        x = np.concatenate([x, np.ones((self.steps, 1))], axis=1)
        readout = np.linalg.lstsq(x, y)[0]
        return {
            "mean": float(np.mean((y - y.mean(axis=0)) ** 2)),
            "linear": float(np.mean((y - x @ readout) ** 2)),
        }


class TaughtChunks(keras.utils.PyDataset):
    """Sequences cut in time, with a teacher on steps drawn anew each epoch.

    For `fit(chunks, shuffle=False)` of a model that carries its state from
    one chunk to the next; without `shuffle=False` Keras mixes up the time.
    Each step of each sequence has a teacher or not, by itself; that is the
    chunk's `sample_weight`, 1 or 0.

    Args:
        x: Array of shape `(batch, steps, features)`.
        y: Array of shape `(batch, steps, outputs)`.
        chunk_steps: Positive integer that divides `steps`, length of a chunk.
        teacher_probability: Number in (0, 1], probability that a step has a
            teacher. Default: 0.05.
        seed: Integer >= 0, for the teacher.
        first_epoch: Integer >= 0, number of the first epoch: how many were
            trained before, when a training is resumed.

    Raises:
        ValueError: A setting out of its range, or arrays of shapes that do
            not fit.

    Example:
    ```python
    import keras_seqattn as ks

    chunks = ks.tasks.TaughtChunks(
        *ks.tasks.Sinusoids().sample(), chunk_steps=100
    )
    x, y, teacher = chunks[0]
    print(len(chunks), x.shape, y.shape, teacher.shape)
    # 20 (1, 100, 500) (1, 100, 3) (1, 100)
    ```
    """

    def __init__(
        self,
        x: Any,
        y: Any,
        chunk_steps: int,
        teacher_probability: float = 0.05,
        seed: int = 0,
        first_epoch: int = 0,
    ) -> None:
        super().__init__()
        self.x = np.asarray(x)
        self.y = np.asarray(y)
        if not self.x.ndim == self.y.ndim == 3 or (
            self.x.shape[:2] != self.y.shape[:2]
        ):
            raise ValueError(
                "`x` and `y` must have the shapes (batch, steps, features) "
                "and (batch, steps, outputs). Received: "
                f"x.shape={self.x.shape}, y.shape={self.y.shape}"
            )
        self.chunk_steps = check_positive_integer("chunk_steps", chunk_steps)
        if self.x.shape[1] % chunk_steps:
            raise ValueError(
                "`chunk_steps` must divide the number of steps, "
                f"{self.x.shape[1]}. Received: chunk_steps={chunk_steps}"
            )
        self.teacher_probability = check_positive_rate(
            "teacher_probability", teacher_probability
        )
        self.seed = check_non_negative_integer("seed", seed)
        self._epoch = check_non_negative_integer("first_epoch", first_epoch)
        self._running = False
        self._passed = False

    @property
    def epoch(self) -> int:
        """Number of the epoch that runs or ran last, whose teacher is drawn.

        Counts from 0 over all calls of `fit`. Keras may begin an epoch just to
        look at its first chunk; it counts only if that is also its last one.
        """
        return self._epoch

    def teacher(self, epoch: int) -> np.ndarray:
        """Return the steps with a teacher in an epoch.

        Args:
            epoch: Integer >= 0. During and after an epoch of `fit`, also in a
                callback's `on_epoch_end`, it is the attribute `epoch`.

        Returns:
            Float32 array of shape `(batch, steps)`, 1 with a teacher and 0
            without.
        """
        # NumPy pads seeds with zeros: (seed, 0) would be the stream of `seed`,
        # which drew the sequences.
        rng = np.random.default_rng((self.seed, 1, epoch))
        taught = rng.random(self.x.shape[:2]) < self.teacher_probability
        return taught.astype(np.float32)

    def __len__(self) -> int:
        return self.x.shape[1] // self.chunk_steps

    def __getitem__(
        self, index: int
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        if self._running and index == len(self) - 1:
            self._passed = True
        steps = slice(index * self.chunk_steps, (index + 1) * self.chunk_steps)
        teacher = self.teacher(self.epoch)
        return self.x[:, steps], self.y[:, steps], teacher[:, steps]

    def on_epoch_begin(self) -> None:
        # Not at the end: callbacks' `on_epoch_end`, which comes later, still
        # finds the epoch that ran.
        self._epoch += self._passed
        self._running = True
        self._passed = False

    def on_epoch_end(self) -> None:
        self._running = False
