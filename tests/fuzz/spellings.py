"""The same thing spelled otherwise: it is read as the same, and not refused."""

import functools
import gzip
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd

from keras_seqattn import activity
from keras_seqattn import decoding
from keras_seqattn import layers
from keras_seqattn import learning_rules
from keras_seqattn import windows
from tests.fuzz.doors import BINS
from tests.fuzz.doors import FOLDER
from tests.fuzz.doors import MOVEMENT
from tests.fuzz.doors import SIGNALS
from tests.fuzz.doors import SPIKES
from tests.fuzz.doors import TABLE
from tests.fuzz.parts import X
from tests.fuzz.parts import numbers

Rng = np.random.Generator


def _one(rng: Rng, *of: Any) -> Any:
    return of[rng.integers(len(of))]


def _arrays(found: Any) -> list[Any]:
    """What windows hold, channels in order, subjects by who is who."""
    order = np.argsort(found.channels)
    who = np.unique(found.subject, return_inverse=True)[1]
    return [found.x[..., order], found.y, who, found.rate]


def table(rng: Rng) -> list[Any]:
    """A CSV file as another program writes it."""
    frame = pd.DataFrame(TABLE)
    frame = frame[list(rng.permutation(frame.columns))]
    if rng.random() < 0.3:
        frame["time"] = (frame["time"] * 1000).round().astype(int)
        frame = frame.rename(columns={"time": "t_ms"})
    if rng.random() < 0.3:
        frame["label"] = [_one(rng, "", " ") + x for x in frame["label"]]
    separator = _one(rng, ",", ";", "\t")
    text = frame.to_csv(
        index=False,
        sep=separator,
        decimal="." if separator == "," else _one(rng, ".", ","),
        lineterminator=_one(rng, "\n", "\r\n"),
        quoting=int(rng.integers(3)),
    )
    text += "\n" * int(rng.integers(3))
    data = text.encode(_one(rng, "utf-8", "utf-8-sig", "utf-16", "latin-1"))
    path = FOLDER / _one(rng, "a.csv", "a.CSV", "a.csv.gz")
    path.write_bytes(gzip.compress(data) if path.suffix == ".gz" else data)
    return _arrays(activity.load_recordings(path))


