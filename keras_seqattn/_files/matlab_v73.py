"""MATLAB v7.3 files, which are HDF5, read with h5py.

HDF5 keeps MATLAB's columns as rows: everything is turned back here.
"""

import contextlib
import os
from collections.abc import Iterator

import h5py
import numpy as np

# 55 hours at 250 Hz: no session has so many values in one variable.
MAX_VALUES = 50_000_000
# 192 channels of five units are 960; a reference takes far more than a number.
MAX_CELLS = 100_000


class MatlabFile:
    """The variables of a MATLAB v7.3 file.

    Args:
        file: An open `h5py.File`.
        path: Its path, for messages.
    """

    def __init__(self, file: h5py.File, path: str) -> None:
        self._file = file
        self.path = path

    def check_variables(self, names: tuple[str, ...]) -> None:
        """Raise a `ValueError` that lists which of `names` are missing."""
        missing = [name for name in names if name not in self._file]
        if missing:
            raise ValueError(
                f"{self.path!r} lacks the variables {missing}. Expected: "
                f"{list(names)}. Received: {[*self._file][:20]}"
            )

    def names(self) -> list[str]:
        """Return the names of the variables."""
        # Damaged names come as bytes.
        names = map(str, self._file)
        return [name for name in names if not name.startswith("#")]

    def __contains__(self, name: str) -> bool:
        return name in self._file

    def shape(self, name: str) -> tuple[int, ...] | None:
        """Return the size of a variable in MATLAB, `None` of a struct."""
        item = self._variable(name)
        if not isinstance(item, h5py.Dataset):
            return None
        if item.attrs.get("MATLAB_empty"):
            return (0, 0)
        return item.shape[::-1]

    def is_cells(self, name: str) -> bool:
        """Return whether a variable is a cell array, empty or not."""
        item = self._variable(name)
        kind = item.attrs.get("MATLAB_class", b"")
        return kind == b"cell" or (
            isinstance(item, h5py.Dataset)
            and h5py.check_ref_dtype(item.dtype) is h5py.Reference
        )

    def numbers(self, name: str) -> np.ndarray:
        """Return a matrix of numbers with MATLAB's axes, as float64."""
        return self.values(name).astype(np.float64)

    def values(self, name: str) -> np.ndarray:
        """Return a matrix of numbers with MATLAB's axes, in their own type."""
        return self._numbers(self._variable(name), repr(name)).T

    def cells(self, name: str) -> np.ndarray:
        """Return the references in a cell array with MATLAB's axes."""
        item = self._variable(name)
        if (
            not isinstance(item, h5py.Dataset)
            or h5py.check_ref_dtype(item.dtype) is not h5py.Reference
            or item.ndim != 2
        ):
            raise ValueError(
                f"{name!r} in {self.path!r} must be a cell array of rank 2. "
                f"Received: {item}"
            )
        self._check_data(item, repr(name), MAX_CELLS, "cells")
        return item[()].T

    def cell_numbers(self, reference: h5py.Reference) -> np.ndarray:
        """Return what a cell holds, in one row, as float64.

        An empty cell is no empty array in the file: it is a mark, and the
        values beside it are its sizes, not its content.
        """
        item = self._target(reference)
        if item.attrs.get("MATLAB_empty"):
            return np.empty(0)
        return self._numbers(item, "a cell").ravel().astype(np.float64)

    def cell_text(self, reference: h5py.Reference) -> str:
        """Return the characters of a cell."""
        return "".join(chr(int(code)) for code in self.cell_numbers(reference))

    def _target(self, reference: h5py.Reference) -> h5py.Dataset:
        if not reference:
            raise ValueError(f"A cell of {self.path!r} points nowhere.")
        return self._file[reference]

    def _numbers(self, item: h5py.Dataset, name: str) -> np.ndarray:
        if not isinstance(item, h5py.Dataset) or item.dtype.kind not in "uif":
            raise ValueError(
                f"{name} in {self.path!r} must hold numbers. Received: {item}"
            )
        self._check_data(item, name, MAX_VALUES, "values")
        return item[()]

    def _variable(self, name: str) -> h5py.Dataset:
        link = self._file.get(name, getlink=True)
        if link is None:
            raise ValueError(
                f"{self.path!r} has no variable {name!r}. "
                f"Received: {self.names()[:20]}"
            )
        if not isinstance(link, h5py.HardLink):
            raise ValueError(
                f"{name!r} in {self.path!r} must be in the file itself. "
                f"Received: a link, {link}"
            )
        return self._file[name]

    def _check_data(
        self, item: h5py.Dataset, name: str, limit: int, what: str
    ) -> None:
        # HDF5 would read other files of the user as numbers.
        if item.external or item.is_virtual:
            raise ValueError(
                f"{name} in {self.path!r} must be in the file itself. "
                "Received: a dataset kept in other files"
            )
        if item.size > limit:
            raise ValueError(
                f"{name} in {self.path!r} is too large to be part of a "
                f"session. Expected: at most {limit} {what}. "
                f"Received: {item.shape}"
            )


@contextlib.contextmanager
def open_matlab(path: str | os.PathLike[str]) -> Iterator[MatlabFile]:
    """Open a MATLAB v7.3 file; say clearly what is wrong if it cannot be read.

    Args:
        path: Path of the file.

    Yields:
        A `MatlabFile`.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: The file is no HDF5, or is damaged or cut off.
    """
    path = os.fspath(path)
    if not os.path.isfile(path):
        raise FileNotFoundError(f"There is no session file at {path!r}.")
    if not h5py.is_hdf5(path):
        raise ValueError(
            "A session must be a MATLAB v7.3 file, which is HDF5. Files of "
            "other versions are written anew by MATLAB's save(..., '-v7.3'). "
            f"Received: path={path!r}, which is no HDF5"
        )
    try:
        with h5py.File(path, "r") as file:
            yield MatlabFile(file, path)
    except (OSError, RuntimeError, KeyError) as error:  # h5py's, of damage
        raise ValueError(
            f"{path!r} is damaged or cut off; download it again. "
            f"h5py says: {error}"
        ) from error
