"""CueRecall: was there a cue? One channel in, one out."""

import dataclasses
from typing import Any

import numpy as np

from keras_seqattn._checks import check_positive_integer
from keras_seqattn._checks import random_generator
from keras_seqattn.tasks.memory_batch import MemoryBatch
from keras_seqattn.tasks.memory_batch import ReferenceLevel
from keras_seqattn.tasks.memory_batch import check_times_and_sizes
from keras_seqattn.tasks.memory_batch import mean_response
from keras_seqattn.tasks.memory_batch import replace_response
from keras_seqattn.tasks.memory_batch import score_predictors


@dataclasses.dataclass(frozen=True)
class CueRecall:
    """Remember whether a cue was there until a query asks for it.

    A pulse of `amplitude` is shown at `cue_step` in one half of the
    sequences, and nothing in the other half. After a delay, uniform over
    `delay_range`, the query comes: a pulse of `query_amplitude`, the same in
    all sequences. The target is the cue, `amplitude` or 0, while it is shown
    and again in the response; 0 elsewhere.

    ```
    x  . . . . . A . . . . . . . q . .     A = amplitude or 0
    y  . . . . . A . . . . . . . A . .     q = query_amplitude
                 cue_step        query_step = cue_step + delay
    ```

    The defaults are the one-neuron task of [LSTM_MemoryTask](
    https://github.com/lauraflyra/LSTM_MemoryTask): 85 steps, cue at step 5,
    query at one of the steps 7 .. 82.

    Args:
        cue_step: Integer >= 0, first step of the cue.
        cue_duration: Positive integer, steps that the cue lasts.
        delay_range: Two integers >= 1, the shortest and the longest delay,
            both included: steps from the last cue step to the first query
            step.
        query_duration: Positive integer, steps that the query lasts.
        response_delay: Integer >= 0, steps from the first query step to the
            first response step. 0: the answer is due at once.
        response_duration: Positive integer, steps that the response lasts.
        post_steps: Integer >= 0, steps that follow the query and the
            response of the longest delay.
        amplitude: Number above 0, height of the cue and of the response.
        query_amplitude: Number above 0, height of the query.
        noise: Number >= 0, standard deviation of the Gaussian noise added
            to `x` on all steps. Targets have none.

    Raises:
        ValueError: A setting out of its range.

    Example:
    ```python
    import keras_seqattn as ks

    task = ks.tasks.CueRecall()
    batch = task.sample(100, seed=0)
    print(batch.x.shape, batch.y.shape)  # (100, 85, 1) (100, 85, 1)

    # The same repository's earlier setting: long pulses, and the response
    # starts when the query ends.
    task = ks.tasks.CueRecall(
        cue_duration=20,
        delay_range=(2, 35),
        query_duration=5,
        response_delay=5,
        response_duration=20,
        post_steps=1,
    )
    print(task.timesteps)  # 85
    ```
    """

    cue_step: int = 5
    cue_duration: int = 1
    delay_range: tuple[int, int] = (2, 77)
    query_duration: int = 1
    response_delay: int = 0
    response_duration: int = 1
    post_steps: int = 2
    amplitude: float = 0.8
    query_amplitude: float = 0.6
    noise: float = 0.01

    def __post_init__(self) -> None:
        check_times_and_sizes(self)

    @property
    def timesteps(self) -> int:
        """Steps of a sequence."""
        last_query_step = self._last_cue_step + self.delay_range[1]
        duration = max(
            self.query_duration, self.response_delay + self.response_duration
        )
        return last_query_step + duration + self.post_steps

    @property
    def features(self) -> int:
        """Size of the last axis of `x`: 1."""
        return 1

    @property
    def outputs(self) -> int:
        """Size of the last axis of `y`: 1."""
        return 1

    @property
    def chance(self) -> float:
        """Accuracy of a blind guess: 1/2."""
        return 0.5

    def sample(self, batch_size: int, seed: Any = None) -> MemoryBatch:
        """Draw sequences.

        Args:
            batch_size: Positive integer.
            seed: Anything that `numpy.random.default_rng` takes.

        Returns:
            A `MemoryBatch` with one query and one pair a sequence: the key
            is 0, the value and the answer are 1 with a cue and 0 without.
        """
        batch_size = check_positive_integer("batch_size", batch_size)
        rng = random_generator(seed)
        there = rng.integers(2, size=(batch_size, 1))
        delay = rng.integers(
            *self.delay_range, size=(batch_size, 1), endpoint=True
        )
        return self._batch(rng, there, delay)

    def test_cases(self, seed: Any = 0) -> MemoryBatch:
        """Return three sequences with a cue: query close, between and far.

        Args:
            seed: Anything that `numpy.random.default_rng` takes, for the
                noise.

        Returns:
            A `MemoryBatch` of three rows: the shortest delay of
            `delay_range`, the one in the middle (rounded down), the longest.
        """
        close, far = self.delay_range
        delay = np.array([[close], [(close + far) // 2], [far]])
        rng = random_generator(seed)
        return self._batch(rng, np.ones((3, 1), np.int64), delay)

    def answers(self, outputs: np.ndarray, batch: MemoryBatch) -> np.ndarray:
        """Read the answers off the outputs.

        Args:
            outputs: Float array of the shape of `batch.y`.
            batch: The `MemoryBatch` they are for.

        Returns:
            Integer array of shape `(batch, 1)`: 1 for an output above
            `amplitude / 2`, averaged over the response steps, else 0.
        """
        response = mean_response(outputs, batch)[..., 0]
        return (response > self.amplitude / 2).astype(np.int64)

    def correct(self, outputs: np.ndarray, batch: MemoryBatch) -> np.ndarray:
        """Judge the answers. NaN is wrong.

        Args:
            outputs: Float array of the shape of `batch.y`.
            batch: The `MemoryBatch` they are for.

        Returns:
            Boolean array of shape `(batch, 1)`.
        """
        response = mean_response(outputs, batch)[..., 0]
        right = self.answers(outputs, batch) == batch.answer
        return right & ~np.isnan(response)

    def reference_levels(self, batch: MemoryBatch) -> dict[str, ReferenceLevel]:
        """Score simple predictors on a batch: what a model has to beat.

        Args:
            batch: A `MemoryBatch` of this task.

        Returns:
            A `ReferenceLevel` (`mse`, `accuracy`) for each predictor:

            - `"zeros"`: nothing, ever.
            - `"cue copied"`: the cue while it is shown, no response.
            - `"cue copied, mean response"`: `amplitude / 2` in response.
        """
        predictors = {
            "zeros": np.zeros_like(batch.y),
            "cue copied": replace_response(batch, np.zeros((1, 1, 1))),
            "cue copied, mean response": replace_response(
                batch, np.full((1, 1, 1), self.amplitude / 2)
            ),
        }
        return score_predictors(predictors, batch, self.correct)

    @property
    def _last_cue_step(self) -> int:
        return self.cue_step + self.cue_duration - 1

    def _batch(
        self, rng: np.random.Generator, there: np.ndarray, delay: np.ndarray
    ) -> MemoryBatch:
        """Write the sequences: `there` and `delay` are (batch, 1)."""
        rows = np.arange(len(there))[:, None]
        query_step = self._last_cue_step + delay
        cue_steps = self.cue_step + np.arange(self.cue_duration)
        query_steps = query_step + np.arange(self.query_duration)
        response_steps = (
            query_step + self.response_delay + np.arange(self.response_duration)
        )
        x = np.zeros((len(there), self.timesteps, 1), np.float32)
        y = np.zeros_like(x)
        cue = np.zeros(x.shape[:2], bool)
        response = np.zeros(x.shape[:2], bool)
        height = self.amplitude * there[:, :, None]
        x[:, cue_steps] = height
        y[:, cue_steps] = height
        cue[:, cue_steps] = True
        x[rows, query_steps] = self.query_amplitude
        y[rows, response_steps] = height
        response[rows, response_steps] = True
        x += self.noise * rng.standard_normal(x.shape, np.float32)
        return MemoryBatch(
            x=x,
            y=y,
            response=response,
            cue=cue,
            answer=there,
            query_step=query_step,
            delay=delay,
            keys=np.zeros_like(there),
            values=there,
            query_key=np.zeros_like(there),
        )
