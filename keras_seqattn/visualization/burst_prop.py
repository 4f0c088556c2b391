"""Figures of networks that learn by bursts, and of methods side by side."""

import re
from collections.abc import Mapping
from collections.abc import Sequence
from typing import Any

import numpy as np

from keras_seqattn.visualization.axes import draw_levels
from keras_seqattn.visualization.axes import given_or_new
from keras_seqattn.visualization.axes import pyplot

_History = Mapping[str, Sequence[float]]

# What `callbacks.BurstPropMonitor` logs: label, and what to compare with.
_PANELS: Mapping[str, tuple[str, Mapping[str, float]]] = {
    "angle_to_backprop": ("angle to backprop (degrees)", {"unrelated": 90}),
    "angle_to_feedback": ("angle to feedback (degrees)", {"unrelated": 90}),
    "apical_potential": ("mean |apical potential|", {}),
    "burst_slope": ("mean p (1 - p)", {"not saturated": 0.25}),
}


def plot_burst_learning(
    histories: _History | Sequence[_History],
    metric: str = "loss",
    baselines: Mapping[str, float] | Sequence[Mapping[str, float]] = (),
    levels: Mapping[str, float] | None = None,
    axes: Any = None,
) -> Any:
    """Draw how a network learned by bursts, five figures against the epoch.

    The metric; then, with a line for each layer, darker for lower ones, the
    angle to backprop, the angle between forward and feedback weights, the
    apical potential, and the slope of the burst probability. Of several
    trainings the line is the mean, in a band from the lowest to the highest.

    Args:
        histories: One Keras history, or one a training of the same network,
            of a `fit` with `callbacks.BurstPropMonitor`.
        metric: Name of the metric. With `val_` before it, it is the one of
            the validation data, drawn dashed if there is one.
        baselines: The monitor's `baseline`, or one a training, drawn at epoch
            0. Default: the curves start after the first epoch.
        levels: What simple predictors reach in the metric, such as
            `{"chance": 0.1}`: a horizontal line each.
        axes: Array of five matplotlib axes, such as a row of a grid with a row
            for each method. Default: new ones, in two rows.

    Returns:
        Array of the five axes. Those with nothing to show, as for a network
        without hidden layers, are hidden.

    Raises:
        ValueError: A history without the metric or without what the monitor
            logs, trainings of different networks, or another number of
            baselines or axes.
    """
    histories, baselines = _as_list(histories), _as_list(baselines)
    _check_histories(histories, baselines, metric)
    if axes is None:
        _, axes = pyplot.subplots(2, 3, figsize=(12, 6), layout="constrained")
        *axes, spare = axes.flat
        spare.remove()
    axes = np.asarray(axes)
    if axes.size != 1 + len(_PANELS):
        raise ValueError(
            f"`axes` must hold {1 + len(_PANELS)} axes, for the metric and "
            f"each of {[*_PANELS]}. Received: {axes.size} axes"
        )
    first, *rest = axes.flat
    for name, label, style in (
        (metric, "training", "-"),
        (f"val_{metric}", "validation", "--"),
    ):
        curves = [history[name] for history in histories if name in history]
        _draw(first, curves, 1, _of_several(label, curves), color="k", ls=style)
    draw_levels(first, levels)
    _finish(first, metric)
    for ax, (name, (label, comparison)) in zip(
        rest, _PANELS.items(), strict=True
    ):
        layers = _layers(histories[0], name)
        ax.set_visible(bool(layers))
        for number, key in layers.items():
            curves = [[*history[key]] for history in histories]
            for curve, baseline in zip(curves, baselines, strict=False):
                curve.insert(0, baseline[key])
            _draw(
                ax,
                curves,
                first=0 if baselines else 1,
                label=f"layer {number}",
                color=_shade(number, len(_layers(histories[0]))),
            )
        ax.axhline(0, color="0.8", lw=0.8)
        draw_levels(ax, comparison)
        _finish(ax, label)
    return axes


