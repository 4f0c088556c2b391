"""Timestep selection: from attention scores to a window length."""

import dataclasses
from collections.abc import Callable
from collections.abc import Sequence
from typing import Any

import numpy as np

from keras_seqattn._checks import check_array
from keras_seqattn._checks import check_choice
from keras_seqattn._checks import check_non_negative_number
from keras_seqattn._checks import check_positive_integer
from keras_seqattn._checks import check_positive_rate

RULES = ("default", "original")


@dataclasses.dataclass(frozen=True)
class TimestepSelection:
    """What `select_timesteps` found.

    Attributes:
        timesteps: The number of newest timesteps to keep, T*.
        threshold: The share of the attention they had to hold.
        profile: Array of shape `(timesteps_in,)`, the mean attention on each
            timestep, oldest first, sum 1.
        cumulative_share: Array of the same shape; entry `k - 1` is the share
            of the attention on the newest `k` timesteps.
        per_seed: T* of each seed by itself, a tuple of integers.
        quantiles: T* of single windows: the 10, 50 and 90 % quantiles.
    """

    timesteps: int
    threshold: float
    profile: np.ndarray
    cumulative_share: np.ndarray
    per_seed: tuple[int, ...]
    quantiles: tuple[int, ...]

    @property
    def agreement(self) -> float:
        """Share of the seeds whose own T* is the common one."""
        return float(np.mean(np.array(self.per_seed) == self.timesteps))


def select_timesteps(
    attention_scores: Any,
    threshold: float = 0.9,
    *,
    sample_weight: Any = None,
    rule: str = "default",
) -> TimestepSelection:
    """Select the fewest newest timesteps that hold most of the attention.

    The scores are averaged over the windows (and seeds), then added up from
    the newest timestep to the oldest. T* is the smallest number of newest
    timesteps whose share reaches `threshold`.

    Take the scores on training or validation windows. On test windows, T*
    and so the reported score would be fitted to the test set. And take T* as
    a proposal: the state of a recurrent layer has already mixed its past (a
    bidirectional one also its future), so attention to a state does not
    prove that its bin matters. `recommend_timesteps` checks the proposal.

    Reference:
        [Yang et al., Sensors 21(19), 6372, 2021](
        https://doi.org/10.3390/s21196372).

    Args:
        attention_scores: Array of shape `(windows, timesteps)`, oldest
            timestep first, or one such array for each seed (a list, or an
            array of rank 3).
        threshold: Number in (0, 1]. At 1, every timestep with attention
            counts. Default: 0.9.
        sample_weight: Optional array of shape `(windows,)`, how much each
            window counts, for example movement speed: at rest attention
            falls on the newest timestep and shortens T*.
        rule: `"default"`: float64, a share of `threshold` is enough.
            `"original"`: the original's arithmetic, float32 and strictly
            more than `threshold`, with T* = 1 when nothing is (so at
            threshold 1).

    Returns:
        A `TimestepSelection`.

    Raises:
        ValueError: A threshold outside (0, 1], scores of the wrong rank,
            NaN, negative or all zero, weights that do not fit.

    Example:
    ```python
    import numpy as np
    import keras_seqattn as ks

    scores = np.array([[0.0, 0.1, 0.3, 0.6], [0.1, 0.1, 0.2, 0.6]])
    print(ks.decoding.select_timesteps(scores, threshold=0.8).timesteps)  # 2
    ```
    """
    threshold = check_positive_rate("threshold", threshold)
    check_choice("rule", rule, RULES)
    seeds = [_check_scores(scores) for scores in _by_seed(attention_scores)]
    dtype = np.float32 if rule == "original" else np.float64
    seeds = [scores.astype(dtype) for scores in seeds]
    if len({scores.shape[1] for scores in seeds}) != 1:
        raise ValueError(
            "The attention scores of all seeds must have the same number of "
            f"timesteps. Received: {[scores.shape for scores in seeds]}"
        )
    weights = [_check_weights(sample_weight, scores) for scores in seeds]
    select = _select_original if rule == "original" else _select
    with np.errstate(over="ignore"):
        sums = [
            np.sum(scores * weight[:, None], axis=0, dtype=scores.dtype)
            for scores, weight in zip(seeds, weights, strict=True)
        ]
        if not all(np.isfinite(np.float64(s).sum()) for s in sums):
            raise ValueError(
                "`attention_scores` times `sample_weight` must have a finite "
                "sum. Received: attention up to "
                f"{max(scores.max() for scores in seeds):.3g}"
            )
    profiles = [np.float64(total) / np.float64(total).sum() for total in sums]
    profile = np.mean(profiles, axis=0)
    per_window = np.concatenate([_per_window(s, threshold) for s in seeds])
    return TimestepSelection(
        timesteps=select(sums[0] if len(sums) == 1 else profile, threshold),
        threshold=threshold,
        profile=profile,
        cumulative_share=np.cumsum(profile[::-1]),
        per_seed=tuple(select(total, threshold) for total in sums),
        quantiles=tuple(
            int(q)
            for q in np.quantile(per_window, (0.1, 0.5, 0.9), method="nearest")
        ),
    )


