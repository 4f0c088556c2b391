"""CueAssociation: who came at which time? Pairs to keep, keys to ask for.

Long because: it is one class with 24 settings, which its docstring explains,
which are checked against each other, and which drawing, judging and the
reference levels read alike. Two fifths of the lines are docstrings.
"""

import dataclasses
import math
from typing import Any

import numpy as np

from keras_seqattn._checks import check_choice
from keras_seqattn._checks import check_flag
from keras_seqattn._checks import check_non_negative_integer
from keras_seqattn._checks import check_positive_integer
from keras_seqattn._checks import check_rate
from keras_seqattn._checks import random_generator
from keras_seqattn.tasks.memory_batch import MemoryBatch
from keras_seqattn.tasks.memory_batch import ReferenceLevel
from keras_seqattn.tasks.memory_batch import check_times_and_sizes
from keras_seqattn.tasks.memory_batch import mean_response
from keras_seqattn.tasks.memory_batch import replace_response
from keras_seqattn.tasks.memory_batch import score_predictors


@dataclasses.dataclass(frozen=True)
class CueAssociation:
    """Remember which value was shown with which key, and answer for a key.

    Pairs of a key (a time slot, say) and a value (a person) are shown. After
    a delay a key comes alone, and the answer is the value it was shown with.
    The keys of a sequence differ, their values need not. Every key that was
    shown is as likely to be asked for, and every delay of `delay_range`.

    The features of `x` depend on `presentation`:

    - `"sequential"`: one pair after the other. The first `num_values`
      features are the value (one of them is `amplitude`), then comes the key
      in the form of `key_code`. A query has a key and no value.
    - `"simultaneous"`: all pairs at once. Feature `num_values * key + value`
      is `amplitude` for each pair. A query is `query_amplitude` in all
      `num_values` features of its key.

    With `go_channel`, one more feature is `query_amplitude` during queries.

    The targets have the value features of `x`: `num_values` outputs, or
    `num_keys * num_values` if simultaneous. They are `amplitude` at the right
    value (of the queried key) on response steps, a copy of the pairs on cue
    steps if `copy_cue`, and 0 elsewhere.

    The defaults are the additive task of [LSTM_MemoryTask](
    https://github.com/lauraflyra/LSTM_MemoryTask): see `additive_task` and
    `factorial_task`.

    Args:
        num_keys: Positive integer, number of different keys.
        num_values: Integer >= 2, number of different values.
        num_pairs: Positive integer up to `num_keys`, pairs in a sequence.
        num_queries: Positive integer up to `num_pairs`, keys asked for in a
            sequence, one after the other and none twice. Every choice of
            steps is as likely that lies within `delay_range` and lets a
            query and its response end before the next query.
        presentation: `"sequential"` or `"simultaneous"`.
        key_order: `"random"`, or `"fixed"`: rising from the first pair to
            the last. For sequential presentation.
        key_code: The key's features in sequential presentation. `"one_hot"`:
            `num_keys` features, one of them `amplitude`. `"scalar"`: one
            feature, whose value is the key: 0.1 for the first key to 0.9 for
            the last, whatever the amplitudes. `"random"`: `num_keys`
            features, `amplitude` times a vector of length 1 for each key.
        key_code_seed: Integer >= 0, seeds those random vectors. They belong
            to the task: all batches have the same.
        repeat_values: Whether two keys of a sequence may have the same
            value (values drawn with replacement).
        cue_step: Integer >= 0, first step of the first pair.
        cue_duration: Positive integer, steps that a pair is shown.
        cue_gap: Integer >= 0, empty steps between two pairs, in sequential
            presentation.
        delay_range: Two integers >= 1, the shortest and the longest delay,
            both included: steps from the last cue step to the first step of
            a query.
        query_duration: Positive integer, steps that a query lasts.
        response_delay: Integer >= 0, steps from the first step of a query to
            the first step of its response. 0: the answer is due at once.
        response_duration: Positive integer, steps that a response lasts.
        post_steps: Integer >= 0, steps that follow the query and the
            response of the longest delay.
        amplitude: Number above 0, height of cues and responses.
        query_amplitude: Number above 0, height of queries.
        noise: Number >= 0, standard deviation of the Gaussian noise added
            to `x` on all steps. Targets have none.
        distractor_rate: Number in [0, 1). Each step after the last cue step
            and before the first query shows, with this probability, a pair
            that is not to be remembered. Its key is none of those shown
            before, so it is never asked for and no answer changes; its value
            is any, and its targets are 0. Needs `num_pairs < num_keys`.
        go_channel: Whether `x` has a feature that marks queries.
        copy_cue: Whether the targets on cue steps are a copy of the pairs.
            If not, they are 0: the task is recall alone.

    Raises:
        ValueError: A setting out of its range, or settings that do not fit
            together.

    Example:
    ```python
    import keras_seqattn as ks

    # Nine people, eight appointments, two questions after up to 40 steps.
    task = ks.tasks.CueAssociation(
        num_keys=8,
        num_values=9,
        num_pairs=8,
        num_queries=2,
        delay_range=(2, 40),
    )
    batch = task.sample(2000, seed=0)
    print(batch.x.shape, batch.y.shape, batch.answer.shape)
    # (2000, 51, 17) (2000, 51, 9) (2000, 2)
    print(round(task.chance, 3), round(task.no_binding_accuracy, 3))
    # 0.111 0.311
    ```
    """

    num_keys: int = 3
    num_values: int = 4
    num_pairs: int = 3
    num_queries: int = 1
    presentation: str = "sequential"
    key_order: str = "random"
    key_code: str = "one_hot"
    key_code_seed: int = 0
    repeat_values: bool = True
    cue_step: int = 2
    cue_duration: int = 1
    cue_gap: int = 0
    delay_range: tuple[int, int] = (2, 19)
    query_duration: int = 1
    response_delay: int = 0
    response_duration: int = 1
    post_steps: int = 1
    amplitude: float = 0.8
    query_amplitude: float = 0.8
    noise: float = 0.0
    distractor_rate: float = 0.0
    go_channel: bool = False
    copy_cue: bool = True

    def __post_init__(self) -> None:
        for name in ("num_keys", "num_values", "num_pairs", "num_queries"):
            check_positive_integer(name, getattr(self, name))
        check_choice(
            "presentation", self.presentation, ("sequential", "simultaneous")
        )
        check_choice("key_order", self.key_order, ("random", "fixed"))
        check_choice("key_code", self.key_code, ("one_hot", "scalar", "random"))
        check_non_negative_integer("key_code_seed", self.key_code_seed)
        check_non_negative_integer("cue_gap", self.cue_gap)
        check_times_and_sizes(self)
        check_rate("distractor_rate", self.distractor_rate)
        for name in ("repeat_values", "go_channel", "copy_cue"):
            check_flag(name, getattr(self, name))
        self._check_together()

    @property
    def timesteps(self) -> int:
        """Steps of a sequence."""
        last_query_step = self._last_cue_step + self.delay_range[1]
        return last_query_step + self._query_period + self.post_steps

    @property
    def features(self) -> int:
        """Size of the last axis of `x`."""
        if self._simultaneous:
            return self.outputs + self.go_channel
        return self.outputs + self.key_codes.shape[1] + self.go_channel

    @property
    def outputs(self) -> int:
        """Size of the last axis of `y`."""
        return self.num_values * (self.num_keys if self._simultaneous else 1)

    @property
    def key_codes(self) -> np.ndarray:
        """Codes of the keys before scaling, `(num_keys, code features)`."""
        if self.key_code == "scalar":
            return np.linspace(0.1, 0.9, self.num_keys)[:, None]
        if self.key_code == "random":
            rng = np.random.default_rng(self.key_code_seed)
            codes = rng.standard_normal((self.num_keys, self.num_keys))
            return codes / np.linalg.norm(codes, axis=1, keepdims=True)
        return np.eye(self.num_keys)

    @property
    def chance(self) -> float:
        """Accuracy of a blind guess: `1 / num_values`."""
        return 1 / self.num_values

    @property
    def no_binding_accuracy(self) -> float:
        """Accuracy of knowing the values shown, but not their keys.

        The best answer is then the value shown most often, and its expected
        count divided by `num_pairs` is the accuracy, counted exactly. Only a
        model above this level has learned associations.
        """
        if not self.repeat_values:
            return 1 / self.num_pairs
        total = self.num_values**self.num_pairs
        # E[largest] is the sum of P(largest > limit) over limit >= 0.
        largest = sum(
            total - _count_draws(self.num_pairs, self.num_values, limit)
            for limit in range(self.num_pairs)
        )
        return largest / (total * self.num_pairs)

    def sample(self, batch_size: int, seed: Any = None) -> MemoryBatch:
        """Draw sequences.

        Args:
            batch_size: Positive integer.
            seed: Anything that `numpy.random.default_rng` takes.

        Returns:
            A `MemoryBatch`.
        """
        batch_size = check_positive_integer("batch_size", batch_size)
        rng = random_generator(seed)
        shortest, longest = self.delay_range
        # Choose steps as if queries lasted one step, then make room.
        room = self._query_period - 1
        choices = longest - shortest + 1 - (self.num_queries - 1) * room
        chosen = rng.random((batch_size, choices)).argsort(axis=1)
        delay = np.sort(chosen[:, : self.num_queries], axis=1)
        delay += shortest + room * np.arange(self.num_queries)
        return self._batch(rng, rng.random((batch_size, self.num_keys)), delay)

    def test_cases(self, seed: Any = 0) -> MemoryBatch:
        """Return three sequences: first query close, between and far.

        Args:
            seed: Anything that `numpy.random.default_rng` takes, for the
                pairs, their order, distractors and noise.

        Returns:
            A `MemoryBatch` of three rows, as in the original:

            - close: the shortest delay (in sequential presentation one step
              more), the first query is for key 0;
            - between: the mean of the other two, rounded down, key 2 (or
              what remains of 2 after division by `num_keys`);
            - far: the longest delay, key 1 (likewise).

            Further queries follow as soon as they can.
        """
        rng = random_generator(seed)
        further = self._query_period * np.arange(self.num_queries)
        far = self.delay_range[1] - further[-1]
        close = min(self.delay_range[0] + (not self._simultaneous), far)
        first = np.array([[close], [(close + far) // 2], [far]])
        scores = rng.random((3, self.num_keys))
        scores[np.arange(3), np.array([0, 2, 1]) % self.num_keys] = -1
        return self._batch(rng, scores, first + further)

    def answers(self, outputs: np.ndarray, batch: MemoryBatch) -> np.ndarray:
        """Read the answers off the outputs.

        Args:
            outputs: Float array of the shape of `batch.y`.
            batch: The `MemoryBatch` they are for.

        Returns:
            Integer array of shape `(batch, queries)`: the value with the
            largest output (of the queried key's values, if simultaneous),
            averaged over the response steps; of several, the first.
        """
        return self._scores(outputs, batch).argmax(axis=2)

    def correct(self, outputs: np.ndarray, batch: MemoryBatch) -> np.ndarray:
        """Judge the answers. A tie is wrong, and so is NaN.

        Args:
            outputs: Float array of the shape of `batch.y`.
            batch: The `MemoryBatch` they are for.

        Returns:
            Boolean array of shape `(batch, queries)`.
        """
        scores = self._scores(outputs, batch)
        right = np.take_along_axis(scores, batch.answer[..., None], axis=2)
        others = np.arange(self.num_values) != batch.answer[..., None]
        return right[..., 0] > np.max(
            scores, axis=2, where=others, initial=-np.inf
        )

    def reference_levels(self, batch: MemoryBatch) -> dict[str, ReferenceLevel]:
        """Score simple predictors on a batch: what a model has to beat.

        Args:
            batch: A `MemoryBatch` of this task.

        Returns:
            A `ReferenceLevel` (`mse`, `accuracy`) for each predictor:

            - `"zeros"`: nothing, ever. Its accuracy is 0: a tie is wrong.
            - `"cue copied"`: right on cue steps, no response. Likewise.
            - `"cue copied, mean response"`: the mean over all values.
            - `"cue copied, right values, no binding"`: the mean over the
              values that were shown, each as often as it was.

            The last two settle ties for the lower value, by an output that
            is a hundred-thousandth larger.
        """
        all_values = np.full((1, 1, self.num_values), 1 / self.num_values)
        shown = np.eye(self.num_values)[batch.values].mean(axis=1)[:, None]
        predictors = {
            "zeros": np.zeros_like(batch.y),
            "cue copied": replace_response(batch, np.zeros((1, 1, 1))),
            "cue copied, mean response": replace_response(
                batch, self._weighted_response(batch, all_values)
            ),
            "cue copied, right values, no binding": replace_response(
                batch, self._weighted_response(batch, shown)
            ),
        }
        return score_predictors(predictors, batch, self.correct)

    def _scores(self, outputs: np.ndarray, batch: MemoryBatch) -> np.ndarray:
        """What speaks for each value, (batch, queries, num_values)."""
        scores = mean_response(outputs, batch)
        scores = scores.reshape(*batch.answer.shape, -1, self.num_values)
        key = batch.query_key if self._simultaneous else 0 * batch.query_key
        return np.take_along_axis(scores, key[..., None, None], axis=2)[:, :, 0]

    @property
    def _simultaneous(self) -> bool:
        return self.presentation == "simultaneous"

    @property
    def _cue_steps(self) -> np.ndarray:
        """Steps of each presentation, (presentations, cue_duration)."""
        number = 1 if self._simultaneous else self.num_pairs
        first = np.arange(number) * (self.cue_duration + self.cue_gap)
        return self.cue_step + first[:, None] + np.arange(self.cue_duration)

    @property
    def _last_cue_step(self) -> int:
        return int(self._cue_steps[-1, -1])

    @property
    def _query_period(self) -> int:
        """Steps that a query and its response take."""
        return max(
            self.query_duration, self.response_delay + self.response_duration
        )

    def _batch(
        self, rng: np.random.Generator, scores: np.ndarray, delay: np.ndarray
    ) -> MemoryBatch:
        """Write the sequences.

        `scores` (batch, num_keys) rank the keys: the first `num_queries` of
        them are asked for, the first `num_pairs` shown. `delay` is
        (batch, num_queries).
        """
        ranked = scores.argsort(axis=1)
        query_key = ranked[:, : self.num_queries]
        keys, uncued = np.split(ranked, [self.num_pairs], axis=1)
        if self.key_order == "fixed":
            keys = np.sort(keys, axis=1)
        else:
            keys = rng.permuted(keys, axis=1)
        values = self._draw_values(rng, keys.shape)
        position = (keys[:, None] == query_key[..., None]).argmax(axis=2)
        answer = np.take_along_axis(values, position, axis=1)

        rows = np.arange(len(keys))[:, None, None]
        query_step = self._last_cue_step + delay
        query_steps = query_step[..., None] + np.arange(self.query_duration)
        response_steps = (
            query_step[..., None]
            + self.response_delay
            + np.arange(self.response_duration)
        )
        x = np.zeros((len(keys), self.timesteps, self.features), np.float32)
        y = np.zeros((len(keys), self.timesteps, self.outputs), np.float32)
        cue = np.zeros(x.shape[:2], bool)
        response = np.zeros(x.shape[:2], bool)

        pairs = self._pair_features(keys, values)
        if self._simultaneous:
            pairs = pairs.sum(axis=1, keepdims=True)
        x[:, self._cue_steps] = pairs[:, :, None]
        cue[:, self._cue_steps] = True
        if self.copy_cue:
            y[:, self._cue_steps] = pairs[:, :, None, : self.outputs]
        x[rows, query_steps] = self._query_features(query_key)[:, :, None]
        target = self._pair_features(query_key, answer)[..., : self.outputs]
        y[rows, response_steps] = target[:, :, None]
        response[rows, response_steps] = True
        if self.distractor_rate:
            self._add_distractors(rng, x, uncued, query_step[:, :1])
        if self.noise:
            x += self.noise * rng.standard_normal(x.shape, np.float32)
        return MemoryBatch(
            x=x,
            y=y,
            response=response,
            cue=cue,
            answer=answer,
            query_step=query_step,
            delay=delay,
            keys=keys,
            values=values,
            query_key=query_key,
        )

    def _draw_values(
        self, rng: np.random.Generator, shape: tuple[int, ...]
    ) -> np.ndarray:
        if self.repeat_values:
            return rng.integers(self.num_values, size=shape)
        scores = rng.random((shape[0], self.num_values))
        return scores.argsort(axis=1)[:, : shape[1]]

    def _add_distractors(
        self,
        rng: np.random.Generator,
        x: np.ndarray,
        uncued: np.ndarray,
        first_query: np.ndarray,
    ) -> None:
        """Write distractors into `x`; `uncued` keys are (batch, keys)."""
        step = np.arange(self.timesteps)
        free = (step > self._last_cue_step) & (step < first_query)
        free &= rng.random(free.shape) < self.distractor_rate
        rows = np.nonzero(free)[0]
        keys = uncued[rows, rng.integers(uncued.shape[1], size=len(rows))]
        values = rng.integers(self.num_values, size=len(rows))
        x[free] = self._pair_features(keys, values)

    def _pair_features(
        self, keys: np.ndarray, values: np.ndarray
    ) -> np.ndarray:
        """Return `x` while pairs are shown, (*keys.shape, features)."""
        if self._simultaneous:
            channel = self.num_values * keys + values
            parts = [self.amplitude * np.eye(self.outputs)[channel]]
        else:
            parts = [
                self.amplitude * np.eye(self.num_values)[values],
                self._key_features(keys, self.amplitude),
            ]
        return self._join(parts, go=0.0)

    def _query_features(self, keys: np.ndarray) -> np.ndarray:
        """Return `x` while keys are asked for, (*keys.shape, features)."""
        if self._simultaneous:
            one_hot = np.eye(self.num_keys)[keys]
            one_hot = np.repeat(one_hot, self.num_values, axis=-1)
            parts = [self.query_amplitude * one_hot]
        else:
            parts = [
                np.zeros((*keys.shape, self.num_values)),
                self._key_features(keys, self.query_amplitude),
            ]
        return self._join(parts, go=self.query_amplitude)

    def _key_features(self, keys: np.ndarray, amplitude: float) -> np.ndarray:
        scale = 1.0 if self.key_code == "scalar" else amplitude
        return scale * self.key_codes[keys]

    def _join(self, parts: list[np.ndarray], go: float) -> np.ndarray:
        if self.go_channel:
            parts = [*parts, np.full((*parts[0].shape[:-1], 1), go)]
        return np.concatenate(parts, axis=-1)

    def _weighted_response(
        self, batch: MemoryBatch, weights: np.ndarray
    ) -> np.ndarray:
        """Return (batch, queries, outputs); weights are (..., num_values)."""
        weights = weights * (1 - 1e-5 * np.arange(self.num_values))
        keys, values = np.broadcast_arrays(
            batch.query_key[..., None], np.arange(self.num_values)
        )
        targets = self._pair_features(keys, values)[..., : self.outputs]
        return np.sum(weights[..., None] * targets, axis=2)

    def _check_together(self) -> None:
        if self.num_values < 2:
            raise ValueError(
                "`num_values` must be at least 2, or there is nothing to "
                f"remember. Received: num_values={self.num_values}"
            )
        if self.num_pairs > self.num_keys:
            raise ValueError(
                "`num_pairs` must not be above `num_keys`: no key is shown "
                f"twice. Received: num_pairs={self.num_pairs}, "
                f"num_keys={self.num_keys}"
            )
        if self.num_queries > self.num_pairs:
            raise ValueError(
                "`num_queries` must not be above `num_pairs`: no key is asked "
                f"for twice. Received: num_queries={self.num_queries}, "
                f"num_pairs={self.num_pairs}"
            )
        if not self.repeat_values and self.num_pairs > self.num_values:
            raise ValueError(
                "`num_pairs` must not be above `num_values` if "
                "`repeat_values=False`. Received: "
                f"num_pairs={self.num_pairs}, num_values={self.num_values}"
            )
        if self.distractor_rate and self.num_pairs == self.num_keys:
            raise ValueError(
                "Distractors need a key that is not shown: `num_pairs` must "
                "be below `num_keys` if `distractor_rate` is above 0. "
                f"Received: num_pairs={self.num_pairs}, "
                f"num_keys={self.num_keys}, "
                f"distractor_rate={self.distractor_rate}"
            )
        if self._simultaneous and (self.cue_gap or self.key_code != "one_hot"):
            raise ValueError(
                "`cue_gap` must be 0 and `key_code` 'one_hot' if "
                "`presentation='simultaneous'`. Received: "
                f"cue_gap={self.cue_gap}, key_code={self.key_code!r}"
            )
        shortest, longest = self.delay_range
        needed = (self.num_queries - 1) * self._query_period
        if longest - shortest < needed:
            raise ValueError(
                f"`delay_range` must span {needed} steps or more, for "
                f"{self.num_queries} queries of {self._query_period} steps "
                f"each. Received: delay_range={self.delay_range}"
            )


def additive_task(**changes: Any) -> CueAssociation:
    """Return the additive task: 3 pairs one after the other, 7 features.

    Four people (features 0 .. 3) and three time slots (features 4 .. 6).
    Steps 2, 3 and 4 show one person and one slot each, slots in random order,
    people drawn with replacement. The query at one of the steps 6 .. 23 is a
    slot alone, coded as in a cue: only the absent person marks it. All
    amplitudes are 0.8 and there are 25 steps. Test cases have the query at
    step 7, 15 and 23.

    Reference: [LSTM_MemoryTask](
    https://github.com/lauraflyra/LSTM_MemoryTask).

    Args:
        **changes: Arguments of `CueAssociation` to set otherwise.

    Returns:
        A `CueAssociation`.

    Example:
    ```python
    import keras_seqattn as ks

    task = ks.tasks.additive_task()
    print(task.timesteps, task.features, task.outputs)  # 25 7 4
    print(task.chance, task.no_binding_accuracy)  # 0.25 0.5625
    ```
    """
    return CueAssociation(**changes)


def factorial_task(**changes: Any) -> CueAssociation:
    """Return the factorial task: 3 pairs at once, 12 features and outputs.

    Feature `4 * slot + person` is 0.8 at step 2 for the person of each of the
    three slots. The query at one of the steps 4 .. 18 is 0.5 in the four
    features of a slot, and the answer is judged among these four outputs.
    There are 20 steps. Test cases have the query at step 4, 11 and 18.

    Reference: [LSTM_MemoryTask](
    https://github.com/lauraflyra/LSTM_MemoryTask).

    Args:
        **changes: Arguments of `CueAssociation` to set otherwise.

    Returns:
        A `CueAssociation`.

    Example:
    ```python
    import keras_seqattn as ks

    task = ks.tasks.factorial_task()
    print(task.timesteps, task.features, task.outputs)  # 20 12 12
    ```
    """
    settings: dict[str, Any] = {
        "presentation": "simultaneous",
        "delay_range": (2, 16),
        "query_amplitude": 0.5,
    }
    return CueAssociation(**{**settings, **changes})


def _count_draws(draws: int, values: int, limit: int) -> int:
    """Count sequences of draws that hold no value more often than limit."""
    ways = [1] + [0] * draws  # by length, of the values so far
    for _ in range(values):
        ways = [
            sum(
                math.comb(length, count) * ways[length - count]
                for count in range(min(limit, length) + 1)
            )
            for length in range(draws + 1)
        ]
    return ways[draws]
