"""The doors that users' data come through, each with what is right.

A door takes keyword arguments. What comes out is looked through for numbers
that are not finite: a door that lets NaN through without a word is a fault.
"""

import atexit
import functools
import pathlib
import shutil
import tempfile
import warnings
from collections.abc import Callable
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
import scipy.io

import keras_seqattn as ks
from keras_seqattn import decoding
from keras_seqattn import learning_rules
from keras_seqattn import windows
from keras_seqattn.activity import ActivityWindows
from keras_seqattn.activity import load_recordings
from keras_seqattn.decoding.predictions import Predictions
from keras_seqattn.decoding.spike_binner import SpikeBinner
from keras_seqattn.export import Preprocessing
from keras_seqattn.windows import labels
from tests.fuzz.parts import LAYERS
from tests.fuzz.parts import PARTS
from tests.fuzz.parts import Impossible

RNG = np.random.default_rng(0)
BINS = 60
TIMES = np.arange(0, 6, 0.01)
SPIKES = RNG.poisson(1.0, (BINS, 4)).astype("float64")
MOVEMENT = RNG.normal(size=(BINS, 2))
TRAINS = [np.sort(RNG.uniform(0, 6, 60)) for _ in range(3)]
FOLDER = pathlib.Path(tempfile.mkdtemp(prefix="fuzz-"))
atexit.register(shutil.rmtree, FOLDER, ignore_errors=True)