@dataclasses.dataclass(frozen=True)
class TimestepRecommendation:
    """What `recommend_timesteps` found.

    Attributes:
        timesteps: The recommended number of newest timesteps.
        proposal: The number it started from.
        tolerance: How far below the full window's score it may stay.
        scores: For each number of timesteps tried, in increasing order, the
            tuple of its scores (one a seed).
    """

    timesteps: int
    proposal: int
    tolerance: float
    scores: dict[int, tuple[float, ...]]

    @property
    def full_timesteps(self) -> int:
        """The full window, against which all others are measured."""
        return max(self.scores)

    def mean_score(self, timesteps: int) -> float:
        """Mean score at a number of timesteps that was tried."""
        return float(np.mean(self.scores[timesteps]))


def recommend_timesteps(
    score: Callable[[int], float | Sequence[float]],
    proposal: int,
    timesteps: int,
    tolerance: float = 0.01,
) -> TimestepRecommendation:
    """Find the smallest window that scores like the full one.

    Starts at the proposal, walks towards smaller (or larger) windows in
    growing steps until the verdict changes, then halves the interval. The
    result has been tried and is within the tolerance; one timestep less has
    been tried and is not. In between, more timesteps are taken to be no
    worse than fewer.

    Args:
        score: Function from a number of timesteps to a validation score
            (higher is better) or one score a seed. It is called once for
            each number tried, the full window first.
        proposal: Where to start, in `1 .. timesteps`; usually
            `select_timesteps(...).timesteps`.
        timesteps: Positive integer, the full window.
        tolerance: How far the mean score may stay below the full window's,
            0 or more, in the unit of the score.

    Returns:
        A `TimestepRecommendation`.

    Raises:
        ValueError: A proposal outside `1 .. timesteps`, a negative
            tolerance, or a score that is not finite.

    Example:
    ```python
    from keras_seqattn.decoding import recommend_timesteps

    found = recommend_timesteps(lambda k: min(k, 5) / 5, 9, 20)
    print(found.timesteps, sorted(found.scores))  # 5 [2, 4, 5, 6, 8, 9, 20]
    ```
    """
    timesteps = check_positive_integer("timesteps", timesteps)
    if check_positive_integer("proposal", proposal) > timesteps:
        raise ValueError(
            f"`proposal` must be in 1 .. {timesteps}, the full window. "
            f"Received: proposal={proposal}"
        )
    tolerance = check_non_negative_number("tolerance", tolerance)
    scores: dict[int, tuple[float, ...]] = {}

    def is_enough(k: int) -> bool:
        if k not in scores:
            found = np.atleast_1d(check_array("score", score(k)))
            values = found.astype(np.float64)
            if not np.isfinite(values).all():
                raise ValueError(
                    f"The score at {k} timesteps must be finite. "
                    f"Received: {values.tolist()}"
                )
            scores[k] = tuple(values.tolist())
        full = np.mean(scores[timesteps]) if k != timesteps else -np.inf
        return bool(np.mean(scores[k]) >= full - tolerance)

    is_enough(timesteps)
    # Invariant: `enough` timesteps are enough, `too_few` are not.
    too_few, enough = 0, timesteps
    step = 1
    if is_enough(proposal):
        enough = proposal
        while enough - step > too_few:
            if not is_enough(enough - step):
                too_few = enough - step
                break
            enough -= step
            step *= 2
    else:
        too_few = proposal
        while too_few + step < enough:
            if is_enough(too_few + step):
                enough = too_few + step
                break
            too_few += step
            step *= 2
    while enough - too_few > 1:
        middle = (too_few + enough) // 2
        if is_enough(middle):
            enough = middle
        else:
            too_few = middle
    return TimestepRecommendation(
        timesteps=enough,
        proposal=int(proposal),
        tolerance=tolerance,
        scores=dict(sorted(scores.items())),
    )


