"""Tables to streams: what one sensor wrote, of one person."""

import dataclasses
import os
import re
import warnings
from collections.abc import Mapping
from typing import Any

import numpy as np

from keras_seqattn.activity import columns as cells
from keras_seqattn.activity.intervals import Intervals
from keras_seqattn.windows.labels import ids_of_text

# Of a column that is empty in this share of rows or more, another sensor
# wrote those rows; of one that is empty in fewer, cells are missing.
OTHER_ROWS = 0.1


@dataclasses.dataclass(frozen=True)
class Stream:
    """Samples of one sensor: stamps in seconds, and the rows they stood in."""

    stamps: np.ndarray
    values: np.ndarray
    channels: tuple[str, ...]
    rows: np.ndarray
    label: np.ndarray | None
    subject: int | str | None
    source: str


@dataclasses.dataclass(frozen=True)
class TableOptions:
    """How columns of a table are to be read: as of `read_recordings`."""

    columns: Mapping[str, str] | None = None
    time: Any = None
    time_unit: str | None = None
    subject_from: str | None = None
    label: str | Intervals | None = None
    sensor: str | None = None


def read_streams(
    table: Any, source: str, options: TableOptions
) -> list[Stream]:
    """Return the streams of a table, of each subject and sensor.

    Raises:
        ValueError: A column is missing, or holds what it should not.
    """
    place = repr(source)
    table = table.rename(columns=str)
    if not table.columns.is_unique:
        raise ValueError(
            f"{place} must have distinct names of columns. "
            f"Received: {list(table.columns)}"
        )
    if not len(table):
        raise ValueError(f"{place} must hold a row. Received: none")
    time = cells.find_time(table, options.time, place)
    label = _label_column(table, options, place)
    own_subject = _subject_column(table, options.subject_from)
    subjects = _subjects(table, own_subject, source, options.subject_from)
    channels = _channels(
        table, (time, label, own_subject, options.sensor), options, place
    )
    stamps = cells.seconds_of(table, time, options.time_unit, place)
    values = np.stack(
        [
            cells.checked_numbers(table, name, place)
            for name in channels.values()
        ],
        axis=1,
    )
    words = None if label is None else cells.text_of(table[label])
    found = []
    for subject in dict.fromkeys(subjects):
        own = np.array([value == subject for value in subjects])
        for name, rows, picked in _kinds(
            table, values, own, channels, options.sensor, source
        ):
            part = Stream(
                stamps[rows],
                values[rows][:, picked],
                name,
                table.index.to_numpy()[rows],
                None if words is None else words[rows],
                subject,
                source,
            )
            found.append(_without_copies(_in_time(part)))
    if isinstance(options.label, Intervals):
        found = [
            dataclasses.replace(
                s, label=options.label.of(s.stamps, s.subject, source)
            )
            for s in found
        ]
    return found


def _label_column(table: Any, options: TableOptions, place: str) -> str | None:
    if isinstance(options.label, Intervals):
        return None
    if options.label is None:
        return "label" if "label" in table.columns else None
    # Of two files of one recording, one alone may tell.
    return options.label if options.label in table.columns else None


def _subject_column(table: Any, subject_from: str | None) -> str | None:
    if subject_from is None:
        return "subject" if "subject" in table.columns else None
    return subject_from if subject_from in table.columns else None


def _subjects(
    table: Any, column: str | None, source: str, subject_from: str | None
) -> list[Any]:
    if column is not None:
        texts = cells.text_of(table[column]).tolist()
        if "" in texts:
            raise ValueError(
                f"`{column}` of {source!r} must hold an id everywhere. "
                f"Received: an empty cell in row {table.index[texts.index('')]}"
            )
        return ids_of_text(texts, f"{column} of {source}").tolist()
    if subject_from is None:
        return [None] * len(table)
    text = _from_path(source, "subject_from", subject_from)
    found = ids_of_text([text]).tolist()
    return found * len(table)


def _from_path(source: str, name: str, pattern: str) -> str:
    try:
        compiled = re.compile(pattern)
    except re.error as error:
        raise ValueError(
            f"`{name}` must be a column or a regular expression. "
            f"Received: {name}={pattern!r}: {error}"
        ) from error
    found = compiled.search(source.replace(os.sep, "/"))
    if compiled.groups != 1 or found is None or not found.group(1):
        raise ValueError(
            f"`{name}` must be a column, or a regular expression with "
            "one group that is found in the path, as r'(\\w+)_\\d+\\.csv' "
            "(small and capital letters alike: (?i) before it). "
            f"Received: {name}={pattern!r} for {source!r}"
        )
    return found.group(1)