TABLE = {
    "time": np.round(np.arange(BINS) / 10, 3),
    "subject": np.repeat(["anna", "bert"], BINS // 2),
    "label": np.tile(np.repeat(["walk", "rest"], 15), 2),
    "ax": MOVEMENT[:, 0].round(6),
    "ay": MOVEMENT[:, 1].round(6),
}
READING = {
    "time_unit": "s",
    "subject_from": "subject",
    "classes": ["rest", "walk"],
    "unlabelled": "refuse",
    "seconds": 1.0,
    "overlap": 0.5,
    "rate": 10.0,
    "max_gap": 0.5,
}
SIGNALS = {
    "signal": MOVEMENT,
    "label": np.arange(BINS) // 15 % 2,
    "start": np.array([0, 30, 60]),
    "subject": np.array(["anna", "bert"]),
    "classes": np.array(["rest", "walk"]),
    "channels": np.array(["ax", "ay"]),
    "fs": 10.0,
}

RECORDING = {
    "spikes": SPIKES,
    "movement": MOVEMENT,
    "segment": np.arange(BINS) // 30,
    "bin_width": 0.1,
    "quantity": "velocity",
    "times": np.arange(1, BINS + 1) * 0.1,
    "scored": np.arange(BINS) % 7 > 0,
    "trial": np.arange(BINS) // 10,
    "condition": np.arange(BINS) // 20,
    "unit_ids": [3, 5, 7, 8],
    "lag": 0.1,
}
FROM_SPIKES = {
    "spike_times": TRAINS,
    "times": TIMES,
    "movement": np.sin(TIMES),
    "bin_width": 0.05,
    "quantity": "velocity",
    "lag": 0.05,
    "trials": np.array([[0.5, 2.0], [2.5, 4.0]]),
    "condition": ["a", "b"],
    "observed": np.array([[0.0, 5.9]]),
    "alignment": "end",
    "smoothing": 0.1,
    "look_ahead": False,
    "max_gap": 0.05,
    "unit_ids": [1, 2, 3],
    "name": "x (cm)",
}


def npz(**arrays: Any) -> Any:
    path = FOLDER / "door.npz"
    np.savez(path, **arrays)
    return decoding.load_recording(path)


def mat(fields: Any, **arrays: Any) -> Any:
    path = FOLDER / "door.mat"
    try:
        scipy.io.savemat(path, arrays)
    except Exception as error:  # SciPy's, of what no file can hold.
        raise Impossible from error
    return decoding.load_recording(path, fields=fields)


def table(path: Any, given: dict[str, Any]) -> Any:
    reading = {name: given.pop(name) for name in READING}
    try:
        # Cell by cell, as programs write what they hold.
        frame = pd.DataFrame({k: list(v) for k, v in given.items()})
        if path:
            frame.to_csv(path, index=False)
    except Exception as error:  # pandas', of what is no table.
        raise Impossible from error
    return load_recordings(path or frame, **reading)


def activity_npz(**arrays: Any) -> Any:
    path = FOLDER / "activity.npz"
    np.savez(path, **arrays)
    return load_recordings(path)


def binned(spikes: Any, stamps: Any, units: Any, **options: Any) -> Any:
    binner = SpikeBinner(spikes, **options)
    binner.push(stamps, units)
    binner.load_state_dict(binner.state_dict())
    return [x.counts for x in binner.advance(3.0)]


def scores(true: Any, decoded: Any, where: Any, by: Any) -> Any:
    recording = decoding.Recording(true, true)
    found = Predictions(recording, np.arange(BINS), decoded)
    decoding.Score.of(true, decoded)
    found.score(where)
    found.score_by(by)


@functools.cache
def step() -> Any:
    model = ks.models.build_memory_network("additive")
    return ks.streaming.step_model(model)


@functools.cache
def session() -> Any:
    return ks.streaming.StreamingSession(step(), 2)


def pushed(x: Any, mask: Any, stream: Any, state: Any) -> Any:
    found = session()
    found.reset()
    before = found.state_dict()
    try:
        given = {**before}
        if state is not None:
            name = next(name for name in given if name != "fingerprint")
            given[name] = state
        found.load_state_dict(given)
        found.reset(stream)
        return found.push(x, mask)
    except ValueError:
        # What is refused leaves the session as it was, or reset.
        for name, value in found.state_dict().items():
            if name != "fingerprint" and not np.isfinite(value).all():
                raise AssertionError(f"{name} is not finite") from None
        raise


def weights(y: Any) -> Any:
    found = windows.class_weights(y)
    # As many labels as weights, whose mean over the labels is 1.
    assert np.ndim(y) == 1, "labels of another rank were taken"
    np.testing.assert_allclose(np.mean([found[int(one)] for one in y]), 1)
    return found


def folds(**given: Any) -> Any:
    found = windows.subject_folds(**given)
    for others, own in found:
        assert len(own), "an empty fold"
        subject = np.array(given["subject"])
        assert not {*subject[own]} & {*subject[others]}, "in two folds"
    return found


def data(movement: Any, **given: Any) -> Any:
    recording = decoding.Recording(SPIKES, movement)
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        found = decoding.DecodingData(recording, **given)
    for ends in found.ends.values():
        moves = np.ptp(recording.movement[ends], axis=0) > 0
        assert moves.all() or told, "an axis stands still, and no word"
    return found


def images(**arrays: Any) -> Any:
    path = FOLDER / "images.npz"
    np.savez(path, **arrays)
    found = learning_rules.load_mnist(path)
    assert found.classes <= 20, "classes that nobody has seen"
    return found


def preprocessing(**given: Any) -> Any:
    found = Preprocessing(**given)
    flag = given["in_model"]
    assert isinstance(flag, (bool, np.bool_)), "what is no flag was taken"
    return found


DOORS: dict[str, tuple[Callable[..., Any], dict[str, Any]]] = {
    "Recording": (decoding.Recording, RECORDING),
    "from_spike_times": (decoding.Recording.from_spike_times, FROM_SPIKES),
    "recording .npz": (
        npz,
        {k: v for k, v in RECORDING.items() if k not in ("quantity", "lag")},
    ),
    "recording .mat": (
        mat,
        {
            "fields": {
                "spikes": "c",
                "movement": "v",
                "bin_width": 0.1,
                "times": "t",
                "condition": "k",
                "unit_ids": "i",
            },
            "c": SPIKES,
            "v": MOVEMENT,
            "t": RECORDING["times"],
            "k": RECORDING["condition"],
            "i": np.array([3, 5, 7, 8]),
        },
    ),
    "activity frame": (
        lambda **given: table(None, given),
        {**TABLE, **READING},
    ),
    "activity .csv": (
        lambda **given: table(FOLDER / "door.csv", given),
        {**TABLE, **READING},
    ),
    "activity .npz": (activity_npz, SIGNALS),
    "activity .npz, stamps": (
        activity_npz,
        {
            **{k: v for k, v in SIGNALS.items() if k != "fs"},
            "t_ms": np.arange(BINS) * 100.0,
        },
    ),
    "images .npz": (
        images,
        {
            "x_train": RNG.integers(256, size=(16, 2, 2)),
            "y_train": np.arange(16) % 3,
            "x_test": RNG.integers(256, size=(4, 2, 2)),
            "y_test": np.arange(4) % 3,
        },
    ),
    "activity windows .npz": (
        activity_npz,
        {
            "x": MOVEMENT.reshape(6, 10, 2),
            "y": np.arange(6) % 2,
            "subject": np.arange(6) // 2,
            **{key: SIGNALS[key] for key in ("classes", "channels", "fs")},
        },
    ),
    "DecodingData": (
        data,
        {
            "movement": MOVEMENT,
            "timesteps": 4,
            "fractions": (0.6, 0.2, 0.2),
            "transform": "sqrt",
        },
    ),
    "scores": (
        scores,
        {
            "true": MOVEMENT,
            "decoded": MOVEMENT + 1,
            "where": np.arange(BINS) % 2 > 0,
            "by": np.arange(BINS) // 20,
        },
    ),
    "SpikeBinner": (
        binned,
        {
            "spikes": ["a", "b"],
            "stamps": np.array([0.1, 0.5, 0.2]),
            "units": ["a", "b", "a"],
            "bin_width": 0.05,
            "start": 0.0,
            "patience": 0.1,
            "max_gap": 10.0,
        },
    ),
    "Preprocessing": (
        preprocessing,
        {
            "in_model": False,
            "mean": np.zeros(3),
            "scale": np.ones(3),
            "transform": "sqrt",
            "timesteps": 5,
            "bin_width": 0.05,
            "lag": 0.1,
            "channels": ["a", "b", "c"],
            "unit_ids": [1, 2, 3],
            "classes": ["x", "y"],
            "units": {"a": "cm"},
        },
    ),
    "ActivityWindows": (
        ActivityWindows,
        {
            "x": RNG.normal(size=(6, 5, 2)),
            "y": np.arange(6) % 2,
            "subject": np.arange(6) // 2,
            "classes": ("REST", "WALK"),
            "channels": ("x", "y"),
            "rate": 50.0,
        },
    ),
    "SignalRecording": (
        windows.SignalRecording,
        {
            "signal": RNG.normal(size=(8, 2)),
            "times": np.arange(8) / 50,
            "segment": np.arange(8) // 4,
            "channels": ("x", "y"),
            "rate": 50.0,
            "subject": "anna",
            "label": ["a", "b"] * 4,
        },
    ),
    "class_codes": (
        labels.class_codes,
        {
            "labels": ["a", "b", "a"],
            "classes": ["a", "b"],
            "unlabelled": "drop",
            "one_hot": False,
        },
    ),
    "ids": (labels.ids, {"values": np.array([1, 2, 2])}),
    "class_weights": (weights, {"y": np.array([0, 1, 1])}),
    "subject_folds": (
        folds,
        {"subject": np.array([1, 1, 2, 3]), "folds": 3, "seed": 0},
    ),
    "select_timesteps": (
        decoding.select_timesteps,
        {
            "attention_scores": RNG.uniform(size=(9, 5)),
            "threshold": 0.9,
            "sample_weight": np.ones(9),
        },
    ),
    "Recipe": (
        decoding.Recipe,
        {
            "epochs": 3,
            "batch_size": 8,
            "learning_rate": 0.01,
            "optimizer": "adam",
            "momentum": 0.9,
            "schedule": "cosine",
            "floor": 0.1,
            "warmup": 0.1,
            "average": 0.9,
            "patience": 3,
            "clipnorm": 1.0,
            "weight_decay": 0.1,
            "l2": 0.1,
            "class_weights": "balanced",
        },
    ),
    "session": (
        pushed,
        {
            "x": np.zeros((2, 7)),
            "mask": np.array([True, False]),
            "stream": 1,
            "state": None,
        },
    ),
    **PARTS,
}
# What may be infinite or NaN in what comes out, and means something.
OPEN = {*LAYERS, "scores"}


def not_finite(found: Any, depth: int = 0) -> bool:
    """Whether an array within holds NaN or infinity."""
    if isinstance(found, np.ndarray):
        return found.dtype.kind in "fc" and not np.isfinite(found).all()
    if isinstance(found, float):
        return not np.isfinite(found)
    if isinstance(found, Mapping):
        found = list(found.values())
    if isinstance(found, (list, tuple)):
        return any(not_finite(x, depth + 1) for x in found)
    if depth < 2 and hasattr(found, "__dict__"):
        return any(not_finite(x, depth + 1) for x in vars(found).values())
    return False
