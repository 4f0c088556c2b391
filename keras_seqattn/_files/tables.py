"""Text files of numbers, with errors that name the file and the row."""

import csv
import warnings
from collections.abc import Iterable

import numpy as np

from keras_seqattn._files.file_tree import FileTree


def read_numbers(
    tree: FileTree, name: str, dtype: str = "float32"
) -> np.ndarray:
    """Read a file of numbers between blanks.

    Args:
        tree: A `FileTree`.
        name: The file, found as by `tree.find`.
        dtype: Type of the result.

    Returns:
        Array of shape `(rows, columns)`.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: It is damaged or empty, or holds anything but finite
            numbers in rows of one length.
    """
    place = tree.place(name)
    lines = tree.lines(name)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", ".*contained no data")
        try:
            numbers = np.loadtxt(lines, dtype, comments=None, ndmin=2)
        except ValueError as error:
            raise ValueError(
                f"{place!r} must hold numbers in rows of one length. "
                f"Received: {error}"
            ) from error
    check_numbers(numbers, place)
    return numbers


def read_columns(lines: Iterable[str], place: str) -> dict[str, list[str]]:
    """Read the columns of a CSV file with a header.

    Args:
        lines: Lines of the file.
        place: Where the file is, for messages.

    Returns:
        For each name in the header its column, as text.

    Raises:
        ValueError: A name that is missing or there twice, a row of another
            length, or no row.
    """
    rows = list(csv.reader(lines))
    header = [name.strip() for name in rows[0]] if rows else []
    if "" in header or len(set(header)) != len(header) or len(rows) < 2:
        raise ValueError(
            f"{place!r} must begin with a row of distinct names, and hold a "
            f"row more. Received: {len(rows)} rows, the first is {header}"
        )
    for number, row in enumerate(rows, start=1):
        if len(row) != len(header):
            raise ValueError(
                f"{place!r} must have {len(header)} entries a row, as many as "
                f"the first. Received: {len(row)} in row {number}"
            )
    return {
        name: list(column)
        for name, column in zip(
            header, zip(*rows[1:], strict=True), strict=True
        )
    }


def column_numbers(column: list[str], name: str, place: str) -> np.ndarray:
    """Return a column of text as float64 numbers.

    Raises:
        ValueError: It holds anything but finite numbers.
    """
    try:
        numbers = np.array(column, dtype="float64")
    except ValueError as error:
        raise ValueError(
            f"The column {name!r} of {place!r} must hold numbers. "
            f"Received: {error}"
        ) from error
    check_numbers(numbers[:, None], f"{place}, column {name}", first_row=2)
    return numbers


def check_numbers(numbers: np.ndarray, place: str, first_row: int = 1) -> None:
    """Raise if numbers (rows, columns) are none, NaN or infinite."""
    if not numbers.size:
        raise ValueError(f"{place!r} must hold numbers. Received: none")
    if numbers.dtype.kind == "f" and not np.isfinite(numbers).all():
        bad = ~np.isfinite(numbers)
        row, column = (int(index[0]) for index in np.nonzero(bad))
        raise ValueError(
            f"{place!r} must hold finite numbers. Received: {bad.sum()} that "
            f"are not, the first in row {row + first_row}, column {column + 1}"
        )
