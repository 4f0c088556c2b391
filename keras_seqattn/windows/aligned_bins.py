"""Spike times and a movement of another clock rate, in common bins."""

import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np

from keras_seqattn._checks import check_choice
from keras_seqattn._checks import check_positive_number
from keras_seqattn.windows.behavior import ALIGNMENTS
from keras_seqattn.windows.behavior import QUANTITIES
from keras_seqattn.windows.behavior import Behavior
from keras_seqattn.windows.binning import bins_of_runs
from keras_seqattn.windows.binning import count_spikes
from keras_seqattn.windows.binning import rounding
from keras_seqattn.windows.cutting import run_numbers
from keras_seqattn.windows.labels import group_labels
from keras_seqattn.windows.spike_trains import spike_trains
from keras_seqattn.windows.trials import check_intervals
from keras_seqattn.windows.trials import interval_of


def aligned_bins(
    spike_times: Any,
    times: np.ndarray,
    movement: np.ndarray,
    *,
    bin_width: float,
    quantity: str,
    lag: float,
    trials: Any,
    condition: Sequence[Any] | None,
    observed: Any,
    alignment: str,
    smoothing: float | None,
    look_ahead: bool,
    max_gap: float | None,
    unit_ids: Sequence[int | str] | None,
    name: str | None,
) -> dict[str, Any]:
    """Return the fields of a `Recording`: see its `from_spike_times`."""
    check_choice("quantity", quantity, QUANTITIES)
    check_choice("alignment", alignment, ALIGNMENTS)
    for title, value in (("smoothing", smoothing), ("max_gap", max_gap)):
        if value is not None:
            check_positive_number(title, value)
    ids, trains = spike_trains(spike_times, unit_ids)
    behavior = Behavior(times, movement, max_gap)
    if quantity == "direction":
        behavior = behavior.direction()
    if isinstance(condition, str):
        condition = _column_of(trials, condition)
    trials = check_intervals("trials", trials)
    runs_on = trials is not None or observed is not None
    observed = check_intervals("observed", observed)
    runs = _runs(behavior, trials, observed, trains, lag)
    starts, stops, run = bins_of_runs(runs, bin_width)
    counts = count_spikes(trains, starts, stops)
    smoothing = smoothing or max(bin_width, 5 * behavior.step)
    decoded = _align(
        behavior, starts + lag, stops + lag, quantity, alignment,
        smoothing, look_ahead,
    )  # fmt: skip
    scored = np.isfinite(decoded).all(axis=1)
    trial = None
    if trials is not None:
        slack = rounding(stops, bin_width)
        trial = interval_of(trials, stops + lag, slack)
        if alignment != "end":
            # Movement of before the trial is not of it.
            early = starts + lag < trials[trial, 0] - slack
            trial = np.where(early, -1, trial)
        scored &= trial >= 0
    kept = np.ones(len(stops), bool) if runs_on else scored
    derived = quantity in ("velocity", "acceleration")
    _check_bins(
        trains, behavior, stops[kept & scored], counts, bin_width,
        smoothing if derived else None,
    )  # fmt: skip
    _warn_of_loss(
        trains, behavior, counts, scored, bin_width, trials, trial,
        observed is not None,
    )  # fmt: skip
    if not runs_on:
        run = run_numbers(run, kept)  # A seam where bins are left out.
    labels = None
    if condition is not None:
        labels = _of_trials(condition, trials, trial)[kept]
    return {
        "spikes": counts[kept],
        "movement": decoded[kept],
        "segment": run[kept],
        "bin_width": bin_width,
        "quantity": _title(quantity, name),
        "times": stops[kept],
        "scored": scored[kept],
        "trial": None if trial is None else trial[kept],
        "condition": labels,
        "unit_ids": ids,
        "lag": lag,
    }


def _title(quantity: str, name: str | None) -> str:
    """Return what is decoded; a direction is told by the first word."""
    if quantity == "as given":
        return name or "movement"
    return quantity if name is None else f"{quantity} of {name}"


def _runs(
    behavior: Behavior,
    trials: np.ndarray | None,
    observed: np.ndarray | None,
    trains: list[np.ndarray],
    lag: float,
) -> np.ndarray:
    """Return the stretches of time that are binned without a seam."""
    if observed is not None:
        return observed
    if trials is None:
        return behavior.runs
    start, stop = behavior.runs[0, 0], behavior.runs[-1, 1]
    # Trials without behaviour, such as milliseconds, are not binned.
    near = trials[
        (trials[:, 1] > start - abs(lag)) & (trials[:, 0] < stop + abs(lag))
    ]
    start = min([start, *near[:1, 0]])
    stop = max([stop, *near[-1:, 1]])
    counts = count_spikes(trains, *trials.T).sum()
    between = count_spikes(trains, trials[:-1, 1], trials[1:, 0]).sum()
    inside = np.sum(trials[:, 1] - trials[:, 0])
    gaps = np.sum(trials[1:, 0] - trials[:-1, 1])
    # By the rate within trials more than 20 would be there.
    if between == 0 and counts * gaps > 20 * inside:
        warnings.warn(
            "No unit has a spike between two trials, so it seems that spikes "
            "were recorded within trials alone: no window goes from one trial "
            "to the next. If they were recorded all the time, give `observed`.",
            stacklevel=4,
        )
        return trials
    return np.array([[start, stop]])


