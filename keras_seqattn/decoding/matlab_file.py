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
from keras_seqattn.windows.labels import ids
from keras_seqattn.windows.recording import check_bin_width
from keras_seqattn.windows.spike_trains import check_unit_ids

AnyMatlabFile = MatlabFile | OldMatlabFile

# By what a session of O'Doherty et al. is known.
REACHING = ("t", "cursor_pos", "spikes", "chan_names")
IN_TIME = ("spike_times", "times", "movement")
IN_BINS = ("spikes", "movement", "bin_width")
OF_TIME = ("trials", "condition", "observed", "unit_ids")
OF_BINS = ("times", "segment", "scored", "trial", "condition", "trials",
           "unit_ids")  # fmt: skip
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
    kinds = {IN_TIME: OF_TIME, IN_BINS: OF_BINS}
    found = set(fields) if isinstance(fields, Mapping) else set()
    for needed, optional in kinds.items():
        if found >= set(needed) and found <= {*needed, *optional}:
            _check_names(fields)
            return dict(fields)
    with open_any(path) as file:
        holds = listed(_variables(file))
    raise ValueError(
        f"Which variables of {path!r} are spikes and which movement must be "
        f"told: {EXAMPLE}. "
        + "; ".join(
            f"with {needed[0]!r} there may be {[*optional]}"
            for needed, optional in kinds.items()
        )
        + f". Received: fields={fields!r}; the file holds{holds}"
    )


def _check_names(fields: Mapping[str, Any]) -> None:
    for name, value in fields.items():
        names = value if isinstance(value, list | tuple) else [value]
        if name == "bin_width" and not isinstance(value, str):
            check_bin_width(value)
        elif (
            not names
            or (name != "movement" and names is value)
            or not all(isinstance(one, str) and one for one in names)
        ):
            raise ValueError(
                f"`fields[{name!r}]` must be the name of a variable. "
                f"Received: {value!r}"
            )


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
                (name, times, _rows(file, name, len(times), "time"))
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
        spikes = file.numbers(fields["spikes"])
        movement = [
            _rows(file, name, len(spikes), "bin of `spikes`")
            for name in as_names(fields["movement"])
        ]
        found: dict[str, Any] = {
            "spikes": spikes,
            "movement": np.concatenate(movement, axis=1),
            "bin_width": fields["bin_width"],
        }
        for name in ("bin_width", "segment", "times", "scored"):
            if isinstance(fields.get(name), str):
                found[name] = _vector(file, fields[name])
        if isinstance(found["bin_width"], np.ndarray):
            found["bin_width"] = check_bin_width(found["bin_width"])
        if "scored" in found:
            if not np.isin(found["scored"], (0, 1)).all():
                raise ValueError(
                    f"{fields['scored']!r} in {path!r} must hold true and "
                    f"false. Received: {found['scored'][:5].tolist()}"
                )
            found["scored"] = found["scored"].astype(bool)
        for name in ("unit_ids", "condition", "trial"):
            if name in fields:
                found[name] = _labels(file, fields[name])
        if "trial" in found:
            found["trial"] = ids(found["trial"], "trial")
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
        names = check_unit_ids(_labels(file, fields["unit_ids"]) or ())
        if len(names) != len(trains):
            raise ValueError(
                f"{fields['unit_ids']!r} in {file.path!r} must name each unit. "
                f"Received: {len(names)} for {len(trains)} units"
            )
        return dict(zip(names, trains.values(), strict=True))
    return trains


def _vector(file: AnyMatlabFile, name: str) -> np.ndarray:
    """Return a row or a column."""
    values = file.values(name)
    if values.size != max(values.shape, default=1) or not values.size:
        raise ValueError(
            f"{name!r} in {file.path!r} must be a row or a column of numbers. "
            f"Received: size {'x'.join(map(str, values.shape))}"
        )
    return values.ravel()


def _rows(file: AnyMatlabFile, name: str, count: int, what: str) -> np.ndarray:
    values = file.numbers(name)
    if values.shape == (1, count):  # A list, kept as a row.
        values = values.T
    if values.ndim != 2 or len(values) != count or not values.size:
        raise ValueError(
            f"{name!r} in {file.path!r} must have a row for each {what}, "
            f"{count} of them. "
            f"Received: size {'x'.join(map(str, values.shape))}"
        )
    return values


def _intervals(file: AnyMatlabFile, name: str | None) -> np.ndarray | None:
    return None if name is None else file.numbers(name)


def _labels(file: AnyMatlabFile, name: str | None) -> list[int | str] | None:
    """Return names in cells, or numbers, one each."""
    if name is None:
        return None
    if file.is_cells(name):
        return [file.cell_text(cell) for cell in file.cells(name).ravel()]
    values = _vector(file, name)
    return values.tolist()


def is_matlab(path: str) -> bool:
    """Return whether a file begins, or is called, as MATLAB's do."""
    with open(path, "rb") as file:
        start = file.read(6)
    return start == b"MATLAB" or os.path.splitext(path)[1].lower() == ".mat"