def _select(profile: np.ndarray, threshold: float) -> int:
    share = np.cumsum(np.asarray(profile, dtype=np.float64)[::-1])
    # The tolerance keeps 18 of 20 equal parts at 0.9, whatever the rounding.
    return int(np.argmax(share >= (threshold - 1e-9) * share[-1])) + 1


def _select_original(total: np.ndarray, threshold: float) -> int:
    newest_first = np.asarray(total, dtype=np.float32)[::-1]
    # One sum for each k, not a running one: float32 rounds them apart.
    share = np.array(
        [newest_first[: k + 1].sum() for k in range(len(newest_first))]
    )
    share /= newest_first.sum()
    # argmax of all False is 0: nothing above the threshold gives T* = 1.
    return int(np.argmax(share > np.float32(threshold))) + 1


def _per_window(scores: np.ndarray, threshold: float) -> np.ndarray:
    share = np.cumsum(np.asarray(scores, dtype=np.float64)[:, ::-1], axis=1)
    return np.argmax(share >= (threshold - 1e-9) * share[:, -1:], axis=1) + 1


def _by_seed(attention_scores: Any) -> list[Any]:
    if isinstance(attention_scores, (list, tuple)) and all(
        np.ndim(scores) == 2 for scores in attention_scores
    ):
        return list(attention_scores)
    array = np.asarray(attention_scores)
    return list(array) if array.ndim == 3 else [array]


def _check_scores(scores: Any) -> np.ndarray:
    scores = check_array("attention_scores", scores)
    if scores.ndim != 2 or 0 in scores.shape:
        raise ValueError(
            "`attention_scores` must have the shape (windows, timesteps), or "
            "be one such array for each seed, none of them empty. "
            f"Received: shape {scores.shape}"
        )
    if not np.isfinite(scores).all():
        raise ValueError(
            "`attention_scores` must be finite. Received: NaN or infinity in "
            f"{(~np.isfinite(scores)).any(axis=1).sum()} windows"
        )
    if (scores < 0).any() or not scores.any():
        raise ValueError(
            "`attention_scores` must not be negative nor all zero: pass the "
            "weights after the softmax. Received: minimum "
            f"{scores.min()}, maximum {scores.max()}"
        )
    return scores


def _check_weights(sample_weight: Any, scores: np.ndarray) -> np.ndarray:
    if sample_weight is None:
        return np.ones(len(scores), dtype=scores.dtype)
    weight = check_array("sample_weight", sample_weight).astype(scores.dtype)
    wrong = ~(np.isfinite(weight) & (weight >= 0))
    if weight.shape != (len(scores),) or wrong.any():
        raise ValueError(
            "`sample_weight` must have one number >= 0 a window. "
            f"Received: shape {weight.shape} for {len(scores)} windows, "
            f"{wrong.sum()} of another kind"
        )
    if not weight.any():
        raise ValueError("`sample_weight` must not be all zero.")
    return weight
