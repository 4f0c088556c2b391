"""Figures of a decoder and of its window."""

from typing import Any

import numpy as np

from keras_seqattn.decoding.timestep_selection import TimestepRecommendation
from keras_seqattn.decoding.timestep_selection import TimestepSelection
from keras_seqattn.visualization.axes import given_or_new


def plot_attention_profile(
    selection: TimestepSelection, bin_width: float | None = None, ax: Any = None
) -> Any:
    """Draw the mean attention on each timestep, the kept ones highlighted.

    Args:
        selection: From `select_timesteps`.
        bin_width: Width of a timestep in seconds, for an axis in milliseconds.
            Default: an axis in timesteps.
        ax: Matplotlib axes. Default: new ones.

    Returns:
        The axes.
    """
    ax = given_or_new(ax)
    count = len(selection.profile)
    age = np.arange(1 - count, 1)
    width, unit = (
        (1.0, "timesteps") if bin_width is None else (1e3 * bin_width, "ms")
    )
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
    ax = given_or_new(ax)
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
    ax = given_or_new(ax)
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
            label="Wiener filter",
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
    bin_width: float | None = None,
    label: str = "movement",
    ax: Any = None,
    bins: Any = None,
) -> Any:
    """Draw one axis of the decoded movement over the true one.

    Args:
        true: Array of shape `(bins,)`.
        decoded: Array of the same shape.
        bin_width: Width of a bin in seconds. Default: an axis in bins.
        label: What is drawn, for the vertical axis.
        ax: Matplotlib axes. Default: new ones.
        bins: Rising integers of shape `(bins,)`, the place of each bin in the
            recording. The lines are broken where one does not follow the
            other. Default: all do.

    Returns:
        The axes.
    """
    true, decoded = np.asarray(true), np.asarray(decoded)
    if true.ndim != 1 or true.shape != decoded.shape:
        raise ValueError(
            "`true` and `decoded` must be of rank 1 and of the same length. "
            f"Received: shapes {true.shape} and {decoded.shape}"
        )
    bins = np.arange(len(true)) if bins is None else np.asarray(bins)
    if bins.shape != true.shape:
        raise ValueError(
            "`bins` must hold the place of each bin. Received: shape "
            f"{bins.shape} for {len(true)} bins"
        )
    ax = given_or_new(ax)
    # NaN breaks a line.
    seams = np.flatnonzero(np.diff(bins) != 1) + 1
    when = (bins - bins[:1]) * (1.0 if bin_width is None else bin_width)
    when, true, decoded = (
        np.insert(np.asarray(values, np.float64), seams, np.nan)
        for values in (when, true, decoded)
    )
    ax.plot(when, true, color="0.3", lw=1, label="true")
    ax.plot(when, decoded, color="C1", lw=1, label="decoded")
    ax.set(xlabel="bins" if bin_width is None else "time (s)", ylabel=label)
    # Above the axes, where it hides nothing.
    ax.legend(
        frameon=False,
        loc="lower right",
        bbox_to_anchor=(1, 1),
        ncols=2,
        borderaxespad=0,
    )
    return ax


def plot_latency(
    times: dict[str, Any], bin_width: float | None = None, ax: Any = None
) -> Any:
    """Draw which share of the steps took longer than a time.

    Both axes are logarithmic, so that the rare slow steps show.

    Args:
        times: Milliseconds of each step, by the name of the decoder.
        bin_width: Width of a bin in seconds, to draw as the limit.
        ax: Matplotlib axes. Default: new ones.

    Returns:
        The axes.
    """
    ax = given_or_new(ax)
    for name, values in times.items():
        ordered = np.sort(np.asarray(values, dtype=np.float64))
        if ordered.ndim != 1 or not len(ordered):
            raise ValueError(
                "`times` must hold an array (steps,) for each name. "
                f"Received: shape {ordered.shape} for {name!r}"
            )
        slower = 1 - np.arange(len(ordered)) / len(ordered)
        p50, p95, p99 = np.percentile(ordered, (50, 95, 99))
        label = f"{name}: p50 {p50:.2f}, p95 {p95:.2f}, p99 {p99:.2f} ms"
        ax.step(ordered, slower, where="post", label=label)
    if bin_width is not None:
        ax.axvline(
            1e3 * bin_width,
            color="k",
            lw=0.8,
            ls=":",
            label=f"bin {1e3 * bin_width:g} ms",
        )
    ax.set(
        xscale="log",
        yscale="log",
        xlabel="time of a step (ms)",
        ylabel="share of slower steps",
    )
    ax.legend(frameon=False, fontsize="small")
    return ax
