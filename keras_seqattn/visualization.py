"""Figures. Each function draws on the given axes and returns them."""

from collections.abc import Sequence
from typing import Any

import numpy as np

try:
    import matplotlib.pyplot as plt
except ImportError as error:
    raise ImportError(
        "The figures need matplotlib: pip install keras_seqattn[plot]"
    ) from error

from keras_seqattn.timestep_selection import TimestepRecommendation
from keras_seqattn.timestep_selection import TimestepSelection


def plot_attention_profile(
    selection: TimestepSelection, dt: float | None = None, ax: Any = None
) -> Any:
    """Draw the mean attention on each timestep, the kept ones highlighted.

    Args:
        selection: From `select_timesteps`.
        dt: Width of a timestep in seconds, for an axis in milliseconds.
            Default: an axis in timesteps.
        ax: Matplotlib axes. Default: new ones.

    Returns:
        The axes.
    """
    ax = _axes(ax)
    count = len(selection.profile)
    age = np.arange(1 - count, 1)
    width, unit = (1.0, "timesteps") if dt is None else (1e3 * dt, "ms")
    kept = age > -selection.timesteps
    for keep, color, label in (
        (kept, "C0", f"newest {selection.timesteps} (T*)"),
        (~kept, "0.75", "older"),
    ):
        ax.bar(
            width * age[keep],
            selection.profile[keep],
            width=0.9 * width,
            color=color,
            label=label,
        )
    ax.axhline(1 / count, color="k", lw=0.8, ls=":", label="uniform")
    ax.set(xlabel=f"time before now ({unit})", ylabel="mean attention")
    ax.legend(frameon=False)
    return ax


def plot_cumulative_share(selection: TimestepSelection, ax: Any = None) -> Any:
    """Draw the attention on the newest k timesteps against k, with T*.

    Args:
        selection: From `select_timesteps`.
        ax: Matplotlib axes. Default: new ones.

    Returns:
        The axes.
    """
    ax = _axes(ax)
    count = len(selection.cumulative_share)
    ax.plot(np.arange(1, count + 1), selection.cumulative_share, "o-", ms=3)
    ax.axhline(
        selection.threshold,
        color="k",
        lw=0.8,
        ls=":",
        label=f"threshold {selection.threshold:g}",
    )
    ax.axvline(
        selection.timesteps,
        color="C1",
        lw=1,
        label=f"T* = {selection.timesteps}",
    )
    ax.xaxis.get_major_locator().set_params(integer=True)
    ax.set(
        xlabel="newest timesteps kept, k",
        ylabel="share of the attention",
        ylim=(0, 1.05),
    )
    ax.legend(frameon=False)
    return ax


def plot_score_against_timesteps(
    recommendation: TimestepRecommendation,
    baseline: dict[int, float] | None = None,
    ax: Any = None,
) -> Any:
    """Draw the validation score against the number of timesteps kept.

    Args:
        recommendation: From `recommend_timesteps`.
        baseline: Optional scores of a simple decoder, by timesteps.
        ax: Matplotlib axes. Default: new ones.

    Returns:
        The axes.
    """
    ax = _axes(ax)
    tried = list(recommendation.scores)
    for k, scores in recommendation.scores.items():
        ax.plot([k] * len(scores), scores, ".", color="C0", alpha=0.5)
    ax.plot(
        tried,
        [recommendation.mean_score(k) for k in tried],
        "-",
        color="C0",
        label="no attention (mean over seeds)",
    )
    if baseline:
        ax.plot(
            list(baseline),
            list(baseline.values()),
            "s--",
            ms=3,
            color="0.5",
            label="ridge",
        )
    ax.axhline(
        recommendation.mean_score(recommendation.full_timesteps)
        - recommendation.tolerance,
        color="k",
        lw=0.8,
        ls=":",
        label=f"full window - {recommendation.tolerance:g}",
    )
    ax.axvline(
        recommendation.proposal,
        color="C1",
        lw=1,
        ls="--",
        label=f"proposed by attention: {recommendation.proposal}",
    )
    ax.axvline(
        recommendation.timesteps,
        color="C2",
        lw=1,
        label=f"recommended: {recommendation.timesteps}",
    )
    ax.xaxis.get_major_locator().set_params(integer=True)
    ax.set(xlabel="newest timesteps kept, k", ylabel="validation R2")
    ax.legend(frameon=False, fontsize="small")
    return ax


