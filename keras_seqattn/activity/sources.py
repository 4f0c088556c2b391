"""The one door for activity recordings."""

import dataclasses
import os
from typing import Any

import numpy as np

from keras_seqattn._files.file_tree import FileTree
from keras_seqattn.activity import npz_files
from keras_seqattn.activity.recordings import is_own
from keras_seqattn.activity.recordings import list_sources
from keras_seqattn.activity.recordings import read_recordings
from keras_seqattn.activity.seglearn_watch import load_seglearn_watch
from keras_seqattn.windows.activity_windows import ActivityWindows
from keras_seqattn.windows.activity_windows import cut_recordings
from keras_seqattn.windows.labels import class_codes
from keras_seqattn.windows.labels import class_names
from keras_seqattn.windows.labels import ids
from keras_seqattn.windows.signal_recording import SignalRecording

SECONDS = 1.0


def load_recordings(
    source: Any = None,
    *,
    part: str = "train",
    classes: Any = None,
    unlabelled: str = "refuse",
    seconds: float | None = None,
    overlap: float | None = None,
    **reading: Any,
) -> ActivityWindows:
    r"""Read labelled recordings of any known kind, and cut windows.

    Args:
        source: As of `read_recordings`: a CSV or `.npz` file, a folder, a
            glob, a pandas frame, or a list of these. Also what is published:
            the archive or folder of UCI HAR, or of the smartwatch set of
            Matey-Sanz et al.; an `.npz` file with windows (`load_windows`); a
            copy of seglearn's `.npy` file. Default: the recordings that the
            package seglearn ships (`load_seglearn_watch`).
        part: `"train"` or `"test"`: which part of UCI HAR.
        classes: Names of the activities, in order. Default: those that there
            are, sorted; of an `.npz` file its own.
        unlabelled: `"refuse"` samples without a label, or `"drop"` the
            windows that hold mostly such.
        seconds: Length of a window. Default: 1, of published sets their own.
        overlap: Share of a window that the next one holds too, in [0, 1).
            Default: 0.5.
        reading: `columns`, `time`, `time_unit`, `subject_from`, `label`,
            `sensor`, `rate`, `max_gap` and `options`, as of
            `read_recordings`.

    Returns:
        An `ActivityWindows`. A window's label is its most frequent one.

    Raises:
        FileNotFoundError: There is nothing at `source`, or a file is missing
            from a folder or an archive.
        ValueError: It is none of the above, or damaged; a recording has no
            subject or label; or an argument does not apply to it.
        ImportError: pandas is missing.

    Example:
    ```python
    import pathlib
    from keras_seqattn.activity import load_recordings

    rows = [f"{i / 10},{'AB'[i // 20]},{i}" for i in range(40)]
    lines = ["time,label,x_acc", *rows]
    pathlib.Path("anna_1.csv").write_text("\n".join(lines))
    windows = load_recordings(
        "anna_1.csv", subject_from=r"(\w+)_\d\.csv", seconds=2.0
    )
    print(windows.x.shape, windows.classes)  # (3, 20, 1) ('A', 'B')
    ```
    """
    if extra := sorted(reading.keys() - set(READING)):
        raise ValueError(
            f"`load_recordings` takes {READING} of reading. Received: {extra}"
        )
    cutting = {
        name: value
        for name, value in (("seconds", seconds), ("overlap", overlap))
        if value is not None
    }
    own = {
        **{k: v for k, v in reading.items() if v is not None},
        **({} if classes is None else {"classes": classes}),
        **({} if unlabelled == "refuse" else {"unlabelled": unlabelled}),
    }
    if classes is not None and not isinstance(classes, list | tuple):
        raise ValueError(
            f"`classes` must be a list of names. Received: classes={classes!r}"
        )
    known = _published(source, part, own, cutting)
    if known is not None:
        return known
    if part != "train":
        _refuse("files of your own", {"part": part})
    recordings = read_recordings(source, **reading)
    windows = _cut(
        recordings,
        _classes(source) if classes is None else list(class_names(classes)),
        unlabelled,
        seconds=SECONDS if seconds is None else seconds,
        overlap=0.5 if overlap is None else overlap,
    )
    return dataclasses.replace(windows, signal_options=reading.get("options"))


