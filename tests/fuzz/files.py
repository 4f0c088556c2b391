"""Kinds of files, written whole, to be damaged and read."""

import gzip
import io
import pathlib
from collections.abc import Callable
from typing import Any

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


def spelled(rng: np.random.Generator, data: bytes) -> bytes:
    """The same table as another program writes it."""
    frame = pd.read_csv(io.BytesIO(data))
    frame = frame[list(rng.permutation(frame.columns))]
    if rng.random() < 0.3:
        frame["time"] = (frame["time"] * 1000).round().astype(int)
        frame = frame.rename(columns={"time": "t_ms"})
    separator = ",;\t"[rng.integers(3)]
    text = frame.to_csv(
        index=False,
        sep=separator,
        decimal="." if separator == "," else ".,"[rng.integers(2)],
        lineterminator=("\n", "\r\n")[rng.integers(2)],
        quoting=int(rng.integers(3)),
    )
    text += "\n" * int(rng.integers(3))
    encodings = ("utf-8", "utf-8-sig", "utf-16", "latin-1")
    return text.encode(encodings[rng.integers(len(encodings))])


def read_spelled(path: pathlib.Path) -> Any:
    if path.stat().st_size % 2:
        packed = path.with_suffix(".csv.gz")
        packed.write_bytes(gzip.compress(path.read_bytes()))
        path = packed
    found = activity.load_recordings(path, subject_from="subject")
    right = activity.load_recordings(pd.DataFrame(TABLE))
    order = [found.channels.index(name) for name in right.channels]
    assert found.rate == right.rate and found.classes == right.classes
    np.testing.assert_array_equal(found.y, right.y)
    np.testing.assert_array_equal(found.subject, right.subject)
    np.testing.assert_allclose(found.x[..., order], right.x, atol=1e-6)
    return found


# Its ending, its bytes, what may happen to them, and who reads it.
FILES: dict[str, tuple[str, Callable[[], bytes], Damage, Callable]] = {
    "damaged .npz": (
        ".npz",
        recording,
        wrong.bytes_of,
        decoding.load_recording,
    ),
    "damaged .mat": (
        ".mat",
        matlab,
        wrong.bytes_of,
        lambda path: decoding.load_recording(path, fields=FIELDS),
    ),
    "damaged .csv": (".csv", table, wrong.bytes_of, activity.load_recordings),
    "spoiled .csv": (".csv", table, cells, activity.load_recordings),
    "respelled .csv": (".csv", table, spelled, read_spelled),
    "damaged activity .npz": (
        ".npz",
        signals,
        wrong.bytes_of,
        activity.load_recordings,
    ),
}
