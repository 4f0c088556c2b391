"""Stretches of time: trials, or when spikes were recorded."""

from typing import Any

import numpy as np

from keras_seqattn._checks import check_array


def check_intervals(name: str, value: Any) -> np.ndarray | None:
    """Return starts and stops as `(n, 2)`, or raise if they are none.

    Args:
        name: The argument, for messages.
        value: An array `(n, 2)`; a table, or an object such as a pynapple
            `IntervalSet`, with `start` and `stop` (or `end`); or `None`.
    """
    if value is None:
        return None
    intervals = check_array(
        name, _pairs(name, value), "(n, start and stop)", "uif"
    )
    if intervals.shape[1] != 2 or not len(intervals):
        raise ValueError(
            f"`{name}` must hold a start and a stop a row, in seconds: shape "
            f"(n, 2). Received: shape {intervals.shape}"
        )
    intervals = intervals.astype(np.float64)
    bad = ~(np.isfinite(intervals).all(axis=1))
    bad |= ~(intervals[:, 1] > intervals[:, 0])
    if bad.any():
        row = int(np.argmax(bad))
        raise ValueError(
            f"Each of `{name}` must be finite and stop after its start. "
            f"Received: {intervals[row].tolist()} in row {row}, {bad.sum()} "
            "such rows in all. Leave them out."
        )
    early = intervals[1:, 0] < intervals[:-1, 1]
    if early.any():
        row = int(np.argmax(early)) + 1
        raise ValueError(
            f"`{name}` must be in order and not overlap. Received: row {row} "
            f"starts at {intervals[row, 0]:.6g} s, the one before stops at "
            f"{intervals[row - 1, 1]:.6g} s"
        )
    return intervals


def interval_of(
    intervals: np.ndarray, instants: np.ndarray, slack: float
) -> np.ndarray:
    """Return which interval each instant is in, -1 if in none.

    The bin that ends at a trial's start is before it, the one that ends at
    its stop is its last: `start < instant <= stop`.
    """
    found = np.searchsorted(intervals[:, 0] + slack, instants) - 1
    inside = (found >= 0) & (instants <= intervals[found, 1] + slack)
    return np.where(inside, found, -1)


def _pairs(name: str, value: Any) -> Any:
    if isinstance(value, np.ndarray) or isinstance(value, (list, tuple)):
        return value
    for stop in ("stop", "end", "stop_time"):
        start = "start_time" if stop == "stop_time" else "start"
        try:
            columns = [_column(value, key) for key in (start, stop)]
        except (AttributeError, KeyError, IndexError, TypeError):
            continue
        pair = [
            check_array(f"{name}: {key}", column, "(n,)", "uif")
            for key, column in zip((start, stop), columns, strict=True)
        ]
        if len(pair[0]) != len(pair[1]):
            raise ValueError(
                f"`{name}` must have as many starts as stops. Received: "
                f"{len(pair[0])} and {len(pair[1])}"
            )
        return np.stack(pair, axis=1)
    raise ValueError(
        f"`{name}` must be an array (n, 2) or have the columns 'start' and "
        f"'stop' (or 'end'). Received: {type(value).__name__}"
    )


def _column(value: Any, key: str) -> Any:
    """Return a table's column or an object's attribute."""
    if hasattr(value, "columns") or isinstance(value, dict):
        return value[key]
    return getattr(value, key)
