"""A lab's own MATLAB files, by the names of their variables."""

import contextlib
import os
from collections.abc import Iterator
from collections.abc import Mapping
from typing import Any

import h5py
import numpy as np

from keras_seqattn._files.matlab_v5 import OldMatlabFile
from keras_seqattn._files.matlab_v73 import MatlabFile
from keras_seqattn._files.matlab_v73 import open_matlab
from keras_seqattn.decoding.spike_session import SpikeSession
from keras_seqattn.decoding.spike_session import as_names
from keras_seqattn.decoding.spike_session import listed
from keras_seqattn.decoding.spike_session import stack_columns

AnyMatlabFile = MatlabFile | OldMatlabFile

# By what a session of O'Doherty et al. is known.
REACHING = ("t", "cursor_pos", "spikes", "chan_names")
IN_TIME = ("spike_times", "times", "movement")
IN_BINS = ("spikes", "movement", "bin_width")
OPTIONAL = ("trials", "condition", "observed", "unit_ids", "segment")
EXAMPLE = (
    "fields={'spike_times': 'units', 'times': 't', 'movement': 'vel'}, or "
    "fields={'spikes': 'counts', 'movement': 'vel', 'bin_width': 0.05} if "
    "spikes are counted already"
)


@contextlib.contextmanager
def open_any(path: str) -> Iterator[AnyMatlabFile]:
    """Open a MATLAB file of any version."""
    if h5py.is_hdf5(path):
        with open_matlab(path) as file:
            yield file
    else:
        yield OldMatlabFile(path)


def is_reaching_session(path: str) -> bool:
    """Return whether a file is a session of the set `primate_reaching`."""
    with open_any(path) as file:
        return isinstance(file, MatlabFile) and all(
            name in file for name in REACHING
        )


def contents(path: str) -> str:
    """Return what a file holds, as text."""
    with open_any(path) as file:
        lines = _variables(file)
    return "\n".join(["variables:", *(f"  {line}" for line in lines)])


def check_fields(path: str, fields: Any) -> dict[str, Any]:
    """Return what the caller calls which variable, or raise."""
    known = {*IN_TIME, *IN_BINS, *OPTIONAL}
    if (
        not isinstance(fields, Mapping)
        or not set(fields) <= known
        or not any(set(need) <= set(fields) for need in (IN_TIME, IN_BINS))
    ):
        with open_any(path) as file:
            holds = listed(_variables(file))
        raise ValueError(
            f"Which variables of {path!r} are spikes and which movement must "
            f"be told: {EXAMPLE}. Optional: {list(OPTIONAL)}. "
            f"Received: fields={fields!r}; the file holds{holds}"
        )
    return dict(fields)


def read_session(path: str, fields: Mapping[str, Any]) -> SpikeSession:
    """Read spike times and a behaviour with its own time stamps.

    Args:
        path: The file.
        fields: Names of the variables, `struct/field` for a field: of
            `spike_times` (a cell array, one cell a unit, empty for a silent
            one), `times`, `movement` (one name or several); optionally of
            `trials` (starts and stops), `condition`, `observed`, `unit_ids`.

    Raises:
        ValueError: The file is damaged, or a variable is missing or of
            another kind.
    """
    with open_any(path) as file:
        times = _vector(file, fields["times"])
        _, movement = stack_columns(
            [
                (name, times, _rows(file, name, len(times)))
                for name in as_names(fields["movement"])
            ]
        )
        return SpikeSession(
            spike_times=_trains(file, fields),
            times=times,
            movement=movement,
            title=", ".join(as_names(fields["movement"])),
            trials=_intervals(file, fields.get("trials")),
            condition=_labels(file, fields.get("condition")),
            observed=_intervals(file, fields.get("observed")),
        )


