"""Figures of memory tasks and of neurons whose activation is modulated."""

import functools
from collections.abc import Callable
from collections.abc import Mapping
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

from keras_seqattn._checks import check_positive_number
from keras_seqattn.activations import gain_softplus
from keras_seqattn.tasks.memory_batch import DelayAccuracy
from keras_seqattn.visualization.axes import draw_levels
from keras_seqattn.visualization.axes import given_or_new
from keras_seqattn.visualization.axes import pyplot

_POINTS = 201  # of a curve
_CUE, _QUERY, _RESPONSE = "tab:purple", "tab:red", "tab:green"


def plot_memory_traces(
    x: Any,
    y: Any,
    prediction: Any = None,
    cue: Any = None,
    query_step: Any = None,
    response: Any = None,
    amplitude: float = 1.0,
    input_names: Sequence[str] | None = None,
    output_names: Sequence[str] | None = None,
    colors: Sequence[Any] | None = None,
    ax: Any = None,
) -> Any:
    """Draw the inputs, targets and predictions of one sequence, stacked.

    Each channel has a line of its own, 1 below the one before, first the
    inputs, then, after a gap of 1/2, the targets. A value is drawn from half
    a step before its step to half a step after it.

    Args:
        x: Array of shape `(time, features)`, the inputs.
        y: Array of shape `(time, outputs)`, the targets.
        prediction: Array of the shape of `y`, drawn in black over it.
        cue: Steps at which something to remember is shown: a boolean array
            of shape `(time,)` or integers. Marked in purple.
        query_step: First step of each query, in the same form. A red line.
        response: Steps at which an answer is due, in the same form. Marked in
            green.
        amplitude: Number above 0, the value that fills the space up to the
            channel above.
        input_names: Names of the inputs. Default: `"input 0"` and so on.
        output_names: Names of the outputs. Default: `"target 0"` and so on.
        colors: A matplotlib color for each output, and for the input of the
            same number; further inputs are grey. Default: matplotlib's cycle.
        ax: Matplotlib axes. Default: new ones.

    Returns:
        The axes.
    """
    x, y = np.asarray(x, np.float64), np.asarray(y, np.float64)
    if x.ndim != 2 or y.ndim != 2 or len(x) != len(y) or not len(x):
        raise ValueError(
            "`x` and `y` must be of rank 2, (time, channels), of one sequence "
            "of at least one step. "
            f"Received: x.shape={x.shape}, y.shape={y.shape}"
        )
    time, features = x.shape
    outputs = y.shape[1]
    if prediction is not None:
        prediction = np.asarray(prediction, np.float64)
        if prediction.shape != y.shape:
            raise ValueError(
                "`prediction` must have the shape of `y`. Received: "
                f"prediction.shape={prediction.shape}, y.shape={y.shape}"
            )
    amplitude = check_positive_number("amplitude", amplitude)
    if input_names is None:
        input_names = [f"input {channel}" for channel in range(features)]
    if output_names is None:
        output_names = [f"target {channel}" for channel in range(outputs)]
    if colors is None:
        colors = [f"C{channel % 10}" for channel in range(outputs)]
    for name, given, count in (
        ("input_names", input_names, features),
        ("output_names", output_names, outputs),
        ("colors", colors, outputs),
    ):
        if len(given) != count:
            raise ValueError(
                f"`{name}` must hold {count}, one for each channel. "
                f"Received: {name}={given!r}"
            )
    marks = _Marks(time, cue, query_step, response)
    ax = given_or_new(ax)
    edges = np.arange(time + 1) - 0.5

    bases = np.arange(features + outputs)[::-1] + 0.5
    bases[features:] -= 0.5

    def trace(values: Any, base: float, **style: Any) -> None:
        ax.stairs(base + values / amplitude, edges, baseline=None, **style)

    for channel, base in enumerate(bases[:features]):
        color = colors[channel] if channel < outputs else "0.3"
        trace(x[:, channel], base, color=color, lw=1.2)
    for channel, base in enumerate(bases[features:]):
        label = None if channel else "target"
        trace(y[:, channel], base, color=colors[channel], lw=3, label=label)
        if prediction is not None:
            label = None if channel else "prediction"
            trace(prediction[:, channel], base, color="k", lw=1, label=label)
    marks.draw(ax, 0, 1, alpha=0.2)
    ax.set_yticks(bases, [*input_names, *output_names])
    ax.set(xlabel="timestep", xlim=(edges[0], edges[-1]))
    ax.xaxis.get_major_locator().set_params(integer=True)
    _legend_above(ax)
    return ax


