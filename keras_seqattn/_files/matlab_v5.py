"""MATLAB files up to v7, read with SciPy: matrices, cells, fields of structs.

With the same questions as `matlab_v73.MatlabFile` answers.
"""

import importlib
import math
import mmap
import os
from typing import Any

import numpy as np

from keras_seqattn._files.matlab_v5_elements import Elements

# As many numbers as in a v7.3 file.
MAX_VALUES = 50_000_000
# SciPy's names of what can be read; of others it makes objects.
_KINDS = (
    *("double", "single", "logical", "char", "cell", "struct"),
    *(f"{sign}int{bits}" for sign in ("", "u") for bits in (8, 16, 32, 64)),
)


class OldMatlabFile:
    """The variables of a MATLAB file of v4 to v7.

    Args:
        path: Path of the file.

    Raises:
        ImportError: SciPy is not installed.
        ValueError: The file is of another kind, or damaged.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = os.fspath(path)
        try:
            self._io = importlib.import_module("scipy.io")
        except ImportError as error:
            raise ImportError(
                "MATLAB files up to v7 are read with SciPy: "
                "pip install keras_seqattn[nwb]"
            ) from error
        _check_whole(self.path)
        found = self._call(self._io.whosmat)
        self._shapes = {name: tuple(shape) for name, shape, _ in found}
        self._kinds = {name: kind for name, _, kind in found}
        self._loaded: dict[str, Any] = {}

    def names(self) -> list[str]:
        """Return the names of the variables."""
        return list(self._shapes)

    def __contains__(self, name: str) -> bool:
        return name.split("/")[0] in self._shapes

    def shape(self, name: str) -> tuple[int, ...] | None:
        """Return the size of a variable, `None` of a struct."""
        if "/" in name:
            return np.shape(self._variable(name))
        kind = self._kinds[name]
        return None if kind == "struct" else self._shapes[name]

    def is_cells(self, name: str) -> bool:
        """Return whether a variable is a cell array, empty or not."""
        if "/" not in name and name in self._kinds:
            return self._kinds[name] == "cell"
        return self._variable(name).dtype.kind == "O"

    def numbers(self, name: str) -> np.ndarray:
        """Return a matrix of numbers, as float64."""
        return self.values(name).astype(np.float64)

    def values(self, name: str) -> np.ndarray:
        """Return a matrix of numbers, in their own type."""
        return self._numbers(self._variable(name), repr(name))

    def cells(self, name: str) -> np.ndarray:
        """Return a cell array."""
        cells = self._variable(name)
        if cells.dtype.kind != "O" or cells.ndim != 2:
            raise ValueError(
                f"{name!r} in {self.path!r} must be a cell array of rank 2. "
                f"Received: shape {cells.shape}, type {cells.dtype}"
            )
        return cells

    def cell_numbers(self, cell: Any) -> np.ndarray:
        """Return what a cell holds, in one row, as float64."""
        array = np.asarray(cell)
        if not array.size:
            return np.empty(0)
        return self._numbers(array, "a cell").ravel().astype(np.float64)

    def cell_text(self, cell: Any) -> str:
        """Return the text of a cell."""
        return "".join(np.asarray(cell).ravel().astype(str).tolist())

    def _numbers(self, array: np.ndarray, name: str) -> np.ndarray:
        if array.dtype.kind not in "buif":
            raise ValueError(
                f"{name} in {self.path!r} must hold numbers. "
                f"Received: shape {array.shape}, type {array.dtype}"
            )
        return array

    def _variable(self, name: str) -> np.ndarray:
        first, *fields = name.split("/")
        if first not in self._shapes:
            raise ValueError(
                f"{self.path!r} has no variable {first!r}. "
                f"Received: {self.names()[:20]}"
            )
        if first not in self._loaded:
            self._check_size(first)
            if self._kinds[first] not in _KINDS:
                raise ValueError(
                    f"{first!r} in {self.path!r} must be a matrix of numbers, "
                    "a cell array or a struct; `full(...)` turns a sparse "
                    f"matrix into one. Received: {self._kinds[first]}"
                )
            self._loaded |= self._call(self._io.loadmat, variable_names=[first])
        value = self._loaded[first]
        for field in fields:
            names = value.dtype.names or ()
            if field not in names:
                raise ValueError(
                    f"{first!r} in {self.path!r} has no field {field!r}. "
                    f"Received: {list(names)[:20]}"
                )
            value = value[field]
            if value.size == 1:
                value = value.item()
        return np.asarray(value)

    def _check_size(self, name: str) -> None:
        if math.prod(self._shapes[name]) > MAX_VALUES:
            raise ValueError(
                f"{name!r} in {self.path!r} is too large to be part of a "
                f"session. Expected: at most {MAX_VALUES} values. "
                f"Received: {self._shapes[name]}"
            )

    def _call(self, function: Any, **options: Any) -> Any:
        try:
            return function(self.path, **options)
        # Of damaged bytes SciPy raises what it stumbles upon.
        except Exception as error:
            raise ValueError(
                f"{self.path!r} is damaged, cut off or no MATLAB file; copy "
                "or save it again. Received: "
                f"{type(error).__name__}: {str(error)[:200]}"
            ) from error


def _check_whole(path: str) -> None:
    """Raise if a file is cut off or damaged, before SciPy reads it."""
    size = os.path.getsize(path)
    with open(path, "rb") as file:
        # As SciPy tells them apart: v4 has a number there, and no header.
        if 0 in file.read(4) or size <= 128:
            return
        file.seek(126)
        order = "<" if file.read(2) == b"IM" else ">"
        with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
            try:
                Elements(data, order, 8 * MAX_VALUES).check(128)
            except ValueError as error:
                raise ValueError(
                    f"{path!r} is damaged or cut off; copy or save it again. "
                    f"Received: {size} bytes with {error}"
                ) from error
