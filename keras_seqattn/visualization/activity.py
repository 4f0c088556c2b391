"""Figures of a classifier, of its training and of its attention."""

from collections.abc import Mapping
from collections.abc import Sequence
from typing import Any

import numpy as np

from keras_seqattn.visualization.axes import draw_levels
from keras_seqattn.visualization.axes import given_or_new


def plot_confusion_matrix(
    matrix: Any, classes: Sequence[str], ax: Any = None
) -> Any:
    """Draw which class was taken for which, with counts and recall.

    Args:
        matrix: Integer array of shape `(classes, classes)`, the count of each
            true class (row) that was taken for each class (column).
        classes: Names of the classes.
        ax: Matplotlib axes. Default: new ones.

    Returns:
        The axes. Colours are shares of the true class, in 0 .. 1; the one
        that was recognized, its recall, stands at the right.
    """
    matrix = np.asarray(matrix)
    if matrix.shape != (len(classes), len(classes)):
        raise ValueError(
            f"`matrix` must be of shape {(len(classes), len(classes))}, one "
            f"row and column a class. Received: matrix.shape={matrix.shape}"
        )
    ax = given_or_new(ax)
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
    right = ax.secondary_yaxis("right")
    # A class that does not occur has none.
    recall = [
        f"{share[row, row]:.2f}" if matrix[row].any() else "" for row in ticks
    ]
    right.set_yticks(ticks, recall, fontsize="small")
    right.tick_params(length=0)
    right.set_ylabel("recall")
    ax.set(xlabel="recognized as", ylabel="true")
    return ax


def plot_learning_curves(
    histories: dict[str, Sequence[float]]
    | Sequence[dict[str, Sequence[float]]],
    metric: str = "accuracy",
    ax: Any = None,
    *,
    watched: str = "watched subjects",
    levels: Mapping[str, float] | None = None,
    log: bool = False,
) -> Any:
    """Draw a metric against the epoch: each training, and their mean.

    Args:
        histories: One Keras history, or one a training. They may end early;
            the mean is over those that reached an epoch.
        metric: The name of the metric, such as `"accuracy"` or `"loss"`. With
            `val_` before it, it is the one of the watched data.
        ax: Matplotlib axes. Default: new ones.
        watched: What the watched data are, for the legend.
        levels: What simple predictors reach, by name: a horizontal line each.
        log: Whether the metric's axis is logarithmic.

    Returns:
        The axes.
    """
    if isinstance(histories, dict):
        histories = [histories]
    ax = given_or_new(ax)
    for name, color, label in (
        (metric, "C0", "training"),
        (f"val_{metric}", "C1", watched),
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
    draw_levels(ax, levels)
    ax.xaxis.get_major_locator().set_params(integer=True)
    ax.set(xlabel="epoch", ylabel=metric)
    if log:
        ax.set_yscale("log")
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
        1 for the newest. The colours end at the 99th percentile of the steps
        whose window is full: the first ones, which have few cells to attend
        to, would leave no colours for the others.
    """
    scores = np.asarray(scores)
    if scores.ndim != 3:
        raise ValueError(
            "`scores` must be of rank 3, (time, heads, window), of one "
            f"sequence. Received: scores.shape={scores.shape}"
        )
    ax = given_or_new(ax)
    time, _, window = scores.shape
    step = 1.0 if rate is None else 1 / rate
    mean = scores.mean(axis=1)
    full = mean[window - 1 :]
    image = ax.imshow(
        mean[:, ::-1].T,
        origin="lower",
        aspect="auto",
        interpolation="nearest",
        extent=(-step / 2, (time - 0.5) * step, 0.5, window + 0.5),
        cmap="viridis",
        vmin=0,
        vmax=np.percentile(full, 99) or None if full.size else None,
    )
    ax.figure.colorbar(
        image, ax=ax, label="attention, mean over heads", extend="max"
    )
    ax.yaxis.get_major_locator().set_params(integer=True)
    ax.set(
        xlabel="timestep" if rate is None else "time (s)",
        ylabel="age of the cell (1 = newest)",
    )
    return ax
