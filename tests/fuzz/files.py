"""Kinds of files, written whole, to be damaged and read."""

import io
import warnings
import zipfile
from collections.abc import Callable

import numpy as np
import pandas as pd

from keras_seqattn import activity
from keras_seqattn import decoding
from tests.fuzz import wrong
from tests.fuzz.doors import FOLDER
from tests.fuzz.doors import RECORDING
from tests.fuzz.doors import SIGNALS
from tests.fuzz.doors import TABLE
from tests.fuzz.doors import mat

FIELDS = {"spikes": "c", "movement": "v", "bin_width": 0.1}
Damage = Callable[[np.random.Generator, bytes], bytes]


def recording() -> bytes:
    given = {"spikes", "movement", "segment", "times", "condition"}
    file = io.BytesIO()
    np.savez(file, **{name: RECORDING[name] for name in given})
    return file.getvalue()


def matlab() -> bytes:
    mat(FIELDS, c=RECORDING["spikes"], v=RECORDING["movement"])
    return (FOLDER / "door.mat").read_bytes()


def table() -> bytes:
    return pd.DataFrame(TABLE).to_csv(index=False).encode()


def signals() -> bytes:
    file = io.BytesIO()
    np.savez(file, **SIGNALS)
    return file.getvalue()


def cells(rng: np.random.Generator, data: bytes) -> bytes:
    """A table's cells and lines, as people and programs spoil them."""
    lines = [line.split(",") for line in data.decode().splitlines()]
    for _ in range(rng.integers(1, 4)):
        row = rng.integers(len(lines))
        column = rng.integers(max(len(lines[0]), 1))
        change = rng.integers(9)
        if change == 0:
            lines.insert(row, lines[rng.integers(len(lines))])
        elif change == 1 and len(lines) > 2:
            del lines[row]
        elif change == 2:
            lines[row] = lines[row][:column]
        elif change == 3:
            lines[row] = [*lines[row], "7"]
        elif change == 4:
            lines = [[*line[:column], *line[column + 1 :]] for line in lines]
        else:
            words = ("", "nan", "inf", "x", '"', "1e400", "0x1", "-1", "\x00")
            word = words[rng.integers(len(words))]
            lines[row] = [*lines[row][:column], word, *lines[row][column + 1 :]]
    return "\n".join(map(",".join, lines)).encode()


def members(rng: np.random.Generator, data: bytes) -> bytes:
    """An archive whose members are whole, and one not what it should be."""
    with zipfile.ZipFile(io.BytesIO(data)) as old:
        parts = {name: old.read(name) for name in old.namelist()}
    name = list(parts)[rng.integers(len(parts))]
    value = np.load(io.BytesIO(parts[name]))
    shape, huge = str(value.shape), str((10**12, *value.shape[1:]))
    changed = (
        _npy(np.array([[1], [1, 2]], dtype=object)),
        _npy(value).replace(shape.encode(), huge.encode()),
        _npy(value)[:-1],
        b"no array",
        None,
    )[rng.integers(5)]
    twice = {} if changed else {name: _npy(value)}
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as new, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        kept = parts if changed is None else {**parts, name: changed}
        for part in (*kept.items(), *twice.items()):
            new.writestr(*part)
    return file.getvalue()


def _npy(value: np.ndarray) -> bytes:
    file = io.BytesIO()
    np.save(file, value)
    return file.getvalue()


# Its ending, its bytes, what may happen to them, and who reads it.
FILES: dict[str, tuple[str, Callable[[], bytes], Damage, Callable]] = {
    "damaged .npz": (
        ".npz",
        recording,
        wrong.bytes_of,
        decoding.load_recording,
    ),
    "spoiled .npz": (".npz", recording, members, decoding.load_recording),
    "spoiled activity .npz": (
        ".npz",
        signals,
        members,
        activity.load_recordings,
    ),
    "damaged .mat": (
        ".mat",
        matlab,
        wrong.bytes_of,
        lambda path: decoding.load_recording(path, fields=FIELDS),
    ),
    "damaged .csv": (".csv", table, wrong.bytes_of, activity.load_recordings),
    "spoiled .csv": (".csv", table, cells, activity.load_recordings),
    "damaged activity .npz": (
        ".npz",
        signals,
        wrong.bytes_of,
        activity.load_recordings,
    ),
}
# Of these kinds none is right.
NEVER = {"spoiled .npz", "spoiled activity .npz"}
