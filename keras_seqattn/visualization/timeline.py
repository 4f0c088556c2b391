"""The figure of what was recognized in a recording."""

import os
import pathlib
from collections.abc import Sequence
from typing import Any

import numpy as np

from keras_seqattn.activity.timeline import ActivityTimeline
from keras_seqattn.activity.timeline import runs
from keras_seqattn.visualization.axes import Figure
from keras_seqattn.visualization.axes import given_or_new

# Okabe & Ito's, told apart by colour-blind eyes too; with a pattern from the
# eighth class on.
COLORS = (
    *("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00"),
    "#F0E442",
)
PATTERNS = ("", "//", "..", "xx")
# A stretch that is at least this share of the figure has its name in it.
WIDE = 0.09
HEIGHT = 0.8


def plot_timeline(
    timeline: ActivityTimeline, truth: Any = None, ax: Any = None
) -> Any:
    """Draw which activity was recognized when, below the true one.

    Args:
        timeline: From `activity.predict_recording`.
        truth: True labels, names or indices of the time line's classes, one a
            sample; `""` where not known. Default: the time line alone.
        ax: Matplotlib axes. Default: new ones, wide and low.

    Returns:
        The axes. A stretch is broken at a seam (a thin line, where no time
        is missing there), and there is none where there is no label.

    Raises:
        ValueError: Labels that are no classes, or another number of them.
    """
    if truth is None:
        rows = [("recognized", timeline.codes([""] * len(timeline.times))[1])]
    else:
        true, found = timeline.codes(truth)
        rows = [("recognized", found), ("true", true)]
    new = ax is None
    ax = given_or_new(ax)
    if new:
        ax.figure.set_size_inches(10, 1.4 + 0.6 * len(rows))
    step = 1 / timeline.rate
    # Stamps of a clock since 1970 have too many digits for an axis.
    earliest = float(timeline.times.min())
    origin = earliest if earliest >= 1e6 else 0.0
    times = timeline.times - origin
    begin, end = float(times.min()), float(times.max() + step)
    looks: dict[int, Any] = {}
    for height, (_, codes) in enumerate(rows):
        # One artist a class: a long recording has thousands of stretches.
        stretches: dict[int, list[tuple[float, float]]] = {}
        for first, last in runs(codes, timeline.segment):
            code = int(codes[first])
            if code < 0:
                continue
            start, length = times[first], times[last] + step - times[first]
            stretches.setdefault(code, []).append((start, length))
            name = timeline.classes[code]
            if length >= WIDE * (end - begin) and len(name) <= 12:
                _name(ax, start + length / 2, height, name)
        for code, bars in stretches.items():
            looks[code] = ax.broken_barh(
                bars, (height - HEIGHT / 2, HEIGHT), **_look(code)
            )
    _draw_seams(ax, times, timeline)
    ax.set_yticks(range(len(rows)), [name for name, _ in rows])
    ax.set_ylim(-0.5, len(rows) - 0.5)
    ax.set_xlim(begin, end)
    ax.set_xlabel(f"time after {origin:.3f} (s)" if origin else "time (s)")
    ax.spines[["top", "right", "left"]].set_visible(False)
    ax.tick_params(axis="y", length=0)
    if looks:
        codes_there = sorted(looks)
        ax.legend(
            [looks[code] for code in codes_there],
            [timeline.classes[code] for code in codes_there],
            ncols=min(len(looks), 6),
            loc="lower center",
            bbox_to_anchor=(0.5, 1.0),
            frameon=False,
            fontsize="small",
        )
    return ax


def save_figure(
    timelines: Sequence[ActivityTimeline], path: str | os.PathLike[str]
) -> None:
    """Draw time lines one below the other, each with its source's name."""
    # Not pyplot's, which would ask for a screen.
    figure = Figure((10, 2.2 * len(timelines)), layout="constrained")
    axes = figure.subplots(len(timelines), squeeze=False)[:, 0]
    for ax, timeline in zip(axes, timelines, strict=True):
        plot_timeline(timeline, ax=ax)
        ax.set_yticks([0], [pathlib.Path(timeline.source).name])
    figure.savefig(path, dpi=120)


def _look(code: int) -> dict[str, Any]:
    return {
        "facecolor": COLORS[code % len(COLORS)],
        "hatch": PATTERNS[code // len(COLORS) % len(PATTERNS)],
        "edgecolor": "black" if code >= len(COLORS) else "none",
        "linewidth": 0,
    }


def _name(ax: Any, x: float, y: float, name: str) -> None:
    box = {"facecolor": "white", "edgecolor": "none", "alpha": 0.8, "pad": 1.5}
    ax.text(
        x, y, name, ha="center", va="center", fontsize="small", bbox=box
    ).set_clip_on(True)


def _draw_seams(ax: Any, times: Any, timeline: ActivityTimeline) -> None:
    """Where no time is missing, a seam would not be seen."""
    segment = timeline.segment
    seams = np.flatnonzero(segment[1:] != segment[:-1])
    for place in seams:
        if times[place + 1] - times[place] < 1.5 / timeline.rate:
            ax.axvline(times[place + 1], color="white", lw=2)
            ax.axvline(times[place + 1], color="black", lw=0.8, ls=":")
