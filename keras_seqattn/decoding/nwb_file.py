"""Neurodata Without Borders (`.nwb`), read with pynwb."""

import contextlib
import importlib
import warnings
from collections.abc import Iterator
from collections.abc import Sequence
from typing import Any
from typing import NamedTuple

import numpy as np

from keras_seqattn.decoding.spike_session import SpikeSession
from keras_seqattn.decoding.spike_session import as_names
from keras_seqattn.decoding.spike_session import listed
from keras_seqattn.decoding.spike_session import stack_columns

# As in a MATLAB file: no behaviour has so many values.
MAX_VALUES = 50_000_000
# Voltages, images, fluorescence: no behaviour, unless asked for by name.
_SIGNALS = (
    "ElectricalSeries",
    "SpikeEventSeries",
    "ImageSeries",
    "OnePhotonSeries",
    "TwoPhotonSeries",
    "RoiResponseSeries",
    "PatchClampSeries",
    "CurrentClampSeries",
    "VoltageClampSeries",
    "AnnotationSeries",
    "IntervalSeries",
    "DecompositionSeries",
)


class Series(NamedTuple):
    """A time series of a file: where it is, and the object itself."""

    path: str
    item: Any

    def __str__(self) -> str:
        rate = self.item.rate
        clock = "time stamps" if rate is None else f"{rate:g} Hz"
        unit = self.item.unit or "no unit"
        return f"{self.path}: shape {_shape(self.item)}, {unit}, {clock}"


def read_session(
    path: str,
    behavior: Any = None,
    trials: Any = None,
    condition: str | None = None,
) -> SpikeSession:
    """Read units, behaviour and trials.

    Args:
        path: The file.
        behavior: Name of a series, the end of its path (`"Position/x"`) or a
            list of them. Default: the one there is.
        trials: Name of a table of intervals, `"trials"` or `"epochs"`; or the
            intervals themselves.
        condition: Column of that table. Default: `"condition"`, if it has
            one.

    Raises:
        ValueError: The file is damaged, has no units, or names that it does
            not have or that could mean several.
    """
    with open_nwb(path) as file:
        series = [
            _find(path, file, name) for name in _wanted(path, file, behavior)
        ]
        times, movement = stack_columns(
            [(one.path, _times(one), _values(one)) for one in series]
        )
        labels = None
        if isinstance(trials, str):
            trials, labels = _intervals(path, file, trials, condition)
        units = {one.item.unit for one in series}
        return SpikeSession(
            spike_times=_spike_times(path, file),
            times=times,
            movement=movement,
            title=", ".join(one.path.rsplit("/")[-1] for one in series),
            unit=units.pop() if len(units) == 1 else "",
            trials=trials,
            condition=labels,
            observed=_observed(file.units),
        )


def contents(path: str) -> str:
    """Return what a file holds, as text."""
    with open_nwb(path) as file:
        units = file.units
        if units is None:
            lines = ["no units"]
        else:
            columns = ", ".join(units.colnames)
            spikes = (
                f", {len(units.spike_times_index.target.data)} spikes"
                if "spike_times" in units.colnames
                else ""
            )
            lines = [f"units: {len(units)} units{spikes}; columns: {columns}"]
        lines += ["behaviour:", *(f"  {one}" for one in _all_series(file))]
        lines += ["trials:"]
        for name, table in _tables(file).items():
            lines += [
                f"  {name}: {len(table)} rows; {', '.join(table.colnames)}"
            ]
    return "\n".join(lines)


@contextlib.contextmanager
def open_nwb(path: str) -> Iterator[Any]:
    """Open a file; say clearly what is wrong if it cannot be read."""
    try:
        pynwb = importlib.import_module("pynwb")
    except ImportError as error:
        raise ImportError(
            "NWB files are read with pynwb: pip install keras_seqattn[nwb]"
        ) from error
    reading = True
    try:
        # About namespaces that a file brings in another version.
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            io = pynwb.NWBHDF5IO(path, "r", load_namespaces=True)
            with io:
                file = io.read()
                reading = False
                yield file
    except ValueError as error:
        if not reading:
            raise
        raise _damaged(path, error) from error
    except ImportError:
        raise
    # Of damaged bytes h5py and pynwb raise what they stumble upon.
    except Exception as error:
        raise _damaged(path, error) from error


def _damaged(path: str, error: Exception) -> ValueError:
    return ValueError(
        f"{path!r} is damaged, cut short or no NWB file; fetch it again, and "
        "see whether `pynwb-validate` reads it. Received: "
        f"{type(error).__name__}: {str(error)[:200]}"
    )


def _wanted(path: str, file: Any, behavior: Any) -> list[str]:
    if behavior is not None:
        return as_names(behavior)
    every = _all_series(file)
    spatial = [s for s in every if _kind(s.item) == "SpatialSeries"]
    found = spatial or [s for s in every if _kind(s.item) not in _SIGNALS]
    if len(found) != 1:
        raise ValueError(
            f"{path!r} holds {len(found)} series that could be meant. Name "
            "one, or a list of some: `behavior='Position/x'` (`--behavior`). "
            f"Received: behavior=None for{listed([*map(str, every)])}"
        )
    return [found[0].path]


def _find(path: str, file: Any, name: str) -> Series:
    """Return the one series whose path ends in a name, whole parts of it."""
    parts = name.strip("/").split("/")
    every = _all_series(file)
    found = [s for s in every if s.path.split("/")[-len(parts) :] == parts]
    if not found:
        # A container that holds one.
        found = [
            s for s in every if s.path.split("/")[-len(parts) - 1 : -1] == parts
        ]
    if len(found) != 1:
        what = "no series" if not found else f"{len(found)} series"
        raise ValueError(
            f"{path!r} holds {what} of the name {name!r}. Give the path of "
            f"one, or a list. It holds{listed([*map(str, found or every)])}"
        )
    return found[0]