def plot_activation_over_time(
    in_effect: Any,
    names: Sequence[str],
    cue: Any,
    query_step: Any,
    activation: Callable[..., Any] | None = None,
    x_range: tuple[float, float] = (-0.5, 1.5),
    ax: Any = None,
) -> Any:
    """Draw a neuron's activation function at each step, colored by phase.

    There are four phases: before the cue (grey), from its first to its last
    step (purple), from there to the query (orange), and from the query on
    (green). In each, later steps are darker. The shorter a phase, the further
    in front it is drawn.

    Args:
        in_effect: Array of shape `(time, parameters)`, the parameters of one
            neuron in one sequence that were in effect at each step. With
            `return_modulation=True` they are the third that a
            `GainModulatedNeuron` returns; the second, those computed, act
            `lag` steps later.
        names: Names of the parameters, the layer's `modulated`.
        cue: Steps at which something to remember is shown: a boolean array
            of shape `(time,)` or integers.
        query_step: First step of each query, in the same form.
        activation: Function of the pre-activation and, by name, of the
            parameters, which broadcast. Default: `activations.gain_softplus`
            with `signed=True`. Parameters that are not modulated have their
            defaults; to change them, use `functools.partial`.
        x_range: The smallest and the largest pre-activation.
        ax: Matplotlib axes. Default: new ones.

    Returns:
        The axes.
    """
    in_effect = np.asarray(in_effect)
    if in_effect.ndim != 2 or in_effect.shape[1] != len(names):
        raise ValueError(
            "`in_effect` must be of shape (time, parameters), of one neuron "
            "in one sequence, and `names` must name each parameter. Received: "
            f"in_effect.shape={in_effect.shape}, names={names!r}"
        )
    time = len(in_effect)
    cue = _steps("cue", cue, time)
    query_step = _steps("query_step", query_step, time)
    if not len(cue) or not len(query_step) or cue[-1] >= query_step[0]:
        raise ValueError(
            "There must be a cue and a query, the first query after the last "
            "cue step. "
            f"Received: cue steps {cue}, query steps {query_step}"
        )
    x = np.linspace(*x_range, _POINTS)
    curves = _activate(
        activation,
        x,
        {name: in_effect[:, [i]] for i, name in enumerate(names)},
    )
    ax = given_or_new(ax)
    for label, colormap, first, stop in (
        ("before the cue", "Greys", 0, cue[0]),
        ("cue", "Purples", cue[0], cue[-1] + 1),
        ("delay", "Oranges", cue[-1] + 1, query_step[0]),
        ("from the query on", "Greens", query_step[0], time),
    ):
        steps = range(first, stop)
        shades = np.linspace(0.9, 0.3, len(steps))[::-1]
        for step, shade in zip(steps, shades, strict=True):
            last = step == steps[-1]
            ax.plot(
                x,
                curves[step],
                color=pyplot.get_cmap(colormap)(shade),
                lw=1.2,
                zorder=2 + 1 / len(steps),
                label=f"{label}: {_span(first, step)}" if last else None,
            )
    ax.set(xlabel="pre-activation", ylabel="output", xlim=x_range)
    ax.legend(frameon=False, fontsize="small", title="timesteps")
    return ax


def plot_modulation(
    in_effect: Any,
    name: str = "gain",
    resting_value: float = 1.0,
    cue: Any = None,
    query_step: Any = None,
    response: Any = None,
    ax: Any = None,
) -> Any:
    """Draw one parameter of all neurons against time, as a heat map.

    Args:
        in_effect: Array of shape `(time, units)`, a parameter that was in
            effect in one sequence: `[sequence, :, :, parameter]` of the third
            that a `GainModulatedNeuron` returns with `return_modulation=True`.
        name: The name of the parameter, for the color bar.
        resting_value: The parameter's resting value. It is white, red is
            above it and blue below.
        cue: Steps at which something to remember is shown: a boolean array
            of shape `(time,)` or integers. Marked above the map, in purple.
        query_step: First step of each query, in the same form. A dashed line.
        response: Steps at which an answer is due, in the same form. Marked
            above the map, in green.
        ax: Matplotlib axes. Default: new ones.

    Returns:
        The axes: time to the right, the first neuron at the top.
    """
    # In float64: the scale of float16 numbers may overflow float16.
    in_effect = np.asarray(in_effect, np.float64)
    if in_effect.ndim != 2 or not in_effect.size:
        raise ValueError(
            "`in_effect` must be of shape (time, units), one parameter in one "
            "sequence, and not empty. "
            f"Received: in_effect.shape={in_effect.shape}"
        )
    marks = _Marks(len(in_effect), cue, query_step, response)
    ax = given_or_new(ax)
    distance = np.abs(in_effect - resting_value)
    reach = distance[np.isfinite(distance)].max(initial=0) or 1.0
    image = ax.imshow(
        in_effect.T,
        aspect="auto",
        interpolation="nearest",
        cmap="RdBu_r",
        vmin=resting_value - reach,
        vmax=resting_value + reach,
    )
    ax.figure.colorbar(image, ax=ax, label=f"{name} in effect")
    marks.draw(ax, 1.01, 1.04)
    ax.xaxis.get_major_locator().set_params(integer=True)
    ax.yaxis.get_major_locator().set_params(integer=True)
    ax.set(xlabel="timestep", ylabel="neuron")
    _legend_above(ax)
    return ax


