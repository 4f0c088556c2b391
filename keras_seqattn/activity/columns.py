"""Columns of a table: numbers, times, and what is missing."""

from typing import Any

import numpy as np

from keras_seqattn._checks import check_choice
from keras_seqattn.activity.table_file import pandas

UNITS = {"s": 1.0, "ms": 1e-3, "us": 1e-6, "ns": 1e-9}
TIMES = (
    "time", "timestamp", "t", "time_s", "t_s", "time_ms", "t_ms",
    "timestamp_ms", "time_us", "t_us", "timestamp_us", "time_ns", "t_ns",
    "timestamp_ns", "seconds_elapsed", "elapsed", "datetime", "date",
)  # fmt: skip
# Seconds between samples: what is believed of a unit that nobody told, and
# the least of one that was told.
STEPS = (1e-4, 1.0)
TOLD_STEP = 3e-5
MISSING = ("", "nan", "na", "n/a", "null", "none", "<na>", "nat")


def text_of(column: Any) -> np.ndarray:
    """Return cells as stripped text, `""` where there is nothing."""
    missing = column.isna().to_numpy(bool)
    cells = [
        "" if gone else str(value).strip()
        for value, gone in zip(column.tolist(), missing, strict=True)
    ]
    return np.array(cells, dtype=object)


def numbers_of(column: Any) -> tuple[np.ndarray, np.ndarray]:
    """Return numbers, NaN where there are none, and which cells are bad."""
    pd = pandas()
    if pd.api.types.is_bool_dtype(column) or _is_complex(column):
        return np.full(len(column), np.nan), np.ones(len(column), bool)
    if pd.api.types.is_numeric_dtype(column):
        numbers = column.to_numpy("float64", na_value=np.nan)
        return numbers, np.isinf(numbers)
    text = pd.Series(text_of(column), dtype=object)
    missing = text.str.lower().isin(MISSING).to_numpy(bool)
    # Of a decimal comma there is one a cell, and no point in the column.
    if text.str.contains(",", regex=False).any():
        if not text.str.contains(".", regex=False).any():
            text = text.str.replace(",", ".", n=1, regex=False)
    numbers = pd.to_numeric(text, errors="coerce").to_numpy("float64")
    return numbers, ~missing & ~np.isfinite(numbers)


def is_numeric(column: Any) -> bool:
    """Whether most cells that hold anything hold numbers."""
    return share_of_numbers(column) >= 0.5


def share_of_numbers(column: Any) -> float:
    """Share of numbers in the cells that hold anything."""
    if _is_complex(column):
        return 1.0  # To be refused, not left out.
    if pandas().api.types.is_datetime64_any_dtype(column):
        return 0.0
    numbers, bad = numbers_of(column)
    good = int(np.isfinite(numbers).sum())
    return good / max(good + int(bad.sum()), 1)


def _is_complex(column: Any) -> bool:
    return bool(pandas().api.types.is_complex_dtype(column))


def checked_numbers(table: Any, name: str, place: str) -> np.ndarray:
    """Return a column's numbers, NaN where a cell is empty.

    Raises:
        ValueError: A cell holds what is no finite number.
    """
    numbers, bad = numbers_of(table[name])
    if bad.any():
        row = int(bad.argmax())
        raise ValueError(
            f"The column {name!r} of {place} must hold finite numbers. "
            f"Received: {table[name].iloc[row]!r} in row {table.index[row]}"
        )
    return numbers


def check_whole(numbers: np.ndarray, table: Any, name: str, place: str) -> None:
    """Raise if a cell is empty."""
    if np.isnan(numbers).any():
        row = int(np.isnan(numbers).argmax())
        raise ValueError(
            f"The column {name!r} of {place} must hold finite numbers. Leave "
            "out rows that were not recorded: short holes are bridged, long "
            f"ones are seams. Received: an empty cell in row {table.index[row]}"
        )


def find_time(table: Any, time: Any, place: str) -> str:
    """Return the name of the column of time."""
    names = [str(name) for name in table.columns]
    wanted = (
        TIMES if time is None else [time] if isinstance(time, str) else time
    )
    lower = {
        name.lower().split("(")[0].split("[")[0].strip(): name
        for name in reversed(names)
    }
    for name in wanted:
        if name in names:
            return name
        if time is None and name in lower:
            return lower[name]
    raise ValueError(
        f"{place} lacks a column of time. Name it: `time=`. "
        f"Expected: one of {tuple(wanted)}. Received: {names}"
    )


def seconds_of(
    table: Any, name: str, unit: str | None, place: str
) -> np.ndarray:
    """Return times in seconds.

    Raises:
        ValueError: A cell is empty or no time, or what there is cannot be
            seconds, and `time_unit` does not tell.
    """
    if unit is not None:
        check_choice("time_unit", unit, (*UNITS, "date"))
    pd = pandas()
    column = table[name]
    dates = pd.api.types.is_datetime64_any_dtype(column)
    if unit == "date" or dates or (unit is None and not is_numeric(column)):
        return _dates(table, name, place)
    numbers = checked_numbers(table, name, place)
    check_whole(numbers, table, name, place)
    if unit is None:
        tail = name.lower().replace("(", "_").rstrip(")] ").replace("[", "_")
        unit = next((u for u in UNITS if tail.endswith(f"_{u}")), None)
    # Of a unit that is told, only what no recording has is refused.
    rises = np.diff(numbers)
    rises = rises[rises > 0]
    if unit is not None:
        steps, limits = rises, (TOLD_STEP, np.inf)
    else:
        steps, limits = np.diff(np.unique(numbers)), STEPS
    if len(steps):
        usual = float(np.quantile(steps, 0.9, method="lower"))
        if unit is None:  # Packets share stamps.
            usual *= (len(steps) + 1) / len(numbers)
        _check_unit(numbers, usual, unit, limits, name, place)
    return numbers * UNITS[unit or "s"]


def _dates(table: Any, name: str, place: str) -> np.ndarray:
    pd = pandas()
    dates = pd.to_datetime(
        table[name],
        errors="coerce",
        utc=True,
        format=None
        if pd.api.types.is_datetime64_any_dtype(table[name])
        else "ISO8601",
    )
    bad = dates.isna().to_numpy(bool)
    if bad.any():
        row = int(bad.argmax())
        raise ValueError(
            f"The column {name!r} of {place} must hold times: numbers, or "
            "dates as 2024-05-31 12:00:00.25. Received: "
            f"{table[name].iloc[row]!r} in row {table.index[row]}"
        )
    start = pd.Timestamp("1970-01-01", tz="UTC")
    return ((dates - start) / pd.Timedelta(seconds=1)).to_numpy("float64")


def _check_unit(
    numbers: np.ndarray,
    usual: float,
    unit: str | None,
    limits: tuple[float, float],
    name: str,
    place: str,
) -> None:
    largest = np.abs(numbers).max()

    def fits(unit: str, low: float, high: float) -> bool:
        factor = UNITS[unit]
        return largest * factor < 1e11 and low <= usual * factor <= high

    if fits(unit or "s", *limits):
        return
    others = [u for u in UNITS if u != (unit or "s") and fits(u, *STEPS)]
    after_all = ", or 's' if it is" if unit is None and largest < 1e11 else ""
    raise ValueError(
        f"The column {name!r} of {place} cannot be in {unit or 's'!r}: give "
        f"`time_unit=` ({' or '.join(map(repr, others or UNITS))}{after_all}). "
        f"Received: {numbers[0]:.15g} .. {numbers[-1]:.15g}, "
        f"usual step {usual:g}"
    )
