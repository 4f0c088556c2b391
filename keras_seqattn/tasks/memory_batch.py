"""MemoryBatch: sequences to remember, and the scores all memory tasks share."""

import dataclasses
from collections.abc import Callable
from collections.abc import Sequence
from typing import Any
from typing import NamedTuple

import numpy as np

from keras_seqattn._checks import LARGEST
from keras_seqattn._checks import check_array
from keras_seqattn._checks import check_integer_range
from keras_seqattn._checks import check_non_negative_integer
from keras_seqattn._checks import check_non_negative_number
from keras_seqattn._checks import check_positive_integer
from keras_seqattn._checks import check_positive_number


@dataclasses.dataclass(frozen=True, eq=False)
class MemoryBatch:
    """Sequences in which something is shown and asked for later.

    In each sequence `pairs` pairs of a key and a value are shown, and later
    `queries` of the keys are asked for. Queries are numbered in the order of
    time, and so are their response steps, which do not overlap: each query
    has the same number of them. See `CueRecall` and `CueAssociation`, which
    draw such batches.

    Args:
        x: Float32 array of shape `(batch, timesteps, features)`, the inputs.
        y: Float32 array of shape `(batch, timesteps, outputs)`, the targets.
        response: Boolean array of shape `(batch, timesteps)`, true on the
            steps at which an answer is due.
        cue: Boolean array of shape `(batch, timesteps)`, true on the steps
            at which something to remember is shown.
        answer: Integer array of shape `(batch, queries)`, the right values.
        query_step: Integer array of shape `(batch, queries)`, the first step
            of each query.
        delay: Integer array of shape `(batch, queries)`, steps from the last
            cue step to `query_step`.
        keys: Integer array of shape `(batch, pairs)`, in order of
            presentation. Zeros in `CueRecall`, which has no keys.
        values: Integer array of shape `(batch, pairs)`, the value of each of
            `keys`. In `CueRecall`, 1 if the cue was there and 0 if not.
        query_key: Integer array of shape `(batch, queries)`, the keys asked
            for, none twice in a sequence.

    Example:
    ```python
    import keras_seqattn as ks

    batch = ks.tasks.additive_task().sample(200, seed=0)
    print(len(batch), batch.x.shape, batch.y.shape, batch.answer.shape)
    # 200 (200, 25, 7) (200, 25, 4) (200, 1)
    ```
    """

    x: np.ndarray
    y: np.ndarray
    response: np.ndarray
    cue: np.ndarray
    answer: np.ndarray
    query_step: np.ndarray
    delay: np.ndarray
    keys: np.ndarray
    values: np.ndarray
    query_key: np.ndarray

    def __len__(self) -> int:
        return len(self.x)

    @property
    def response_steps(self) -> np.ndarray:
        """Response steps of each query, `(batch, queries, duration)`."""
        return np.nonzero(self.response)[1].reshape(*self.answer.shape, -1)


class ReferenceLevel(NamedTuple):
    """How well a simple predictor does: what a model has to beat.

    Args:
        mse: Mean squared error over all steps and outputs.
        accuracy: Share of right answers, in 0 .. 1.
    """

    mse: float
    accuracy: float


class DelayAccuracy(NamedTuple):
    """Accuracy in bins of the delay.

    Args:
        edges: Float array of shape `(bins + 1,)`, in steps.
        accuracy: Float array of shape `(bins,)`, in 0 .. 1; NaN in a bin
            without a query.
        counts: Integer array of shape `(bins,)`, queries in each bin.
    """

    edges: np.ndarray
    accuracy: np.ndarray
    counts: np.ndarray

    @property
    def centers(self) -> np.ndarray:
        """Middle of each bin in steps, of shape `(bins,)`."""
        return (self.edges[1:] + self.edges[:-1]) / 2


