"""Continuous recordings of one's own, from files or frames."""

import glob
import os
from collections.abc import Mapping
from typing import Any

from keras_seqattn._checks import check_positive_number
from keras_seqattn.activity import common_clock
from keras_seqattn.activity import npz_files
from keras_seqattn.activity.intervals import Intervals
from keras_seqattn.activity.intervals import read_intervals
from keras_seqattn.activity.streams import Stream
from keras_seqattn.activity.streams import TableOptions
from keras_seqattn.activity.streams import read_streams
from keras_seqattn.activity.table_file import is_table
from keras_seqattn.activity.table_file import read_table
from keras_seqattn.windows.clock import common_rate
from keras_seqattn.windows.signal_options import SignalOptions
from keras_seqattn.windows.signal_recording import SignalRecording


def read_recordings(
    source: Any,
    *,
    columns: Mapping[str, str] | None = None,
    time: str | list[str] | None = None,
    time_unit: str | None = None,
    subject_from: str | None = None,
    label: Any = None,
    sensor: str | None = None,
    rate: float | None = None,
    max_gap: float | None = None,
    options: SignalOptions | None = None,
) -> list[SignalRecording]:
    r"""Read continuous recordings, each at one rate.

    Packets that share a stamp and rounded stamps are spread evenly, short
    holes bridged by straight lines, longer ones are seams, and so are leaps
    back in time. Streams of one person with other channels at the same time
    (accelerometer and gyroscope, as two files, or as rows in which the other
    one's columns are empty) become one recording. `SignalRecording.clock`
    tells what was done.

    Args:
        source: A CSV file (maybe compressed), an `.npz` file with continuous
            recordings, a folder of such, a glob, a pandas frame, or a list
            of these.
        columns: For each of our channels the file's column. Default: all
            columns of numbers but time, subject and label.
        time: The column of time, or several of which a file has one. Default:
            `time`, `timestamp`, `t`, `t_ms` and the like.
        time_unit: `"s"`, `"ms"`, `"us"`, `"ns"` or `"date"`. Default: as the
            column's name ends (`_ms`), dates if it holds such, or seconds.
        subject_from: The column of the subject, or a regular expression with
            one group that is searched in the path. Default: `subject`, if
            there is such a column.
        label: The column of the activity, or a table of intervals (a frame,
            or a CSV file) with the columns `start`, `stop`, `label`, and maybe
            `subject` or `file`; times as the recordings'. Default: `label`,
            if there is such a column.
        sensor: A column that tells which sensor wrote a row, or, of files
            with equal names of columns, a regular expression with one group
            that is searched in the path; its words are put before the names
            of channels.
        rate: Samples in a second of the result. Default: the recordings' own,
            or the lowest of them, up to 2.5 times apart.
        max_gap: Seconds; a longer hole is a seam. Default: five usual steps.
        options: Gravity, magnitudes and a low-pass.

    Returns:
        A list of `SignalRecording`.

    Raises:
        FileNotFoundError: There is nothing at `source`.
        ValueError: A file is damaged, a column is missing or holds what it
            should not, or no one rate fits.
        ImportError: pandas is missing.

    Example:
    ```python
    import pathlib
    from keras_seqattn.activity import read_recordings

    rows = [f"{i * 20},{i % 7}" for i in range(100)]
    pathlib.Path("walk.csv").write_text("\n".join(["t_ms,ax", *rows]))
    (walk,) = read_recordings("walk.csv")
    print(walk.signal.shape, walk.rate)  # (100, 1) 50.0
    ```
    """
    if rate is not None:
        rate = check_positive_number("rate", rate)
    if max_gap is not None:
        max_gap = check_positive_number("max_gap", max_gap)
    for name, value, kinds in (
        ("columns", columns, Mapping),
        ("time", time, (str, list, tuple)),
        ("subject_from", subject_from, str),
        ("sensor", sensor, str),
        ("options", options, SignalOptions),
    ):
        if value is not None and not isinstance(value, kinds):
            raise ValueError(
                f"`{name}` must be as `read_recordings` documents it. "
                f"Received: {name}={value!r}"
            )
    sources = list_sources(source)
    known = _label(label, time_unit)
    table = TableOptions(columns, time, time_unit, subject_from, known, sensor)
    streams = [
        stream
        for number, one in enumerate(sources)
        for stream in _streams(one, number, table)
    ]
    if isinstance(known, Intervals):
        known.check_used()
    if isinstance(known, str) and all(s.label is None for s in streams):
        raise ValueError(
            "`label` must be a column of the table, or the path of a table of "
            f"intervals. Received: label={known!r}, which is neither"
        )
    _check_columns(streams, columns)
    groups = [
        [common_clock.timed(stream, max_gap, rate) for stream in group]
        for group in common_clock.grouped(streams, sensor is not None)
    ]
    if rate is None:
        rates = {
            f"recording {n} of {t.stream.source!r}, {t.stream.channels}": t.rate
            for n, group in enumerate(groups)
            for t in group
        }
        rate = common_rate(rates, max(len(s.stamps) for s in streams))
    found = [
        common_clock.merged(group, rate, options or SignalOptions())
        for group in groups
    ]
    _check_channels(found)
    return found