def _channels(
    table: Any,
    others: tuple[str | None, ...],
    options: TableOptions,
    place: str,
) -> dict[str, str]:
    """Return for each channel its column."""
    if options.columns is not None:
        # Files of one recording may hold a part each.
        found = {
            str(ours): name
            for ours, name in options.columns.items()
            if name in table.columns
        }
    else:
        shares = {
            name: cells.share_of_numbers(table[name])
            for name in table.columns
            if name not in others and name.lower() not in cells.TIMES
        }
        found = {name: name for name, share in shares.items() if share >= 0.5}
        if mixed := [name for name, share in shares.items() if 0 < share < 0.5]:
            warnings.warn(
                f"Columns of {place} that hold more words than numbers are "
                f"left out: {mixed}. Of a channel, give it in `columns`.",
                stacklevel=2,
            )
    if not found:
        raise ValueError(
            f"{place} lacks channels. Expected: columns of numbers beside "
            f"time, subject and label, or those of `columns`. "
            f"Received: {list(table.columns)}"
        )
    return found


def _kinds(
    table: Any,
    values: np.ndarray,
    own: np.ndarray,
    channels: dict[str, str],
    sensor: str | None,
    source: str,
) -> list[tuple[tuple[str, ...], np.ndarray, list[int]]]:
    """Return channels, rows, and columns of each sensor's rows."""
    place, names, columns = repr(source), [*channels], [*channels.values()]
    if sensor is not None and sensor not in table.columns:
        word = _from_path(source, "sensor", sensor)
        names, sensor = [f"{word}_{name}" for name in names], None
    if sensor is not None:
        kinds = cells.text_of(table[sensor])
        picked = {kind: own & (kinds == kind) for kind in dict.fromkeys(kinds)}
        groups = [
            (tuple(f"{kind}_{n}" for n in names), rows, [*range(len(names))])
            for kind, rows in picked.items()
            if rows.any()
        ]
    else:
        empty = np.isnan(values) & own[:, None]
        share = empty.sum(0) / max(own.sum(), 1)
        by_rows: dict[bytes, list[int]] = {}
        for i in range(len(names)):
            # Nothing but a few cells is missing: those are named below.
            mask = (
                empty[:, i] if share[i] >= OTHER_ROWS else empty[:, i] & False
            )
            by_rows.setdefault(mask.tobytes(), []).append(i)
        if len(by_rows) == 1:
            groups = [(tuple(names), own, [*range(len(names))])]
        else:
            groups = [
                (
                    tuple(names[i] for i in picks),
                    own & ~empty[:, picks[0]]
                    if share[picks[0]] >= OTHER_ROWS
                    else own,
                    picks,
                )
                for picks in by_rows.values()
            ]
    found = []
    for group, rows, picks in groups:
        for i in picks:
            cells.check_whole(values[rows, i], table[rows], columns[i], place)
        found.append((group, np.flatnonzero(rows), picks))
    return found


def _in_time(stream: Stream) -> Stream:
    """Turn a table around whose newest row comes first.

    There may be several recordings in it: leaps the other way.
    """
    steps = np.diff(stream.stamps)
    if (steps < 0).sum() <= (steps > 0).sum():
        return stream
    return dataclasses.replace(
        stream,
        stamps=stream.stamps[::-1],
        values=stream.values[::-1],
        rows=stream.rows[::-1],
        label=None if stream.label is None else stream.label[::-1],
    )


def _without_copies(stream: Stream) -> Stream:
    """Leave out rows that are there twice, unless packets share stamps."""
    same = np.diff(stream.stamps) == 0
    if not same.any() or same.mean() > 0.05:
        return stream
    copy = same & (np.diff(stream.values, axis=0) == 0).all(axis=1)
    kept = np.concatenate([[True], ~copy])
    return dataclasses.replace(
        stream,
        stamps=stream.stamps[kept],
        values=stream.values[kept],
        rows=stream.rows[kept],
        label=None if stream.label is None else stream.label[kept],
    )