def plot_accuracy_against_delay(
    result: DelayAccuracy,
    levels: Mapping[str, float] | None = None,
    ax: Any = None,
) -> Any:
    """Draw the share of right answers against the delay.

    The vertical bars are Wilson's interval of one standard error. It is that
    of a binomial share, but does not vanish at shares of 0 and 1. The
    horizontal ones are the bins.

    Args:
        result: From `tasks.accuracy_by_delay`. Bins without a query are left
            out.
        levels: What simple predictors reach, by name, such as `{"chance":
            task.chance, "no binding": task.no_binding_accuracy}`: a
            horizontal line each.
        ax: Matplotlib axes. Default: new ones.

    Returns:
        The axes.
    """
    filled = result.counts > 0
    counts, accuracy = result.counts[filled], result.accuracy[filled]
    if not len(counts):
        raise ValueError(
            "There must be a query in at least one bin. "
            f"Received: result.counts={result.counts}"
        )
    ax = given_or_new(ax)
    middle = (accuracy + 0.5 / counts) / (1 + 1 / counts)
    half = np.sqrt(accuracy * (1 - accuracy) / counts + 0.25 / counts**2)
    half /= 1 + 1 / counts
    low, high = middle - half, middle + half
    fewest, most = counts.min(), counts.max()
    each = f"{most}" if fewest == most else f"{fewest} to {most}"
    ax.errorbar(
        result.centers[filled],
        accuracy,
        # Rounding may carry an end past the share, where they meet.
        yerr=np.maximum([accuracy - low, high - accuracy], 0),
        xerr=np.diff(result.edges)[filled] / 2,
        fmt="o",
        ms=4,
        lw=1,
        color="C0",
        label=f"{counts.sum()} queries, {each} a bin",
    )
    draw_levels(ax, levels)
    ax.xaxis.get_major_locator().set_params(integer=True)
    ax.set(
        xlabel="delay from cue to query (timesteps)",
        ylabel="accuracy",
        ylim=(-0.05, 1.05),
    )
    ax.legend(frameon=False, fontsize="small")
    return ax


def _activate(
    activation: Callable[..., Any] | None,
    x: np.ndarray,
    parameters: Mapping[str, Any],
) -> np.ndarray:
    if activation is None:
        activation = functools.partial(gain_softplus, signed=True)
    dtype = keras.config.floatx()
    y = activation(
        ops.convert_to_tensor(x, dtype=dtype),
        **{
            name: ops.convert_to_tensor(value, dtype=dtype)
            for name, value in parameters.items()
        },
    )
    return ops.convert_to_numpy(y)


class _Marks:
    """Cue, queries and response of one sequence, checked."""

    def __init__(
        self, time: int, cue: Any, query_step: Any, response: Any
    ) -> None:
        self.cue = _steps("cue", cue, time)
        self.query_step = _steps("query_step", query_step, time)
        self.response = _steps("response", response, time)

    def draw(self, ax: Any, low: float, high: float, alpha: float = 1) -> None:
        """Spans from `low` to `high` of the axes, a line for each query."""
        for name, color, steps in (
            ("cue", _CUE, self.cue),
            ("response", _RESPONSE, self.response),
        ):
            ends = np.flatnonzero(np.diff(steps) > 1) + 1
            for index, run in enumerate(np.split(steps, ends)):
                if not len(run):
                    continue
                # An edge line too: thin spans could fall between the pixels.
                ax.axvspan(
                    run[0] - 0.5,
                    run[-1] + 0.5,
                    low,
                    high,
                    facecolor=(color, alpha),
                    edgecolor=(color, max(alpha, 0.5)),
                    lw=1,
                    clip_on=False,
                    label=None if index else name,
                )
        for index, step in enumerate(self.query_step):
            label = None if index else "query"
            ax.axvline(step, color=_QUERY, lw=1.2, ls="--", label=label)


def _steps(name: str, value: Any, time: int) -> np.ndarray:
    """The steps meant by a boolean array of shape (time,), or by integers."""
    if value is None:
        return np.zeros(0, np.int64)
    given = np.asarray(value)
    if given.dtype == bool and given.shape == (time,):
        return np.flatnonzero(given)
    if (
        given.ndim > 1
        or not (np.issubdtype(given.dtype, np.integer) or not given.size)
        or not np.all((given >= 0) & (given < time))
    ):
        raise ValueError(
            f"`{name}` must be a boolean array of shape ({time},), or "
            f"integers in 0 .. {time - 1}, the steps. "
            f"Received: {name}={value!r}"
        )
    return np.unique(given).astype(np.int64)


def _span(first: int, last: int) -> str:
    return f"{first}" if first == last else f"{first} to {last}"


def _legend_above(ax: Any) -> None:
    if ax.get_legend_handles_labels()[1]:
        ax.legend(
            frameon=False,
            fontsize="small",
            loc="lower left",
            bbox_to_anchor=(0, 1.04),
            borderaxespad=0,
            ncols=3,
        )
