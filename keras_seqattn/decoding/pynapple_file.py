"""What pynapple saves (`.npz`), and its objects in memory."""

import os
from typing import Any

import numpy as np

from keras_seqattn._files.array_file import LABELS
from keras_seqattn._files.array_file import REAL
from keras_seqattn._files.array_file import ArrayFile
from keras_seqattn._files.array_file import is_array_file

# As pynapple tells its classes apart, the first that fits.
_KEYS = {
    "TsGroup": {"t", "start", "end", "index"},
    "TsdFrame": {"t", "d", "start", "end", "columns"},
    "Tsd": {"t", "d", "start", "end"},
    "Ts": {"t", "start", "end"},
    "IntervalSet": {"start", "end"},
}


def kind_of(file: ArrayFile) -> str | None:
    """Return which class of pynapple a file holds, if any."""
    for name, keys in _KEYS.items():
        if keys <= set(file.names):
            return name
    return None


def read_units(
    file: ArrayFile,
) -> tuple[dict[int, np.ndarray], np.ndarray | None]:
    """Return a saved `TsGroup` as spike times by unit, and when it observed.

    Metadata, which pynapple pickles, are not read.
    """
    times = file.read("t", REAL, 1).astype(np.float64)
    index = file.read("index", "ui", 1)
    if len(index) != len(times):
        raise ValueError(
            f"{file.path!r} must hold a unit for each spike. Received: "
            f"{len(times)} times, {len(index)} in `index`"
        )
    # Files of older versions do not name the silent units.
    keys = file.read("keys", "ui", 1) if "keys" in file else np.unique(index)
    if other := sorted(set(index.tolist()) - set(keys.tolist())):
        raise ValueError(
            f"{file.path!r} must name each unit in `keys`. Received: spikes "
            f"of {other[:20]}, which are not among them"
        )
    order = np.argsort(index, kind="stable")
    unit = index[order]
    bounds = [np.searchsorted(unit, keys, side) for side in ("left", "right")]
    trains = {
        int(key): times[order[start:stop]]
        for key, start, stop in zip(keys, *bounds, strict=True)
    }
    return trains, _told_support(_support(file), times)


def read_series(
    path: str | os.PathLike[str],
) -> tuple[list[str], np.ndarray, np.ndarray]:
    """Return a saved `Tsd` or `TsdFrame`: columns, times, values.

    Raises:
        ValueError: The file holds another class.
    """
    path = os.fspath(path)
    with ArrayFile(path) as file:
        kind = kind_of(file)
        if kind not in ("Tsd", "TsdFrame"):
            raise ValueError(
                f"Behaviour must be a `Tsd` or `TsdFrame` as pynapple saves "
                f"it. Received: {path!r} with a {kind or 'file of others'}, "
                f"keys={list(file.names[:20])}"
            )
        times = file.read("t", REAL, 1)
        values = file.read("d", "buif", (1, 2))
        if len(values) != len(times):
            raise ValueError(
                f"{path!r} must hold a value for each time. Received: "
                f"{len(times)} times, {len(values)} values"
            )
        stem = os.path.splitext(os.path.basename(path))[0]
        names = [stem]
        if values.ndim == 2:
            names = [str(i) for i in range(values.shape[1])]
            # pandas' names of columns may have been pickled.
            if "columns" in file and not file.header("columns")[1].hasobject:
                names = [str(c) for c in file.read("columns", LABELS, 1)]
    return names, times, np.reshape(values, (len(times), -1))


def read_intervals(path: str | os.PathLike[str]) -> np.ndarray:
    """Return a saved `IntervalSet` as starts and stops."""
    with ArrayFile(path) as file:
        return _support(file)


def is_pynapple(path: Any, kinds: tuple[str, ...]) -> bool:
    """Return whether a path is a file with one of pynapple's classes."""
    if not isinstance(path, str | os.PathLike) or not is_array_file(path):
        return False
    with ArrayFile(path) as file:
        return kind_of(file) in kinds


def units_of(group: Any) -> tuple[dict[Any, np.ndarray], np.ndarray | None]:
    """Return a `TsGroup` in memory, or what has its face."""
    trains = {key: np.asarray(group[key].t) for key in group.keys()}
    support = getattr(group, "time_support", None)
    if support is None or not trains:
        return trains, None
    pairs = np.stack([np.asarray(support.start), np.asarray(support.end)], 1)
    return trains, _told_support(pairs, np.concatenate([*trains.values()]))


def is_group(value: Any) -> bool:
    """Whether it has the face of a `TsGroup`."""
    if not (hasattr(value, "keys") and hasattr(value, "__getitem__")):
        return False
    if hasattr(value, "columns") or isinstance(value, dict):
        return False
    return all(hasattr(value[key], "t") for key in value.keys())


def is_series(value: Any) -> bool:
    """Whether it has the face of a `Tsd` or `TsdFrame`."""
    return hasattr(value, "t") and hasattr(value, "d")


def series_of(value: Any) -> tuple[list[str], np.ndarray, np.ndarray]:
    """Return a `Tsd` or `TsdFrame` in memory: columns, times, values."""
    times, values = np.asarray(value.t), np.asarray(value.d)
    names = ["movement"]
    if values.ndim == 2:
        columns = getattr(value, "columns", range(values.shape[1]))
        names = [str(column) for column in columns]
    return names, times, np.reshape(values, (len(times), -1))


def _support(file: ArrayFile) -> np.ndarray:
    start, stop = (file.read(key, REAL, 1) for key in ("start", "end"))
    if len(start) != len(stop):
        raise ValueError(
            f"{file.path!r} must hold as many starts as ends. "
            f"Received: {len(start)} and {len(stop)}"
        )
    return np.stack([start, stop], axis=1).astype(np.float64)


def _told_support(support: np.ndarray, times: np.ndarray) -> np.ndarray | None:
    """Return when spikes were recorded, if somebody said so.

    If not, pynapple takes the first and the last spike.
    """
    if not len(times) or not len(support):
        return None
    untold = np.array([[times.min(), times.max()]])
    return None if np.array_equal(support, untold) else support