def list_sources(source: Any) -> list[Any]:
    """Return files and frames, one by one.

    Raises:
        FileNotFoundError: There is nothing at a path.
        ValueError: It is no path and no frame.
    """
    if isinstance(source, list | tuple):
        found = [one for part in source for one in list_sources(part)]
        if not found:
            raise ValueError("`source` must hold a file. Received: none")
        return found
    if hasattr(source, "columns"):
        return [source]
    if not isinstance(source, str | os.PathLike):
        raise ValueError(
            "`source` must be a path, a pandas frame, or a list of these. "
            f"Received: {type(source).__name__}"
        )
    path = os.fspath(source)
    if os.path.isdir(path):
        files = [
            os.path.join(folder, name)
            for folder, folders, names in os.walk(path)
            for name in names
            if is_own(name) and not name.startswith((".", "_"))
        ]
        if not files:
            raise FileNotFoundError(
                f"There are no recordings in {path!r}. "
                "Expected: .csv files (maybe .gz, .bz2, .xz) or .npz files"
            )
        return sorted(files)
    if os.path.isfile(path):
        return [path]
    if glob.has_magic(path) and (
        files := sorted(filter(os.path.isfile, glob.glob(path, recursive=True)))
    ):
        return list(files)
    raise FileNotFoundError(f"There are no recordings at {path!r}.")


def is_own(path: str) -> bool:
    """Whether a file is called as one of one's own."""
    return is_table(path) or path.lower().endswith(".npz")


def _label(label: Any, time_unit: str | None) -> Any:
    if label is None or (isinstance(label, str) and not os.path.isfile(label)):
        return label
    if hasattr(label, "columns") or isinstance(label, str | os.PathLike):
        return read_intervals(label, time_unit)
    raise ValueError(
        "`label` must be a column, or a table of intervals (a pandas frame or "
        f"a CSV file). Received: {type(label).__name__}"
    )


def _streams(source: Any, number: int, table: TableOptions) -> list[Stream]:
    if hasattr(source, "columns"):
        return read_streams(source, f"frame {number}", table)
    path = os.fspath(source)
    if path.lower().endswith(".npz"):
        if table != TableOptions():
            raise ValueError(
                f"{path!r} names its columns itself: of a `.npz` file no "
                "`columns`, `time`, `time_unit`, `subject_from`, `label` and "
                "`sensor` can be given. Received: "
                f"{[k for k, v in vars(table).items() if v is not None]}"
            )
        return npz_files.read_continuous(path)
    if not is_table(path):
        raise ValueError(
            f"{path!r} is neither a folder nor a complete zip archive of a "
            "known set, and no `.csv` or `.npz` file. Received: "
            f"a file called {os.path.basename(path)!r}"
        )
    return read_streams(read_table(path), path, table)


def _check_columns(
    streams: list[Stream], columns: Mapping[str, str] | None
) -> None:
    there = {name for stream in streams for name in stream.channels}
    missing = [
        f"{ours!r} ({name!r})"
        for ours, name in (columns or {}).items()
        if not any(n == ours or n.endswith(f"_{ours}") for n in there)
    ]
    if missing:
        raise ValueError(
            "`columns` must name columns that there are. Received: no column "
            f"for {', '.join(missing)}"
        )


def _check_channels(recordings: list[SignalRecording]) -> None:
    first = recordings[0]
    for other in recordings[1:]:
        if set(other.channels) != set(first.channels):
            raise ValueError(
                "All recordings must have the same channels: choose them with "
                f"`columns`. Received: {first.channels} in {first.source!r}, "
                f"{other.channels} in {other.source!r}"
            )