def read_bins(path: str, fields: Mapping[str, Any]) -> dict[str, Any]:
    """Read counts in bins: what `Recording` is made of.

    Args:
        path: The file.
        fields: Names of the variables, or for `bin_width` its number.

    Raises:
        ValueError: As `read_session`.
    """
    with open_any(path) as file:
        movement = [file.numbers(n) for n in as_names(fields["movement"])]
        bins = len(movement[0]) if movement[0].ndim == 2 else 0
        movement = [
            _upright(m, max(bins, m.size // m.shape[1])) for m in movement
        ]
        found: dict[str, Any] = {
            "spikes": file.numbers(fields["spikes"]),
            "movement": np.concatenate(movement, axis=1),
            "bin_width": fields["bin_width"],
        }
        if isinstance(fields["bin_width"], str):
            found["bin_width"] = float(_vector(file, fields["bin_width"])[0])
        if "segment" in fields:
            found["segment"] = _vector(file, fields["segment"])
        if "unit_ids" in fields:
            found["unit_ids"] = _labels(file, fields["unit_ids"])
        if "trials" in fields:
            found["trials"] = _intervals(file, fields["trials"])
        return found


def _variables(file: AnyMatlabFile) -> list[str]:
    lines = []
    for name in file.names():
        shape = file.shape(name)
        if shape is None:
            lines.append(f"{name}: struct")
        else:
            size = "x".join(map(str, shape))
            lines.append(f"{name}: {size}{' cells' * file.is_cells(name)}")
    return lines


def _trains(
    file: AnyMatlabFile, fields: Mapping[str, Any]
) -> dict[int | str, np.ndarray]:
    """Return the spike times of each unit; MATLAB counts them from 1."""
    name = fields["spike_times"]
    if not file.is_cells(name):
        raise ValueError(
            f"{name!r} in {file.path!r} must be a cell array, one cell with "
            "the spike times of a unit: {[0.1 0.2], [], [0.3]}. "
            f"Received: a matrix of size {file.shape(name)}"
        )
    if 0 in (file.shape(name) or ()):
        raise ValueError(
            f"{name!r} in {file.path!r} must hold a unit. Received: no cell"
        )
    cells = file.cells(name)
    trains: dict[int | str, np.ndarray] = {}
    for row in range(cells.shape[0]):
        for column in range(cells.shape[1]):
            # Of a matrix of channels and their units both numbers count.
            unit: int | str = max(row, column) + 1
            if min(cells.shape) > 1:
                unit = f"{row + 1}/{column + 1}"
            trains[unit] = file.cell_numbers(cells[row, column])
    if "unit_ids" in fields:
        ids = _labels(file, fields["unit_ids"])
        if len(ids or ()) != len(trains):
            raise ValueError(
                f"{fields['unit_ids']!r} in {file.path!r} must name each unit. "
                f"Received: {len(ids or ())} for {len(trains)} units"
            )
        return dict(zip(ids or (), trains.values(), strict=True))
    return trains


def _vector(file: AnyMatlabFile, name: str) -> np.ndarray:
    """Return a row or a column."""
    values = file.numbers(name)
    if values.size != max(values.shape, default=1) or not values.size:
        raise ValueError(
            f"{name!r} in {file.path!r} must be a row or a column of numbers. "
            f"Received: size {'x'.join(map(str, values.shape))}"
        )
    return values.ravel()


def _rows(file: AnyMatlabFile, name: str, samples: int) -> np.ndarray:
    values = _upright(file.numbers(name), samples)
    if values.ndim != 2 or len(values) != samples:
        raise ValueError(
            f"{name!r} in {file.path!r} must have a row a sample of `times`. "
            f"Received: size {'x'.join(map(str, values.shape))} and "
            f"{samples} times"
        )
    return values


def _upright(values: np.ndarray, samples: int) -> np.ndarray:
    """Return a row of samples as a column; a matrix stays as it is."""
    return values.T if values.shape == (1, samples) else values


def _intervals(file: AnyMatlabFile, name: str | None) -> np.ndarray | None:
    return None if name is None else file.numbers(name)


def _labels(file: AnyMatlabFile, name: str | None) -> list[int | str] | None:
    """Return names in cells, or numbers, one each."""
    if name is None:
        return None
    if file.is_cells(name):
        return [file.cell_text(cell) for cell in file.cells(name).ravel()]
    values = _vector(file, name)
    if (values != np.floor(values)).any():
        raise ValueError(
            f"{name!r} in {file.path!r} must hold integers or names in cells. "
            f"Received: {values[:5].tolist()}"
        )
    return [int(value) for value in values]


def is_matlab(path: str) -> bool:
    """Return whether a file begins, or is called, as MATLAB's do."""
    with open(path, "rb") as file:
        start = file.read(6)
    return start == b"MATLAB" or os.path.splitext(path)[1].lower() == ".mat"
