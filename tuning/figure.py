"""The score of each trial against each parameter."""

import math
from collections.abc import Collection
from collections.abc import Sequence
from typing import Any

from matplotlib.figure import Figure


def draw_parameters(
    trials: Sequence[tuple[dict[str, Any], float]],
    score: str,
    logarithmic: Collection[str] = (),
) -> Figure:
    """Draw the score of each trial against each parameter.

    Args:
        trials: Each one's values by name, and its score; the best one first.
        score: What the score is.
        logarithmic: Names of parameters on a logarithmic axis.

    Returns:
        The figure, with one panel a parameter. The best trial is red.
    """
    names = sorted({name for values, _ in trials for name in values})
    columns = min(4, max(len(names), 1))
    rows = max(math.ceil(len(names) / columns), 1)
    figure = Figure(figsize=(3.2 * columns, 2.6 * rows), layout="constrained")
    axes = list(figure.subplots(rows, columns, squeeze=False).flat)
    for name, ax in zip(names, axes, strict=False):
        there = [(v[name], s) for v, s in trials if name in v]
        levels = [value for value, _ in there]
        scores = [value for _, value in there]
        if any(isinstance(level, (str, bool)) for level in levels):
            levels = [str(level) for level in levels]
        ax.scatter(levels, scores, s=14, c="0.45")
        if name in trials[0][0]:
            ax.scatter(levels[:1], scores[:1], s=34, c="C3", zorder=3)
        if name in logarithmic:
            ax.set_xscale("log")
        ax.set_xlabel(name)
    for ax in axes[len(names) :]:
        ax.set_axis_off()
    figure.supylabel(score)
    return figure