def _align(
    behavior: Behavior,
    starts: np.ndarray,
    stops: np.ndarray,
    quantity: str,
    alignment: str,
    smoothing: float,
    look_ahead: bool,
) -> np.ndarray:
    """Return the movement of each bin, NaN where it is not known."""
    instants = starts if alignment == "start" else stops
    if quantity in ("velocity", "acceleration"):
        if alignment == "mean":
            raise ValueError(
                "alignment='mean' means nothing to a derivative, which is a "
                "mean over `smoothing` seconds. Use 'end' or 'start'. "
                f"Received: quantity={quantity!r}"
            )
        order = 1 if quantity == "velocity" else 2
        return behavior.derivative(instants, order, smoothing, look_ahead)
    if alignment == "mean":
        return behavior.mean_within(starts, stops)
    found = behavior.at(instants)
    if quantity == "direction":
        # A point between two of the circle is within it.
        pairs = found.reshape(len(found), -1, 2)
        pairs /= np.linalg.norm(pairs, axis=2, keepdims=True)
        found = pairs.reshape(len(found), -1)
    return found


def _check_bins(
    trains: list[np.ndarray],
    behavior: Behavior,
    stops: np.ndarray,
    counts: np.ndarray,
    bin_width: float,
    smoothing: float | None,
) -> None:
    """Raise if no bin has both spikes and movement; warn if many lack them."""
    first = min(train.min() for train in trains if len(train))
    last = max(train.max() for train in trains if len(train))
    spans = (
        f"spikes from {first:.6g} to {last:.6g} s, movement from "
        f"{behavior.runs[0, 0]:.6g} to {behavior.runs[-1, 1]:.6g} s in "
        f"{len(behavior.runs)} runs"
    )
    if not len(stops):
        raise ValueError(
            f"No bin of {bin_width:g} s holds movement that can be scored. "
            "Are all times seconds of one clock, and trials where there is "
            "movement? Is `max_gap` above the step of the samples"
            + (smoothing is not None) * ", `smoothing` shorter than a run"
            + f"? Received: {spans}, a step of {behavior.step:.4g} s"
            + (f", smoothing={smoothing:.4g} s" if smoothing else "")
        )
    if not counts.any():
        raise ValueError(
            "No spike lies in a bin. Are both in seconds of one clock? "
            f"Received: {spans}"
        )
    silent = np.mean((stops < first) | (stops - bin_width > last))
    if silent > 0.1:
        warnings.warn(
            f"{silent:.0%} of the bins are before the first spike or after "
            f"the last: {spans}. If spikes were not recorded then, give "
            "`observed`.",
            stacklevel=3,
        )


def _warn_of_loss(
    trains: list[np.ndarray],
    behavior: Behavior,
    counts: np.ndarray,
    scored: np.ndarray,
    bin_width: float,
    trials: np.ndarray | None,
    trial: np.ndarray | None,
    is_observed: bool,
) -> None:
    """Warn where little of what was given comes into bins."""
    told = []
    spikes = sum(map(len, trains))
    if counts.sum() < 0.05 * spikes:
        told.append(
            f"Of {spikes} spikes {counts.sum()} are in bins. Are spike times "
            "and `times` in the same unit, seconds?"
        )
    if behavior.step > 10 * bin_width:
        told.append(
            f"A sample of the movement comes every {behavior.step:.4g} s, a "
            f"bin every {bin_width:g} s. Are all times in seconds?"
        )
    known = len(behavior.times) * behavior.step
    share = scored.sum() * bin_width / known
    if trials is None and share < 0.7:
        told.append(
            f"{share:.0%} of the movement is in bins: "
            + "what lies outside of `observed` is not, nor " * is_observed
            + f"what is left of its {len(behavior.runs)} runs after the last "
            "whole bin of each, before the first derivative, or without "
            "spikes at another `lag`. A larger `max_gap` makes fewer runs."
        )
    if trials is not None and trial is not None:
        empty = len(trials) - len(np.unique(trial[scored]))
        if empty:
            told.append(
                f"{empty} of {len(trials)} trials hold no bin whose movement "
                "is known."
            )
    for text in told:
        warnings.warn(text, stacklevel=4)


def _column_of(trials: Any, name: str) -> Any:
    """Return the labels that a table of trials has in a column."""
    try:
        return np.asarray(trials[name])
    except (AttributeError, IndexError, KeyError, TypeError) as error:
        raise ValueError(
            "`condition` must hold one label for each of `trials`, or name a "
            f"column of them. Received: condition={name!r} for trials of "
            f"type {type(trials).__name__}"
        ) from error


def _of_trials(
    condition: Any,
    trials: np.ndarray | None,
    trial: np.ndarray | None,
) -> np.ndarray:
    """Return the label of each bin: "" or -1 outside of trials."""
    labels = group_labels("condition", condition)
    if trials is None or trial is None or len(labels) != len(trials):
        count = "no trials" if trials is None else f"{len(trials)} trials"
        raise ValueError(
            "`condition` must hold one label for each of `trials`. Received: "
            f"{len(labels)} labels for {count}"
        )
    nothing = np.array([-1 if labels.dtype.kind == "i" else ""])
    return np.concatenate([labels, nothing])[trial]