def plot_decoded_trace(
    true: Any,
    decoded: Any,
    dt: float | None = None,
    label: str = "movement",
    ax: Any = None,
) -> Any:
    """Draw one axis of the decoded movement over the true one.

    Args:
        true: Array of shape `(bins,)`.
        decoded: Array of the same shape.
        dt: Width of a bin in seconds. Default: an axis in bins.
        label: What is drawn, for the vertical axis.
        ax: Matplotlib axes. Default: new ones.

    Returns:
        The axes.
    """
    true, decoded = np.asarray(true), np.asarray(decoded)
    if true.ndim != 1 or true.shape != decoded.shape:
        raise ValueError(
            "`true` and `decoded` must be of rank 1 and of the same length. "
            f"Received: shapes {true.shape} and {decoded.shape}"
        )
    ax = _axes(ax)
    when = np.arange(len(true)) * (1 if dt is None else dt)
    ax.plot(when, true, color="0.3", lw=1, label="true")
    ax.plot(when, decoded, color="C1", lw=1, label="decoded")
    ax.set(xlabel="bins" if dt is None else "time (s)", ylabel=label)
    ax.legend(frameon=False, loc="upper right")
    return ax


def plot_confusion_matrix(
    matrix: Any, classes: Sequence[str], ax: Any = None
) -> Any:
    """Draw which class was taken for which, with counts.

    Args:
        matrix: Integer array of shape `(classes, classes)`, the count of each
            true class (row) that was taken for each class (column).
        classes: Names of the classes.
        ax: Matplotlib axes. Default: new ones.

    Returns:
        The axes. Colours are shares of the true class, in 0 .. 1.
    """
    matrix = np.asarray(matrix)
    if matrix.shape != (len(classes), len(classes)):
        raise ValueError(
            f"`matrix` must be of shape {(len(classes), len(classes))}, one "
            f"row and column a class. Received: matrix.shape={matrix.shape}"
        )
    ax = _axes(ax)
    share = matrix / np.maximum(matrix.sum(axis=1, keepdims=True), 1)
    ax.imshow(share, cmap="Blues", vmin=0, vmax=1)
    for row, column in np.ndindex(matrix.shape):
        ax.text(
            column,
            row,
            str(matrix[row, column]),
            ha="center",
            va="center",
            fontsize="small",
            color="white" if share[row, column] > 0.5 else "black",
        )
    ticks = range(len(classes))
    ax.set_xticks(ticks, classes, rotation=30, ha="right", fontsize="small")
    ax.set_yticks(ticks, classes, fontsize="small")
    ax.set(xlabel="recognized as", ylabel="true")
    return ax


def plot_learning_curves(
    histories: Sequence[dict[str, Sequence[float]]],
    metric: str = "accuracy",
    ax: Any = None,
) -> Any:
    """Draw a metric against the epoch: each training, and their mean.

    Args:
        histories: One Keras history a training. They may end early; the mean
            is over those that reached an epoch.
        metric: The name of the metric, such as `"accuracy"` or `"loss"`. With
            `val_` before it, it is the one of the watched windows.
        ax: Matplotlib axes. Default: new ones.

    Returns:
        The axes.
    """
    ax = _axes(ax)
    for name, color, label in (
        (metric, "C0", "training"),
        (f"val_{metric}", "C1", "watched subjects"),
    ):
        curves = [history[name] for history in histories if name in history]
        if not curves:
            continue
        for curve in curves:
            ax.plot(np.arange(1, len(curve) + 1), curve, color=color, alpha=0.2)
        longest = max(map(len, curves))
        mean = [
            np.mean([curve[epoch] for curve in curves if len(curve) > epoch])
            for epoch in range(longest)
        ]
        ax.plot(np.arange(1, longest + 1), mean, color=color, label=label)
    ax.xaxis.get_major_locator().set_params(integer=True)
    ax.set(xlabel="epoch", ylabel=metric)
    ax.legend(frameon=False)
    return ax


def plot_attention_over_past(
    scores: Any, rate: float | None = None, ax: Any = None
) -> Any:
    """Draw how much each step attends to each of the cells before it.

    Args:
        scores: Array of shape `(time, heads, window)`, the attention of one
            sequence, its last axis from the oldest cell to the newest, 0
            where there is no cell yet. Drawn is the mean over heads.
        rate: Timesteps in a second. Default: an axis in timesteps.
        ax: Matplotlib axes. Default: new ones.

    Returns:
        The axes: time to the right, the age of the attended cell upwards,
        1 for the newest.
    """
    scores = np.asarray(scores)
    if scores.ndim != 3:
        raise ValueError(
            "`scores` must be of rank 3, (time, heads, window), of one "
            f"sequence. Received: scores.shape={scores.shape}"
        )
    ax = _axes(ax)
    time, _, window = scores.shape
    step = 1.0 if rate is None else 1 / rate
    image = ax.imshow(
        scores.mean(axis=1)[:, ::-1].T,
        origin="lower",
        aspect="auto",
        interpolation="nearest",
        extent=(-step / 2, (time - 0.5) * step, 0.5, window + 0.5),
        cmap="viridis",
        vmin=0,
    )
    ax.figure.colorbar(image, ax=ax, label="attention, mean over heads")
    ax.yaxis.get_major_locator().set_params(integer=True)
    ax.set(
        xlabel="timestep" if rate is None else "time (s)",
        ylabel="age of the cell (1 = newest)",
    )
    return ax


def _axes(ax: Any) -> Any:
    return plt.subplots(layout="constrained")[1] if ax is None else ax