READING = (
    "columns", "time", "time_unit", "subject_from", "label", "sensor", "rate",
    "max_gap", "options",
)  # fmt: skip


def _refuse(what: str, arguments: dict[str, Any]) -> None:
    if arguments:
        raise ValueError(
            f"Arguments that do not apply to {what} must be left out. "
            f"Received: {sorted(arguments)}"
        )


def _published(
    source: Any, part: str, own: dict[str, Any], cutting: dict[str, Any]
) -> ActivityWindows | None:
    """Return windows of what is not read as continuous recordings."""
    if source is None:
        _refuse("seglearn's recordings", own)
        return load_seglearn_watch(**cutting)
    if not isinstance(source, str | os.PathLike):
        return None
    path = os.fspath(source)
    if not os.path.exists(path):
        return None
    name = path.lower()
    if name.endswith(".npy"):
        _refuse("seglearn's recordings", own)
        return load_seglearn_watch(path, **cutting)
    if name.endswith(".npz") and not npz_files.is_continuous(path):
        _refuse("windows that are cut already", {**own, **cutting})
        return npz_files.load_windows(path)
    if is_own(path) and not name.endswith(".zip"):
        return None
    if not os.path.isdir(path) and not name.endswith(".zip"):
        return None
    return _archive(path, part, own, cutting)


def _archive(
    path: str, part: str, own: dict[str, Any], cutting: dict[str, Any]
) -> ActivityWindows | None:
    # Here, since `keras_seqattn.datasets` is imported when it is used.
    from keras_seqattn.datasets.licences import say_licence
    from keras_seqattn.datasets.smartwatch_har import reader as smartwatch
    from keras_seqattn.datasets.uci_har import reader as uci_har

    with FileTree(path) as tree:
        if tree.matching(smartwatch.FILES):
            _refuse("the smartwatch set", own)
            say_licence("smartwatch_har", smartwatch.LICENCE)
            return smartwatch.read_windows(tree, **cutting)
        tables = any(tree.matching(f"*{s}") for s in OWN)
        if tables and not tree.matching("*activity_labels.txt"):
            return None
        _refuse("UCI HAR, whose windows are cut already", {**own, **cutting})
        say_licence("uci_har", uci_har.LICENCE)
        return uci_har.read_windows(tree, part)


OWN = (".[cC][sS][vV]", ".[cC][sS][vV].*", ".[tT][sS][vV]", ".[nN][pP][zZ]")


def _classes(source: Any) -> list[str] | None:
    """Return the classes that files name themselves, if all alike."""
    files = [one for one in list_sources(source) if isinstance(one, str)]
    named = [
        npz_files.read_classes(one)
        for one in files
        if one.lower().endswith(".npz")
    ]
    return named[0] if named and all(n == named[0] for n in named) else None


def _cut(
    recordings: list[SignalRecording],
    classes: list[str] | None,
    unlabelled: str,
    **cutting: float,
) -> ActivityWindows:
    for recording in recordings:
        if recording.subject is None:
            raise ValueError(
                f"{recording.source!r} does not tell who was recorded: name a "
                "column, or a pattern with one group on the path: "
                r"`subject_from=r'(\w+)_\d+\.csv'`. Received: none"
            )
        if recording.label is None:
            raise ValueError(
                f"{recording.source!r} lacks labels. Name a column, or give a "
                "table of intervals: `label=`. Received: none"
            )
        class_codes(
            recording.label,
            classes,
            unlabelled,
            name=f"label of {recording.source}",
        )
    if classes is None:
        # Of -1, which is unlabelled, a text is not known to be so below.
        words = np.concatenate([r.label for r in recordings])
        classes = list(class_codes(words, None, unlabelled)[1])
    first = recordings[0]
    signals, labels, subjects = [], [], []
    for recording in recordings:
        order = [recording.channels.index(name) for name in first.channels]
        bounds = np.flatnonzero(np.diff(recording.segment)) + 1
        signals += np.split(recording.signal[:, order], bounds)
        labels += np.split(np.asarray(recording.label), bounds)
        subjects += [recording.subject] * (len(bounds) + 1)
    return cut_recordings(
        signals,
        labels,
        ids(subjects),
        classes=classes,
        channels=first.channels,
        rate=first.rate,
        unlabelled=unlabelled,
        **cutting,
    )