def plot_learning_by_method(
    histories: Mapping[str, _History | Sequence[_History]],
    metric: str = "val_accuracy",
    levels: Mapping[str, float] | None = None,
    log: bool = False,
    ax: Any = None,
) -> Any:
    """Draw a metric against the epoch, for several methods of learning.

    The line is the mean over a method's trainings, dashed for every second
    method so that equal ones are seen, and the band goes from the lowest to
    the highest of them. Trainings may end early; an epoch's mean and
    band are of those that reached it.

    Args:
        histories: From a method's name to its Keras history, or to several,
            one for each seed.
        metric: Name of the metric in the histories.
        levels: What simple predictors reach, such as `{"chance": 0.1}`: a
            horizontal line each.
        log: Whether the metric's axis is logarithmic.
        ax: Matplotlib axes. Default: new ones.

    Returns:
        The axes.

    Raises:
        ValueError: No method or no training, or a history without the metric.
    """
    trainings = {name: _as_list(found) for name, found in histories.items()}
    _check_metric([*trainings.values()], metric)
    ax = given_or_new(ax)
    for index, (name, found) in enumerate(trainings.items()):
        curves = [history[metric] for history in found]
        label = _of_several(name, curves)
        dashed = index % 2
        look = {"color": f"C{index % 10}", "ls": "--" if dashed else "-"}
        _draw(ax, curves, 1, label, zorder=2 + 0.1 * dashed, **look)
    draw_levels(ax, levels)
    if log:
        ax.set_yscale("log")
    _finish(ax, metric)
    return ax


def _draw(
    ax: Any,
    curves: Sequence[Sequence[float]],
    first: int,
    label: str,
    **style: Any,
) -> None:
    """The mean of the curves, and the band that holds them."""
    if not curves:
        return
    # NaN is not left out: a training that diverged is to be seen.
    reached = [
        [curve[epoch] for curve in curves if len(curve) > epoch]
        for epoch in range(max(map(len, curves)))
    ]
    epochs = np.arange(first, first + len(reached))
    (line,) = ax.plot(
        epochs,
        [np.mean(values) for values in reached],
        marker=".",
        ms=4,
        label=label,
        **style,
    )
    if len(curves) > 1:
        ax.fill_between(
            epochs,
            [np.min(values) for values in reached],
            [np.max(values) for values in reached],
            color=line.get_color(),
            zorder=line.get_zorder() - 0.5,
            alpha=0.2,
            lw=0,
        )


def _of_several(label: str, curves: Sequence[Any]) -> str:
    return f"{label}, mean of {len(curves)}" if len(curves) > 1 else label


def _finish(ax: Any, label: str) -> None:
    ax.xaxis.get_major_locator().set_params(integer=True)
    ax.set(xlabel="epoch", ylabel=label)
    if ax.get_legend_handles_labels()[1]:
        ax.legend(frameon=False, fontsize="small")


def _shade(number: int, count: int) -> Any:
    return pyplot.get_cmap("viridis")(0.9 * number / max(count - 1, 1))


def _layers(
    history: Mapping[str, Any], name: str = "angle_to_backprop"
) -> dict[int, str]:
    """From the numbers of the layers that have it to its names in the logs."""
    matches = (re.fullmatch(rf"layer_(\d+)/{name}", key) for key in history)
    found = {int(match[1]): match[0] for match in matches if match}
    return dict(sorted(found.items()))


def _measured(history: Mapping[str, Any]) -> set[str]:
    return {key for name in _PANELS for key in _layers(history, name).values()}


def _as_list(given: Any) -> list[Any]:
    return [given] if isinstance(given, Mapping) else list(given)


def _check_metric(methods: Sequence[Sequence[_History]], metric: str) -> None:
    if not methods or not all(methods):
        raise ValueError(
            "`histories` must hold at least one training of each method. "
            f"Received: {[len(histories) for histories in methods]} trainings"
        )
    for histories in methods:
        for history in histories:
            if metric not in history:
                raise ValueError(
                    "`metric` must be in every history. "
                    f"Received: metric={metric!r}, a history of {[*history]}"
                )


def _check_histories(
    histories: Sequence[_History],
    baselines: Sequence[Mapping[str, float]],
    metric: str,
) -> None:
    _check_metric([histories], metric)
    if baselines and len(baselines) != len(histories):
        raise ValueError(
            "`baselines` must hold one for each of `histories`, or none. "
            f"Received: {len(baselines)} for {len(histories)}"
        )
    wanted = _measured(histories[0])
    for found in (*histories, *baselines):
        if not wanted or _measured(found) != wanted:
            raise ValueError(
                "Every history and baseline must hold what "
                "`callbacks.BurstPropMonitor` logs, of networks with as many "
                "layers. "
                f"Received: {sorted(_measured(found))} beside {sorted(wanted)}"
            )
