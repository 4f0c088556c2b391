"""One recording of Opportunity: its sensors, its labels, its scaling."""

import itertools
import logging
from collections.abc import Iterator

import numpy as np

from keras_seqattn._files.file_tree import FileTree

COLUMNS = 250
RATE = 30
# Columns count from 0: milliseconds, then twelve accelerometers, five inertial
# units of 13 values whose last four (the quaternion) are left out, two shoes.
SENSORS = (
    *range(1, 37),
    *(37 + 13 * unit + value for unit in range(5) for value in range(9)),
    *range(102, 134),
)
# In each shoe: Euler angles, accelerations, angular velocities, compass.
_SHOE = (
    [(-250, 250), (-100, 25), (-200, 200)]
    + [(-5000, 5000)] * 6
    + [(-10_000, 10_000)] * 6
    + [(-250, 250)]
)
_UNIT = [(-3000, 3000)] * 3 + [(-10_000, 10_000)] * 3 + [(-1000, 1500)] * 3
RANGES = np.array(
    [(-3000, 3000)] * 36 + _UNIT * 5 + _SHOE * 2, dtype=np.float32
)

# Column of the labels, and for each code the name of its class.
TASKS: dict[str, tuple[int, dict[int, str]]] = {
    "gestures": (
        249,
        {
            0: "null",
            406516: "Open Door 1",
            406517: "Open Door 2",
            404516: "Close Door 1",
            404517: "Close Door 2",
            406520: "Open Fridge",
            404520: "Close Fridge",
            406505: "Open Dishwasher",
            404505: "Close Dishwasher",
            406519: "Open Drawer 1",
            404519: "Close Drawer 1",
            406511: "Open Drawer 2",
            404511: "Close Drawer 2",
            406508: "Open Drawer 3",
            404508: "Close Drawer 3",
            408512: "Clean Table",
            407521: "Drink from Cup",
            405506: "Toggle Switch",
        },
    ),
    "locomotion": (
        243,
        {0: "null", 1: "Stand", 2: "Walk", 4: "Sit", 5: "Lie"},
    ),
}
SCALINGS = ("range", "zscore")


def read_recording(
    tree: FileTree, name: str, task: str, scaling: str
) -> tuple[np.ndarray, np.ndarray]:
    """Read the scaled signal and the label of each sample.

    Gaps in a sensor are filled along a straight line, those at the end with
    its last value, those at the beginning with 0, as published. A sensor
    without a value is 0 throughout, and a warning says so.

    Args:
        tree: The published files.
        name: A recording, such as `"S1-ADL1"`.
        task: `"gestures"` or `"locomotion"`.
        scaling: `"range"`: the fixed range of each sensor becomes 0 .. 1;
            above it .99, below it 0. `"zscore"`: this recording's mean
            becomes 0 and its deviation 1/2.

    Returns:
        float32 array `(samples, 113)` and int64 array `(samples,)`.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: It is damaged, not sampled at an even 30 Hz, or holds
            anything but numbers, NaN in sensors and known labels.
    """
    column, codes = TASKS[task]
    place = tree.place(f"{name}.dat")
    table = _read_table(tree, f"{name}.dat", place, (0, *SENSORS, column))
    _check_times(table[:, 0], place)
    label = _classes(table[:, -1], list(codes), column, place)
    signal = _fill(table[:, 1:-1], place)
    return (_to_range if scaling == "range" else _to_zscore)(signal), label


def _read_table(
    tree: FileTree, name: str, place: str, columns: tuple[int, ...]
) -> np.ndarray:
    try:
        # All codes and times below 4.6 hours are exact in float32.
        table = np.loadtxt(
            _rows(tree.lines(name)),
            dtype="float32",
            comments=None,
            usecols=columns,
            ndmin=2,
        )
    except ValueError as error:
        raise ValueError(
            f"{place!r} must hold {COLUMNS} numbers between blanks in each "
            f"row. Received: {error}"
        ) from error
    return table


def _rows(lines: Iterator[str]) -> Iterator[str]:
    first = next(lines, "")
    for row, line in enumerate(itertools.chain([first], lines), start=1):
        if len(line.split()) != COLUMNS:
            raise ValueError(f"{len(line.split())} in row {row}")
        yield line


def _check_times(milliseconds: np.ndarray, place: str) -> None:
    steps = np.diff(milliseconds)
    odd = ~(np.abs(steps * RATE / 1000 - 1) < 0.1)  # NaN is odd
    if odd.sum() > 0.01 * len(steps):
        raise ValueError(
            f"The samples of {place!r} must be {1000 / RATE:.1f} ms apart "
            f"({RATE} Hz). Received: {odd.sum()} of {len(steps)} steps that "
            f"are not, the first from {milliseconds[np.argmax(odd)]} ms to "
            f"{milliseconds[np.argmax(odd) + 1]} ms"
        )


def _classes(
    codes: np.ndarray, known: list[int], column: int, place: str
) -> np.ndarray:
    """Return the place of each code among the known ones."""
    is_code = codes[:, None] == np.array(known)
    unknown = ~is_code.any(axis=1)
    if unknown.any():
        row = int(np.argmax(unknown))
        raise ValueError(
            f"Column {column + 1} of {place!r} must hold the labels {known}. "
            f"Received: {codes[row]} in row {row + 1}"
        )
    return is_code.argmax(axis=1).astype("int64")


def _fill(signal: np.ndarray, place: str) -> np.ndarray:
    if np.isinf(signal).any():
        raise ValueError(f"{place!r} must not hold infinite values.")
    index = np.arange(len(signal))
    known = ~np.isnan(signal)
    dead = np.flatnonzero(~known.any(axis=0))
    if len(dead) == len(SENSORS):
        raise ValueError(f"{place!r} holds no value of any sensor, but NaN.")
    if len(dead):
        logging.getLogger(__name__).warning(
            "%s: no value in the columns %s (counted from 1): they become 0.",
            place,
            [SENSORS[sensor] + 1 for sensor in dead],
        )
    for sensor in np.flatnonzero(~known.all(axis=0)):
        there = np.flatnonzero(known[:, sensor])
        if len(there):
            filled = np.interp(index, there, signal[there, sensor])
            filled[: there[0]] = 0
            signal[:, sensor] = filled
        else:
            signal[:, sensor] = 0
    return signal


def _to_range(signal: np.ndarray) -> np.ndarray:
    low, high = RANGES.T
    scaled = (signal - low) / (high - low)
    scaled[scaled > 1] = 0.99
    scaled[scaled < 0] = 0
    return scaled


def _to_zscore(signal: np.ndarray) -> np.ndarray:
    mean = signal.mean(axis=0, dtype="float64")
    deviation = signal.std(axis=0, dtype="float64")
    return ((signal - mean) / (2 * (deviation + 1e-6))).astype("float32")