def _all_series(file: Any) -> list[Series]:
    found: list[Series] = []
    for name, item in file.acquisition.items():
        found += _series_in(item, f"acquisition/{name}")
    for module, content in file.processing.items():
        for name, item in content.data_interfaces.items():
            found += _series_in(item, f"processing/{module}/{name}")
    return found


def _series_in(item: Any, path: str) -> list[Series]:
    if hasattr(item, "timestamps") and hasattr(item, "rate"):
        return [Series(path, item)]
    found = []
    for child in sorted(getattr(item, "children", ()), key=lambda c: c.name):
        found += _series_in(child, f"{path}/{child.name}")
    return found


def _kind(item: Any) -> str:
    return type(item).__name__


def _shape(item: Any) -> tuple[int, ...]:
    return tuple(np.shape(item.data))


def _array(data: Any, what: str, kinds: str = "uif") -> np.ndarray:
    """Read a dataset of numbers that is in the file itself, and not huge."""
    if getattr(data, "external", None) or getattr(data, "is_virtual", False):
        raise ValueError(f"{what} must be in the file itself, not in others.")
    if int(np.prod(np.shape(data))) > MAX_VALUES:
        raise ValueError(
            f"{what} is too large for behaviour. Expected: at most "
            f"{MAX_VALUES:,} values. Received: shape {np.shape(data)}"
        )
    array = np.asarray(data[:])
    if array.dtype.kind not in kinds:
        raise ValueError(
            f"{what} must hold numbers. Received: type {array.dtype}"
        )
    return array


def _values(series: Series) -> np.ndarray:
    item = series.item
    if len(_shape(item)) not in (1, 2):
        raise ValueError(
            f"{series.path!r} must be of rank 1 or 2, a row a sample. "
            f"Received: shape {_shape(item)}"
        )
    values = _array(item.data, repr(series.path), "buif").astype(np.float64)
    return values * float(item.conversion or 1) + float(item.offset or 0)


def _times(series: Series) -> np.ndarray:
    item = series.item
    if item.timestamps is not None:
        return _array(item.timestamps, f"The time stamps of {series.path!r}")
    if item.rate is None:
        raise ValueError(
            f"{series.path!r} has neither time stamps nor a rate: when its "
            "samples were taken is not known."
        )
    start = float(item.starting_time or 0)
    return start + np.arange(len(item.data)) / float(item.rate)


def _spike_times(path: str, file: Any) -> dict[int | str, np.ndarray]:
    units = file.units
    if units is None or not len(units) or "spike_times" not in units.colnames:
        has = "none" if units is None else f"{len(units)} units"
        columns = "" if units is None else f" with {list(units.colnames)}"
        raise ValueError(
            f"{path!r} holds no units with spike times. Sort its spikes first "
            f"and save them in `nwbfile.units`. Received: {has}{columns}"
        )
    every = _array(units.spike_times_index.target.data, "`spike_times`")
    stops = _array(units.spike_times_index.data, "`spike_times_index`", "ui")
    starts = np.concatenate([[0], stops[:-1]]).astype(np.int64)
    if (starts > stops).any() or stops[-1] > len(every):
        raise ValueError(
            f"{path!r} is damaged: `spike_times_index` must rise to the "
            f"number of spikes, {len(every)}. Received: {stops[:20]}"
        )
    ids = [int(i) for i in units.id[:]]
    if len(set(ids)) != len(ids):
        raise ValueError(
            f"{path!r} must give each unit an id of its own. Received: {ids}"
        )
    return {
        unit: every[start:stop]
        for unit, start, stop in zip(ids, starts, stops, strict=True)
    }


def _observed(units: Any) -> np.ndarray | None:
    """Return when all units were observed; `None` where it is not told."""
    if "obs_intervals" not in units.colnames:
        return None
    common: np.ndarray | None = None
    for row in range(len(units)):
        own = np.reshape(np.asarray(units["obs_intervals"][row]), (-1, 2))
        if len(own):
            common = own if common is None else _both(common, own)
    return common


def _both(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Return the stretches that lie in an interval of each."""
    start = np.maximum(a[:, None, 0], b[None, :, 0])
    stop = np.minimum(a[:, None, 1], b[None, :, 1])
    inside = start < stop
    found = np.stack([start[inside], stop[inside]], axis=1)
    return found[np.argsort(found[:, 0])]


def _tables(file: Any) -> dict[str, Any]:
    found = dict(file.intervals or {})
    for name in ("trials", "epochs", "invalid_times"):
        table = getattr(file, name, None)
        if table is not None:
            found[name] = table
    return found


def _intervals(
    path: str, file: Any, name: str, condition: str | None
) -> tuple[np.ndarray, Sequence[Any] | None]:
    tables = _tables(file)
    if name not in tables:
        raise ValueError(
            f"{path!r} holds no intervals of the name {name!r}. "
            f"It holds: {sorted(tables)}"
        )
    table = tables[name]
    column = condition or "condition"
    if condition is not None and condition not in table.colnames:
        raise ValueError(
            f"The table {name!r} of {path!r} has no column {condition!r}. "
            f"It has: {list(table.colnames)}"
        )
    labels = None
    if column in table.colnames:
        labels = [_label(table[column][row]) for row in range(len(table))]
    pairs = np.stack(
        [np.asarray(table[key][:]) for key in ("start_time", "stop_time")], 1
    )
    return pairs, labels


def _label(value: Any) -> Any:
    """Return a label; tags are a list of some."""
    if isinstance(value, str | bytes) or np.ndim(value) == 0:
        return value
    return ", ".join(map(str, value))