def packets(rng: Rng) -> list[Any]:
    """A CSV file whose rows share stamps, or have rounded ones."""
    rate = int(_one(rng, 25, 50, 64, 80, 100))
    samples = 12 * rate
    times = np.arange(samples) / rate
    if rng.random() < 0.5:
        times = times[np.arange(samples) // 5 * 5]
    rows = {
        "time": times.round(3),
        "subject": 1,
        "label": np.where(np.arange(samples) < samples // 2, "a", "b"),
        "x": np.arange(samples),
    }
    pd.DataFrame(rows).to_csv(FOLDER / "packets.csv", index=False)
    found = activity.load_recordings(FOLDER / "packets.csv", rate=None)
    return [round(found.rate / rate, 2), found.x.shape[1] / rate, found.y]


def signals(rng: Rng) -> list[Any]:
    """An `.npz` file of recordings, of labels and ids of any type."""
    label, classes = SIGNALS["label"], SIGNALS["classes"]
    names = classes[label]
    given = {
        **SIGNALS,
        "label": _one(
            rng, label, label.astype(float), names, np.char.add(names, " ")
        ),
        "subject": _one(
            rng,
            SIGNALS["subject"],
            np.array([3, 5]),
            np.array([2**53, 2**53 + 1]),
            np.array(["x ", "y"]),
        ),
    }
    if rng.random() < 0.5:
        del given["fs"]
        times = np.arange(BINS) * 100.0
        # A hole of a minute where one recording ends and another begins.
        given["t_ms"] = times + 60_000 * (np.arange(BINS) >= 30)
        given["start"] = SIGNALS["start"].astype(float)
    path = FOLDER / _one(rng, "signals.npz", "signals.NPZ")
    with open(path, "wb") as file:
        _one(rng, np.savez, np.savez_compressed)(file, **given)
    return _arrays(activity.load_recordings(path))


def seams(rng: Rng) -> list[Any]:
    """A hole in time, or two recordings: no window spans either."""
    times, subject = np.arange(BINS) * 100.0, np.array([1])
    start, hole = np.array([0, BINS]), 60_000 * (np.arange(BINS) >= 30)
    if rng.random() < 0.5:
        subject, start, hole = np.array([1, 1]), np.array([0, 30, BINS]), 0
    given = {**SIGNALS, "subject": subject, "start": start}
    del given["fs"]
    np.savez(FOLDER / "seams.npz", **given, t_ms=times + hole)
    return _arrays(activity.load_recordings(FOLDER / "seams.npz"))


def recording(rng: Rng) -> list[Any]:
    given = {
        "spikes": SPIKES.astype(_one(rng, "float64", "float32", "int16", "u1")),
        "movement": MOVEMENT.astype(_one(rng, ">f8", "float64")),
        "bin_width": _one(rng, 0.1, np.array([0.1]), np.array([[0.1]])),
    }
    path = FOLDER / _one(rng, "own.npz", "own.NPZ")
    with open(path, "wb") as file:
        _one(rng, np.savez, np.savez_compressed)(file, **given)
    found = decoding.load_recording(path)
    return [found.spikes, found.movement, found.bin_width]


def class_weights(rng: Rng) -> list[Any]:
    y = np.array([0, 1, 1, 2])
    one = _one(rng, y, y.astype("u1"), y[::-1].copy())
    return list(windows.class_weights(one).values())


def scale(rng: Rng) -> list[Any]:
    """Volts or microvolts: the same standardized."""
    unit = 10.0 ** int(rng.integers(-12, 12))
    data = MOVEMENT * [1, unit]
    return [windows.Standardizer.fit(data).transform(data)]


def score(rng: Rng) -> list[Any]:
    """An axis that stands still says nothing, wherever it stands."""
    still = np.full((BINS, 1), _one(rng, 0.1, 0.0, 1e6, 1 / 3))
    true = np.hstack([MOVEMENT, still])
    decoded = np.hstack([MOVEMENT * 0.9, still + 0.01])
    return [decoding.Score.of(true, decoded).r2_per_axis]


def images(rng: Rng) -> list[Any]:
    """Pixels of 0 to 255, or of 0 to 1."""
    x, y = np.arange(80).reshape(20, 2, 2) % 256, np.arange(20) % 3
    x = _one(rng, x.astype("u1"), x / 255.0, (x / 255.0).astype("float32"))
    path = FOLDER / "mnist.npz"
    np.savez(path, x_train=x, y_train=y, x_test=x, y_test=y)
    return [learning_rules.load_mnist(path).x_train]


def mask(rng: Rng) -> list[Any]:
    own = np.arange(5)[None] < [[3], [5]]
    given = _one(rng, own, own.tolist(), own.astype("int32"))
    layer = _attention()
    return [numbers(layer(X, mask=given))]


def _attention() -> Any:
    layer = layers.TemporalAttention(4)
    layer.build(X.shape)
    sizes = enumerate(weight.shape for weight in layer.weights)
    layer.set_weights([np.full(shape, 0.1 * (i + 1)) for i, shape in sizes])
    return layer


@functools.cache
def first(name: str) -> list[Any]:
    """What all spellings must come to."""
    return SPELLINGS[name](np.random.default_rng(0))


SPELLINGS: dict[str, Callable[[Rng], list[Any]]] = {
    "respelled .csv": table,
    "packets .csv": packets,
    "respelled activity .npz": signals,
    "seams .npz": seams,
    "respelled recording .npz": recording,
    "class weights": class_weights,
    "scales": scale,
    "still axis": score,
    "images": images,
    "masks": mask,
}
