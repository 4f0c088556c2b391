"""A behaviour with its own time stamps, in a table, a file or memory."""

import os
from collections.abc import Mapping
from typing import Any

import numpy as np

from keras_seqattn.decoding import pynapple_file


def is_path(source: Any) -> bool:
    """Return whether it is a path, and no object."""
    return isinstance(source, str | os.PathLike)


def read_behavior(behavior: Any) -> tuple[list[str], np.ndarray, np.ndarray]:
    """Return the columns' names, times and values of a behaviour.

    Args:
        behavior: A table with `time`, `(times, movement)`, a `Tsd` or
            `TsdFrame`, or a file with one: `[file, column, ...]` for some
            columns of it.
    """
    if pynapple_file.is_series(behavior):
        return pynapple_file.series_of(behavior)
    if hasattr(behavior, "columns") or isinstance(behavior, Mapping):
        return _behavior_table(behavior)
    paths = [behavior] if is_path(behavior) else behavior
    if isinstance(paths, list | tuple) and paths and is_path(paths[0]):
        return _behavior_file(paths[0], [*map(str, paths[1:])] or ["*"])
    if isinstance(behavior, list | tuple) and len(behavior) == 2:
        times, movement = map(np.asarray, behavior)
        return ["movement"], times, movement
    raise ValueError(
        "Spike times need a `behavior` with its own time stamps: a table with "
        "the column `time`, `(times, movement)`, or a Tsd of pynapple or its "
        "file; zeros where only the spikes are known, and are to be decoded. "
        f"Received: {type(behavior).__name__}"
    )


def _behavior_file(
    path: Any, columns: list[str]
) -> tuple[list[str], np.ndarray, np.ndarray]:
    names, times, values = pynapple_file.read_series(path)
    if columns == ["*"]:
        return names, times, values
    if missing := [column for column in columns if column not in names]:
        raise ValueError(
            f"{os.fspath(path)!r} has no columns {missing}; where pynapple "
            f"saved no names they are numbers from '0'. Received: {names}"
        )
    return columns, times, values[:, [names.index(c) for c in columns]]


def _behavior_table(
    table: Any,
) -> tuple[list[str], np.ndarray, np.ndarray]:
    columns = list(getattr(table, "columns", table))
    if "time" in columns:
        times = np.asarray(table["time"])
    elif hasattr(table, "index"):
        times = np.asarray(table.index)
    else:
        raise ValueError(
            "A table of behaviour must have the column `time`, in seconds. "
            f"Received: columns={columns[:20]}"
        )
    names = [column for column in columns if column != "time"]
    values = [np.asarray(table[name]) for name in names]
    other = [
        f"{name} ({value.dtype})"
        for name, value in zip(names, values, strict=True)
        if value.dtype.kind not in "buif"
    ]
    if other or not names:
        raise ValueError(
            "A table of behaviour must hold numbers besides `time`: give the "
            f"columns that are decoded, `table[['time', 'x', 'y']]`. Received: "
            f"{other or 'no other column'}"
        )
    if times.dtype.kind not in "uif":
        raise ValueError(
            "Times of behaviour must be seconds, as numbers. Received: "
            f"{times.dtype}"
        )
    return [str(name) for name in names], times, np.stack(values, axis=1)