def accuracy_by_delay(
    correct: np.ndarray, delay: np.ndarray, bins: int | Sequence[float] = 10
) -> DelayAccuracy:
    """Return the share of right answers as a function of the delay.

    Args:
        correct: Boolean array, from a task's `correct`.
        delay: Integer array of the same shape, `MemoryBatch.delay`.
        bins: Positive integer, number of equally wide bins from the shortest
            to the longest delay, though never more than one for each step;
            or the edges in steps, rising. Each bin holds its lower edge, the
            last one both. Default: 10.

    Returns:
        A `DelayAccuracy`: `edges`, `accuracy`, `counts`, and `centers`.

    Raises:
        ValueError: Arrays that are empty or of different shapes, `bins` that
            is not a positive integer, or edges that do not rise.

    Example:
    ```python
    import numpy as np
    import keras_seqattn as ks

    correct = np.array([[True], [True], [False], [True]])
    delay = np.array([[2], [3], [4], [5]])
    result = ks.tasks.accuracy_by_delay(correct, delay, bins=2)
    print(result.centers, result.accuracy, result.counts)
    # [2.5 4.5] [1.  0.5] [2 2]
    ```
    """
    correct = np.asarray(correct)
    delay = np.asarray(delay)
    if correct.dtype != bool or correct.shape != delay.shape or not delay.size:
        raise ValueError(
            "`correct` must be a boolean array of the shape of `delay`, not "
            f"empty. Received: correct.dtype={correct.dtype}, "
            f"correct.shape={correct.shape}, delay.shape={delay.shape}"
        )
    edges = check_array("bins", bins).astype(np.float64)
    if edges.ndim == 0:
        number = check_positive_integer("bins", bins)
        shortest, longest = int(delay.min()), int(delay.max())
        number = min(number, longest - shortest + 1)
        # Half a step outwards: every bin is then of the same width in steps.
        edges = np.linspace(shortest - 0.5, longest + 0.5, number + 1)
    elif edges.ndim != 1 or len(edges) < 2 or not np.all(np.diff(edges) > 0):
        raise ValueError(
            "`bins` must be a positive integer or edges that rise, at "
            f"least two. Received: bins={bins!r}"
        )
    counts = np.histogram(delay, edges)[0]
    right = np.histogram(delay[correct], edges)[0]
    accuracy = np.where(counts > 0, right / np.maximum(counts, 1), np.nan)
    return DelayAccuracy(edges, accuracy, counts)


def mean_response(outputs: np.ndarray, batch: MemoryBatch) -> np.ndarray:
    """Average outputs over each query's response steps.

    Args:
        outputs: Float array of shape `(batch, timesteps, outputs)`.
        batch: The `MemoryBatch` they are for.

    Returns:
        Float array of shape `(batch, queries, outputs)`.
    """
    outputs = check_outputs(outputs, batch)
    rows = np.arange(len(batch))[:, None, None]
    with np.errstate(invalid="ignore"):  # infinity of both signs: NaN
        return outputs[rows, batch.response_steps].mean(axis=2)


def replace_response(batch: MemoryBatch, response: np.ndarray) -> np.ndarray:
    """Return the targets with something else on the response steps.

    Args:
        batch: A `MemoryBatch`.
        response: Float array that broadcasts to `(batch, queries, outputs)`.

    Returns:
        Float32 array of shape `(batch, timesteps, outputs)`.
    """
    outputs = batch.y.copy()
    rows = np.arange(len(batch))[:, None, None]
    outputs[rows, batch.response_steps] = np.expand_dims(response, -2)
    return outputs


def score_predictors(
    predictors: dict[str, np.ndarray],
    batch: MemoryBatch,
    correct: Callable[[np.ndarray, MemoryBatch], np.ndarray],
) -> dict[str, ReferenceLevel]:
    """Score outputs that simple predictors made for a batch.

    Args:
        predictors: From a name to outputs of the shape of `batch.y`.
        batch: A `MemoryBatch`.
        correct: The task's `correct`.

    Returns:
        From each name to a `ReferenceLevel`.
    """
    return {
        name: ReferenceLevel(
            mse=float(np.mean((outputs - batch.y) ** 2, dtype=np.float64)),
            accuracy=float(correct(outputs, batch).mean()),
        )
        for name, outputs in predictors.items()
    }


def check_outputs(outputs: Any, batch: MemoryBatch) -> np.ndarray:
    """Return `outputs` as an array, or raise if not of the shape of `y`."""
    outputs = check_array("outputs", outputs, copy=False)
    if outputs.shape != batch.y.shape:
        raise ValueError(
            "`outputs` must have the shape (batch, timesteps, outputs) of "
            f"`batch.y`, {batch.y.shape}. "
            f"Received: outputs.shape={outputs.shape}"
        )
    return outputs


def check_times_and_sizes(task: Any) -> None:
    """Check the settings that `CueRecall` and `CueAssociation` share."""
    for name in ("cue_duration", "query_duration", "response_duration"):
        check_positive_integer(name, getattr(task, name))
    for name in ("cue_step", "response_delay", "post_steps"):
        check_non_negative_integer(name, getattr(task, name))
    # As checked: NumPy takes no integer of 10**30, which float32 holds.
    checked = {
        "amplitude": check_positive_number,
        "query_amplitude": check_positive_number,
        "noise": check_non_negative_number,
        "delay_range": check_integer_range,
    }
    for name, check in checked.items():
        object.__setattr__(task, name, check(name, getattr(task, name)))
    if task.timesteps > LARGEST:
        raise ValueError(
            "A sequence must have fewer than 2**31 steps: give a smaller "
            "`cue_step`, `delay_range`, duration or `post_steps`. Received: "
            f"{task.timesteps} steps"
        )
