"""The same thing spelled otherwise: it is read as the same, and not refused."""

import functools
import gzip
import shutil
from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import pandas as pd

from keras_seqattn import activity
from keras_seqattn import decoding
from keras_seqattn import layers
from keras_seqattn import learning_rules
from keras_seqattn import models
from keras_seqattn import windows
from tests.datasets.original_files import UCI_HAR_CLASSES
from tests.datasets.original_files import uci_har_arrays
from tests.datasets.original_files import write_uci_har
from tests.datasets.original_files import zip_folder
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


def _seldom(rng: Rng, usual: Any, *of: Any) -> Any:
    """Mostly the usual one: one change at a time is seen for itself."""
    return usual if rng.random() < 0.7 else _one(rng, *of)


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
        other = frame["subject"] != frame["subject"].iloc[0]
        frame["subject"] = 2**53 + other.astype("int64")
    if rng.random() < 0.3:
        frame["label"] = [_one(rng, "", " ") + x for x in frame["label"]]
    separator = _seldom(rng, ",", ";", "\t")
    text = frame.to_csv(
        index=False,
        sep=separator,
        decimal="." if separator == "," else _one(rng, ".", ","),
        lineterminator=_seldom(rng, "\n", "\r\n"),
        quoting=_seldom(rng, 0, 1, 2),
    )
    text += "\n" * _seldom(rng, 0, 1, 2)
    codes = ("utf-8", "utf-8-sig", "utf-16", "latin-1")
    data = text.encode(_seldom(rng, *codes))
    path = FOLDER / _seldom(rng, "a.csv", "a.CSV", "a.csv.gz")
    path.write_bytes(gzip.compress(data) if path.suffix == ".gz" else data)
    return _arrays(activity.load_recordings(path))


def folder(rng: Rng) -> list[Any]:
    """The same rows in a file a person, in a folder."""
    frame = pd.DataFrame(TABLE)
    path = FOLDER / "tables"
    shutil.rmtree(path, ignore_errors=True)
    path.mkdir()
    if rng.random() < 0.5:
        frame.to_csv(path / "all.csv", index=False)
    else:
        for name, part in frame.groupby("subject"):
            part.to_csv(path / f"{name}.csv", index=False)
    return _arrays(activity.load_recordings(path))


def published(rng: Rng) -> list[Any]:
    """UCI HAR, a folder or an archive, its list of labels in any order."""
    root = FOLDER / "UCI HAR Dataset"
    shutil.rmtree(root, ignore_errors=True)
    write_uci_har(root, uci_har_arrays(windows=6, subjects=2))
    labels = root / "activity_labels.txt"
    lines = labels.read_text().splitlines()
    labels.write_text("\n".join(rng.permutation(lines)))
    path = root
    if rng.random() < 0.5:
        path = FOLDER / _one(rng, "uci.zip", "uci.ZIP")
        zip_folder(root, path)
    found = activity.load_recordings(path)
    # Each window's activity by its name, not by its code.
    names = [UCI_HAR_CLASSES.index(found.classes[one]) for one in found.y]
    return [*_arrays(found), names]


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


def pairs(rng: Rng) -> list[Any]:
    """The original files of MNIST, packed or not."""
    path = FOLDER / "idx"
    shutil.rmtree(path, ignore_errors=True)
    path.mkdir()
    x, y = np.arange(80).reshape(20, 2, 2) % 256, np.arange(20) % 3
    for part in ("train", "t10k"):
        for name, values in ("images-idx3", x), ("labels-idx1", y):
            sizes = np.array(values.shape, ">u4").tobytes()
            data = bytes([0, 0, 8, values.ndim]) + sizes
            data += values.astype("u1").tobytes()
            file = path / f"{part}-{name}-ubyte"
            if rng.random() < 0.5:
                file, data = path / f"{file.name}.gz", gzip.compress(data)
            file.write_bytes(data)
    return [learning_rules.load_mnist(path).x_train]


def looking(rng: Rng) -> list[Any]:
    """With its defaults, attention looks at some steps more than at others."""
    features = int(rng.integers(1, 9))
    x = rng.normal(size=(4, 6, features)).astype("float32")
    layer = layers.TemporalAttention()
    scores = numbers(layer(x, return_attention_scores=True)[1])
    return [np.ptp(scores, axis=1).max() > 1e-4]


def nested(rng: Rng) -> list[Any]:
    """A network within another model: it says that it does not learn there."""
    around = [keras.layers.Rescaling(0.5), keras.layers.Dense(3)]
    parts = [layer for layer in around if rng.random() < 0.5]
    after = [keras.layers.Softmax()] if rng.random() < 0.5 else []
    network = models.BurstPropNetwork([3, 2])
    model: Any = network
    if parts or after:
        model = keras.Sequential([*parts, network, *after])
    model.compile("sgd", "mse")
    try:
        model.fit(X[:, 0], np.eye(2), verbose=0)
    except ValueError as error:
        return [bool(parts or after) and "learns in" in str(error)]
    return [not parts and not after]


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
    "files of images": pairs,
    "folder of .csv": folder,
    "published archive": published,
    "attention's defaults": looking,
    "nested network": nested,
    "masks": mask,
}
