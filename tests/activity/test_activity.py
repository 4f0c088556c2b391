import dataclasses
import functools
import importlib.util
import json
import os
import pathlib
import pickle
import shutil
import subprocess
import sys

import keras
import numpy as np
import pytest
from sklearn import metrics

from keras_seqattn import activity
from keras_seqattn.activity import ActivityWindows
from keras_seqattn.activity import Recipe
from keras_seqattn.activity import Score
from keras_seqattn.activity.augmentation import make_augmentation
from keras_seqattn.activity.training import ActivityTrainer
from keras_seqattn.activity.training import TrainingPart
from keras_seqattn.activity.training import classification_loss
from keras_seqattn.windows.activity_windows import cut_recordings
from tests.backend import to_numpy

CLASSES = ("A", "B", "C")
CHANNELS = ("x", "y")
LABELS = np.arange(180) % 3
# A class is an offset beside a scale of its own for each channel.
WINDOWS = ActivityWindows(
    x=(
        np.random.default_rng(0).normal(size=(180, 6, 2))
        + 0.6 * LABELS[:, None, None]
    )
    * [1.0, 100.0]
    + [5.0, 0.0],
    y=LABELS,
    subject=np.arange(180) // 30 + 1,
    classes=CLASSES,
    channels=CHANNELS,
    rate=20,
)
RECIPE = dataclasses.replace(
    activity.RECIPE, epochs=3, batch_size=16, learning_rate=0.02
)
STOPPED = dataclasses.replace(
    activity.RECIPE, epochs=12, batch_size=16, learning_rate=0.05, patience=2
)


def build(timesteps, channels, classes, cell="dense"):
    """A stand-in with dropout, which draws random numbers all the time."""
    return keras.Sequential(
        [
            keras.Input((timesteps, channels)),
            keras.layers.Flatten(),
            keras.layers.Dense({"dense": 8, "narrow": 2}[cell], "relu"),
            keras.layers.Dropout(0.3),
            keras.layers.Dense(classes, "softmax"),
        ]
    )


def compare(windows=WINDOWS, recipe=RECIPE, **arguments):
    return activity.classify_recordings(
        windows,
        build,
        recipe,
        **{"cells": ("dense",), "folds": 3, "verbose": 0, **arguments},
    )


@pytest.fixture(scope="module")
def report():
    return compare(cells=("dense", "narrow"), seeds=(0, 1))


@pytest.fixture(scope="module")
def stopped():
    return compare(recipe=STOPPED, seeds=(0,))


# Windows and folds.


@pytest.mark.parametrize(
    "changed, message",
    [
        ({"x": WINDOWS.x[0]}, r"`x` must hold numbers in the shape \(windows"),
        ({"x": WINDOWS.x[:0]}, "`x` must hold numbers"),
        ({"x": WINDOWS.x.astype(str)}, "x.dtype=<U"),
        ({"y": LABELS[:-1]}, r"`y` must hold one entry a window, 180 of"),
        ({"y": LABELS + 1}, r"`y` must be in 0 .. 2.*Received: 3"),
        ({"y": LABELS * 0.5}, "`y` must hold integers.*0.5"),
        ({"y": LABELS - 1}, "`y` must name a class everywhere"),
        ({"subject": [0.5] * 180}, "`subject` must hold integers or text"),
        ({"classes": ("A",)}, "`classes` must name at least two"),
        ({"classes": ("A", "B", "B")}, "and none twice"),
        ({"channels": ("x",)}, "`channels` must be 2 names"),
        ({"rate": 0}, "`rate` must be a finite number above 0"),
    ],
)
def test_bad_windows(changed, message):
    fields = {**vars(WINDOWS), **changed}
    with pytest.raises(ValueError, match=message):
        ActivityWindows(**fields)


def test_windows_that_are_not_finite():
    x = WINDOWS.x.copy()
    x[[4, 7], 1, 0] = np.nan
    with pytest.raises(
        ValueError, match=r"in 2 of 180 windows, the first is window 4"
    ):
        ActivityWindows(**{**vars(WINDOWS), "x": x})


def test_folds_divide_the_subjects():
    subject = np.repeat([7, 3, 9, 1, 5, 4, 2], [5, 1, 2, 8, 4, 3, 6])
    folds = activity.subject_folds(subject, 3, seed=1)
    held_out = [set(subject[own]) for _, own in folds]
    assert [len(own) for own in held_out] == [3, 2, 2]
    assert set.union(*held_out) == {1, 2, 3, 4, 5, 7, 9}
    for (others, own), subjects in zip(folds, held_out, strict=True):
        assert sorted([*others, *own]) == list(range(29))
        assert not subjects & set(subject[others])
    shuffled = np.unique(subject)
    np.random.default_rng(1).shuffle(shuffled)
    assert held_out == [set(shuffled[i::3]) for i in range(3)]
    other = activity.subject_folds(subject, 3, seed=2)
    assert [set(subject[own]) for _, own in other] != held_out
    with pytest.raises(ValueError, match=r"`folds` must be in 2 .. 7"):
        activity.subject_folds(subject, 8)
    with pytest.raises(ValueError, match="`folds` must be in"):
        activity.subject_folds(subject, 1)


# Sources.


def test_windows_are_cut_inside_recordings():
    signals = [np.arange(10.0)[:, None], 100 + np.arange(7.0)[:, None]]
    labels = [np.array([0] * 5 + [1] * 5), np.array([1] * 4 + [0] * 3)]
    found = cut_recordings(
        signals,
        labels,
        np.array([3, 8]),
        classes=("A", "B"),
        channels=("x",),
        rate=2,
        seconds=2.0,
    )
    np.testing.assert_array_equal(
        found.x[:, :, 0],
        [[0, 1, 2, 3], [2, 3, 4, 5], [4, 5, 6, 7], [6, 7, 8, 9],
         [100, 101, 102, 103], [102, 103, 104, 105]],
    )  # fmt: skip
    # The most frequent label; of equals (the last window) the smallest.
    assert found.y.tolist() == [0, 0, 1, 1, 1, 0]
    assert found.subject.tolist() == [3, 3, 3, 3, 8, 8]


def windowed(**changed):
    rng = np.random.default_rng(0)
    return {
        "signal": rng.normal(size=(40, 2)).astype("float32"),
        "start": np.array([0, 5, 20, 30], "int32"),
        "window": np.int32(10),
        "y": np.array([0, 1, 1, 0], "uint8"),
        "subject": np.array([1, 1, 2, 2], "uint8"),
        "classes": np.array(["A", "B"]),
        "channels": np.array(CHANNELS),
        "fs": np.float32(50),
        **changed,
    }


def test_windows_in_an_npz(tmp_path):
    path = tmp_path / "windows.npz"
    arrays = windowed()
    np.savez(path, **arrays)
    found = activity.load_recordings(path)
    for i, start in enumerate([0, 5, 20, 30]):
        np.testing.assert_array_equal(
            found.x[i], arrays["signal"][start : start + 10]
        )
    assert found.classes == ("A", "B") and found.rate == 50
    direct = {k: v for k, v in arrays.items() if k not in ("signal", "start")}
    np.savez(path, x=found.x, **direct)
    np.testing.assert_array_equal(activity.load_recordings(path).x, found.x)
    np.savez(path, **windowed(start=np.array([0, 5, 20, 31])))
    with pytest.raises(ValueError, match="must end within its 40 samples"):
        activity.load_recordings(path)


def test_a_person_without_a_name_is_in_no_fold():
    for subject in ([1, np.nan, np.nan], [1, None, 2], ["a", "", "b"]):
        with pytest.raises(ValueError, match="`subject` must"):
            activity.subject_folds(subject, 2)


def continuous(**changed):
    rng = np.random.default_rng(0)
    return {
        "signal": rng.normal(size=(50, 2)).astype("float32"),
        "label": (np.arange(50) // 12 % 3).astype("uint8"),
        # 10 Hz, with jitter, and a gap between the two recordings.
        "t_ms": np.cumsum([90, 100, 110, 100, 100] * 10)
        + 10_000 * (np.arange(50) >= 23),
        "start": np.array([0, 23, 50], "int32"),
        "subject": np.array([4, 6], "uint8"),
        "classes": np.array(CLASSES),
        "channels": np.array(CHANNELS),
        **changed,
    }


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"t_ms": np.arange(49) * 100}, "t_ms"),
        ({"t_ms": np.zeros(50)}, "rise|rate|time"),
        ({"start": np.array([], "int32")}, "start"),
        ({"classes": np.array("REST")}, "classes"),
    ],
)
def test_arrays_that_do_not_fit_a_recording(tmp_path, changed, message):
    path = tmp_path / "continuous.npz"
    np.savez(path, **continuous(**changed))
    with pytest.raises(ValueError, match=message):
        activity.load_recordings(path)


def test_continuous_recordings_in_an_npz(tmp_path):
    path = tmp_path / "continuous.npz"
    arrays = continuous()
    np.savez(path, **arrays)
    found = activity.load_recordings(path)
    assert found.rate == 10
    starts = [0, 5, 10, 23, 28, 33, 38]
    assert found.x.shape == (7, 10, 2)
    for i, start in enumerate(starts):
        np.testing.assert_array_equal(
            found.x[i], arrays["signal"][start : start + 10]
        )
        counts = np.bincount(arrays["label"][start : start + 10])
        assert found.y[i] == counts.argmax()
    assert found.subject.tolist() == [4, 4, 4, 6, 6, 6, 6]
    longer = activity.load_recordings(path, seconds=2, overlap=0)
    np.testing.assert_array_equal(longer.x[1], arrays["signal"][23:43])
    np.savez(path, **continuous(fs=5.0))
    assert activity.load_recordings(path).x.shape[1] == 5
    np.savez(path, **continuous(start=np.array([0, 23, 49])))
    with pytest.raises(ValueError, match=r"bounds from \[0\] to \[49\]"):
        activity.load_recordings(path)
    with pytest.raises(ValueError, match="No segment is long enough"):
        np.savez(path, **arrays)
        activity.load_recordings(path, seconds=30)


@pytest.mark.parametrize(
    "changes",
    [
        {"start": np.zeros(0)},
        {"start": [0], "subject": np.zeros(0, int)},
        {
            "start": [0],
            "subject": np.zeros(0, int),
            "signal": np.zeros((0, 2)),
            "label": np.zeros(0, int),
        },
    ],
)
def test_an_npz_without_recordings_is_told(tmp_path, changes):
    path = tmp_path / "continuous.npz"
    np.savez(path, **continuous(**changes))
    with pytest.raises(ValueError, match="`start` must rise from 0"):
        activity.load_recordings(path)


@pytest.mark.parametrize("kind", [np.int64, np.float64, np.str_])
def test_labels_are_codes_or_names_and_unlabelled_on_request(tmp_path, kind):
    path = tmp_path / "continuous.npz"
    label = continuous()["label"].astype("int64")
    np.savez(path, **continuous())
    expected = activity.load_recordings(path)
    label[3:8] = label[25:32] = -1
    names = [*CLASSES, ""]  # the last for -1
    written = {
        np.int64: label,
        np.float64: np.where(label < 0, np.nan, label),
        np.str_: np.array([f"{names[i]} " for i in label]),
    }[kind]
    np.savez(path, **continuous(label=written))
    with pytest.raises(ValueError, match="5 of 23 unlabelled, the first at 3"):
        activity.load_recordings(path)
    found = activity.load_recordings(path, unlabelled="drop")
    # In windows 0, 3 and 4 (of 0:10, 23:33, 28:38) half or less is known.
    kept = [1, 2, 5, 6]
    for start, own in ((0, 0), (23, 3), (28, 4)):
        votes = np.bincount(label[start : start + 10] + 1, minlength=4)
        if votes.argmax():
            kept.append(own)
    kept.sort()
    np.testing.assert_array_equal(found.x, expected.x[kept])
    np.testing.assert_array_equal(found.subject, expected.subject[kept])
    assert found.classes == CLASSES


@pytest.mark.parametrize("shift, seen", [(1, 3), (6, 6)])
def test_labels_that_are_no_codes(tmp_path, shift, seen):
    path = tmp_path / "continuous.npz"
    np.savez(path, **continuous(label=continuous()["label"] + shift))
    with pytest.raises(ValueError, match=rf"in 0 \.\. 2.*Received: {seen} for"):
        activity.load_recordings(path)


def test_subjects_are_integers_or_text_as_they_are(tmp_path):
    path = tmp_path / "continuous.npz"
    for subject in ([2**53, 2**53 + 1], ["anna", "ben"]):
        np.savez(path, **continuous(subject=np.array(subject)))
        found = activity.load_recordings(path)
        expected = [subject[0]] * 3 + [subject[1]] * 4
        assert found.subject.tolist() == expected
        folds = activity.subject_folds(found.subject, 2)
        assert sorted(len(own) for _, own in folds) == [3, 4]
        path_csv = tmp_path / "own.csv"
        rows = {(i, 1): subject[i >= 35] for i in range(55)}
        path_csv.write_text(csv_rows(rows))
        assert np.unique(
            activity.load_recordings(path_csv).subject
        ).tolist() == (subject)


def test_labels_of_a_csv_are_stripped_and_may_be_missing(tmp_path):
    path = tmp_path / "own.csv"
    path.write_text(csv_rows())
    expected = activity.load_recordings(path)
    path.write_text(csv_rows({(i, 2): "WALK " for i in range(5)}))
    found = activity.load_recordings(path)
    assert found.classes == expected.classes
    np.testing.assert_array_equal(found.y, expected.y)
    path.write_text(csv_rows({(i, 2): "" for i in range(6)}))
    with pytest.raises(ValueError, match=r"`label of .*6 of 40 unlabelled"):
        activity.load_recordings(path)
    dropped = activity.load_recordings(path, unlabelled="drop")
    np.testing.assert_array_equal(dropped.x, expected.x[1:])
    assert dropped.classes == expected.classes


CSV = """time,subject,label,acc,gyro
{}"""


def csv_rows(changed=None):
    """Recordings of subjects 7 (two) and 9, 10 samples a second."""
    rows = [
        [time, subject, "WALK" if i % 20 < 12 else "REST", i, -i]
        for i, (time, subject) in enumerate(
            [
                *((i / 10, 7) for i in range(20)),
                *((9 + i / 10, 7) for i in range(20)),
                *((9 + i / 10, 9) for i in range(20, 35)),
            ]
        )
    ]
    for (row, column), value in (changed or {}).items():
        rows[row][column] = value
    return CSV.format("\n".join(",".join(map(str, row)) for row in rows))


def test_recordings_in_a_csv(tmp_path):
    path = tmp_path / "own.csv"
    path.write_text(csv_rows())
    found = activity.load_recordings(path)
    # No window crosses the leap in time, or from one subject to the next.
    starts = [0, 5, 10, 20, 25, 30, 40, 45]
    np.testing.assert_array_equal(
        found.x[:, :, 0], [np.arange(start, start + 10) for start in starts]
    )
    np.testing.assert_array_equal(found.x[:, :, 1], -found.x[:, :, 0])
    assert found.classes == ("REST", "WALK") and found.channels[1] == "gyro"
    assert found.y.tolist() == [1, 1, 0, 1, 1, 0, 1, 1]
    assert found.subject.tolist() == [7] * 6 + [9] * 2
    assert found.rate == pytest.approx(10)
    longer = activity.load_recordings(path, seconds=2, overlap=0)
    assert longer.x[:, 0, 0].tolist() == [0, 20]
    # Time that goes back is a seam, too.
    path.write_text(csv_rows({(i, 0): i / 10 - 1.95 for i in range(20, 40)}))
    np.testing.assert_array_equal(activity.load_recordings(path).x, found.x)


def test_bad_csv(tmp_path):
    path = tmp_path / "own.csv"
    good = csv_rows()
    for text, message in (
        (csv_rows({(3, 3): "nan"}), r"column 'acc' of .* finite.*in row 5"),
        (csv_rows({(3, 3): "high"}), r"'acc' of .*'high'"),
        (csv_rows({(3, 1): "2.5"}), "`subject of .* must hold integers"),
        (good.replace("label", "labels", 1), "lacks labels. Name a column"),
        (good.replace("acc", "time", 1), "distinct names"),
        ("time,subject,label\n1,1,A\n2,1,A\n", "lacks channels"),
        (csv_rows({(i, 0): 1.0 for i in range(55)}), "must rise from sample"),
        (
            csv_rows({(i, 0): 100 * i for i in range(55)}),
            r"cannot be in 's': give `time_unit=` \('ms', or 's' if it is\)",
        ),
        ("time", "hold a row more"),
        (good[: good.rindex(",")], "5 entries a row.*Received: 4 in row 56"),
        (csv_rows({(i, 2): "REST" for i in range(55)}), "at least two activ"),
    ):
        path.write_text(text)
        with pytest.raises(ValueError, match=message):
            activity.load_recordings(path)


@pytest.mark.parametrize(
    "rates, message",
    [
        # Each step of the slow one is a leap to the fast one.
        (((1, 100, 90), (2, 10, 60)), r"give `rate=`.*10 Hz in .* 100 Hz in"),
        # The same subject, after a pause.
        (((1, 100, 90), (1, 50, 60)), r"\(subject 1\).* 50 Hz from row 92 on"),
    ],
)
def test_mixed_rates_in_a_csv(tmp_path, rates, message):
    path = tmp_path / "own.csv"
    path.write_text(at_rates(rates))
    with pytest.raises(ValueError, match=message):
        activity.load_recordings(path, seconds=0.5)
    found = activity.load_recordings(path, seconds=0.5, rate=20)
    assert found.rate == 20 and found.x.shape[1] == 10


def test_the_lowest_of_near_rates_is_taken(tmp_path):
    path = tmp_path / "own.csv"
    path.write_text(at_rates(((1, 100, 90), (2, 130, 90))))
    found = activity.read_recordings(path)
    assert [r.clock.rates for r in found] == [
        pytest.approx((100,)),
        pytest.approx((130,), rel=1e-3),
    ]
    slow, fast = (r.signal[:, 0] for r in found)
    np.testing.assert_array_equal(slow, np.arange(90))
    # A line stays a line, but for the edges of the low-pass.
    inside = fast[15:-15]
    np.testing.assert_allclose(np.diff(inside), 1.3, atol=0.02)
    assert inside[0] == pytest.approx(1.3 * 15, abs=0.2)


def at_rates(rates):
    rows, start = [], 0.0
    for subject, rate, samples in rates:
        rows += [
            f"{start + i / rate:.6f},{subject},{'AB'[i % 2]},{i}"
            for i in range(samples)
        ]
        start += 60
    return "\n".join(["time,subject,label,acc", *rows])


def test_bad_files(tmp_path):
    with pytest.raises(FileNotFoundError, match="no recordings at"):
        activity.load_recordings(tmp_path / "none.npz")
    with pytest.raises(FileNotFoundError, match=r"lacks the file 'activity_"):
        activity.load_recordings(tmp_path)
    other = tmp_path / "text.txt"
    other.write_text("x")
    with pytest.raises(ValueError, match="neither a folder nor a complete"):
        activity.load_recordings(other)
    text = tmp_path / "text.npz"
    text.write_text("x")
    with pytest.raises(ValueError, match=r"as written by `numpy\.savez`"):
        activity.load_recordings(text)
    path = tmp_path / "file.npz"
    np.savez(path, x=WINDOWS.x)
    with pytest.raises(ValueError, match=r"lacks \['y', 'subject', 'cl.*keys="):
        activity.load_recordings(path)
    np.savez(path, **windowed(y=np.array([{}] * 4)))
    with pytest.raises(
        ValueError, match=r"'y' in .*file.npz' holds Python objects"
    ):
        activity.load_recordings(path)


def test_the_watch_recordings_are_read_without_importing_seglearn():
    code = (
        "import sys; from keras_seqattn.activity import load_recordings\n"
        "w = load_recordings(); import numpy as np\n"
        "assert 'seglearn' not in sys.modules\n"
        "print(w.x.shape, w.rate, len(w.classes), np.unique(w.subject).size)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    # 2 s windows every second of 140 recordings, 7 exercises, 10 people.
    assert done.stdout.strip() == "(4677, 100, 6) 50.0 7 10"


@pytest.fixture
def watch():
    """The file inside the package seglearn."""
    (folder,) = importlib.util.find_spec("seglearn").submodule_search_locations
    return pathlib.Path(folder) / "data" / "watch_dataset.npy"


def test_the_watch_recordings_are_cut_as_they_are(watch, tmp_path):
    found = activity.load_seglearn_watch()
    data = np.load(watch, allow_pickle=True).item()
    first = 0
    for signal, label, subject in zip(
        data["X"], data["y"], data["subject"], strict=True
    ):
        starts = range(0, len(signal) - 99, 50)
        own = slice(first, first + len(starts))
        cut = [signal[start : start + 100] for start in starts]
        np.testing.assert_array_equal(found.x[own], np.float32(cut))
        assert (found.y[own] == label).all()
        assert (found.subject[own] == subject).all()
        first += len(starts)
    assert first == len(found.x)
    assert found.channels == ("ax", "ay", "az", "wx", "wy", "wz")
    assert found.classes[:2] == ("pendulum", "abduction")
    # A copy of the file is as good.
    copy = shutil.copy(watch, tmp_path / "copy.npy")
    np.testing.assert_array_equal(activity.load_recordings(copy).x, found.x)


class Attack:
    """What a stranger's pickle may do on loading: run a command."""

    def __reduce__(self):
        return os.system, ("touch attacked",)


def shared_lists():
    """A few bytes that grow tenfold a level to whoever copies them."""
    found = []
    for _ in range(30):
        found = [found] * 10
    return found


def test_no_other_npy_file_is_unpickled(watch, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    whole = watch.read_bytes()
    header = whole[:128]
    path = tmp_path / "other.npy"
    monkeypatch.setattr(np, "load", None)
    for content in (
        header + pickle.dumps(Attack()),
        header + pickle.dumps({"X": shared_lists()}),
        whole[:-1],
        whole + b"0",
        whole[:9_000_000] + b"0" + whole[9_000_001:],
        b"",
    ):
        path.write_bytes(content)
        for load in (activity.load_recordings, activity.load_seglearn_watch):
            with pytest.raises(
                ValueError,
                match=r"seglearn 1\.1\.0 .*`load_recordings`.*other\.npy'",
            ):
                load(path)
    assert sorted(os.listdir()) == ["other.npy"]


# Scores and baselines.


def test_score_equals_scikit_learn():
    rng = np.random.default_rng(0)
    true = rng.integers(0, 4, 300)
    predicted = np.where(rng.random(300) < 0.6, true, rng.integers(0, 3, 300))
    found = Score.of(true, predicted, 6)  # classes 4 and 5 do not occur
    f1 = functools.partial(metrics.f1_score, true, predicted)
    assert found.accuracy == pytest.approx((true == predicted).mean())
    assert found.macro_f1 == pytest.approx(f1(average="macro"))
    assert found.weighted_f1 == pytest.approx(f1(average="weighted"))
    np.testing.assert_allclose(found.f1_per_class[:4], f1(average=None))
    np.testing.assert_array_equal(
        found.confusion,
        metrics.confusion_matrix(true, predicted, labels=range(6)),
    )
    parts = [
        Score.of(true[:100], predicted[:100], 6),
        Score.of(true[100:], predicted[100:], 6),
    ]
    np.testing.assert_array_equal(
        Score.pooled(parts).confusion, found.confusion
    )


def test_baselines_by_arithmetic():
    """Two classes that differ in deviation: no offset tells them apart."""
    rng = np.random.default_rng(0)
    y = np.arange(400) % 4 == 0
    scale = np.where(y, 3.0, 1.0)[:, None, None]
    windows = ActivityWindows(
        x=1e3 * scale * rng.normal(size=(400, 20, 1)),
        y=y.astype(int),
        subject=np.arange(400) // 200,
        classes=("A", "B"),
        channels=("x",),
        rate=10,
    )
    (train, test), _ = activity.subject_folds(windows.subject, 2)
    majority = activity.majority_baseline(windows, train, test)
    assert majority.accuracy == 0.75
    assert majority.macro_f1 == pytest.approx((2 * 0.75 / 1.75) / 2)
    statistics = activity.logistic_baseline(windows, train, test, "statistics")
    samples = activity.logistic_baseline(windows, train, test)
    assert statistics.accuracy > 0.97
    assert samples.accuracy < 0.8
    with pytest.raises(ValueError, match="`features` must be one of"):
        activity.logistic_baseline(windows, train, test, "all")


def test_without_scikit_learn(monkeypatch):
    monkeypatch.setitem(sys.modules, "sklearn.linear_model", None)
    train = np.arange(90)
    with pytest.raises(ImportError, match=r"install keras_seqattn\[activity\]"):
        activity.logistic_baseline(WINDOWS, train, train)


# Training.


def test_a_training_depends_on_its_seed_alone():
    """Not on other seeds, other folds, or the trainings before."""
    activity.register_augmentation("noise", lambda: add_noise)
    recipe = dataclasses.replace(
        RECIPE, weight_decay=0.01, average=0.9, augmentation={"name": "noise"}
    )
    both = compare(recipe=recipe, seeds=(0, 1)).results["dense"]
    (alone,) = compare(recipe=recipe, seeds=(1,)).results["dense"]
    for one, other, first in zip(alone, both[1], both[0], strict=True):
        assert one.history["loss"] == pytest.approx(
            other.history["loss"], rel=1e-5
        )
        assert one.history["val_loss"] == pytest.approx(
            other.history["val_loss"], rel=1e-5
        )
        assert abs(one.history["loss"][0] - first.history["loss"][0]) > 1e-4


def add_noise(x, y, rng):
    return x + rng.normal(size=x.shape), y


def test_held_out_subjects_choose_nothing(stopped):
    """Other signals of the scored subjects: the same training and epoch."""
    scored = np.isin(WINDOWS.subject, stopped.folds[0])
    x = WINDOWS.x.copy()
    x[scored] = 50 * np.random.default_rng(9).normal(size=x[scored].shape)
    changed = ActivityWindows(**{**vars(WINDOWS), "x": x})
    after = compare(changed, recipe=STOPPED, seeds=(0,))
    one, other = stopped.results["dense"][0][0], after.results["dense"][0][0]
    assert one.best_epoch == other.best_epoch
    for name in ("loss", "val_loss", "val_accuracy"):
        assert one.history[name] == pytest.approx(other.history[name])
    assert one.best.accuracy > 0.6
    assert other.best.accuracy < one.best.accuracy - 0.1
    assert stopped.chosen_by_validation
    # Neither training nor validation subjects are scored.
    counts = {int(score.confusion.sum()) for score in (one.final, one.best)}
    assert counts == {60}


def test_the_best_epoch_and_the_stop(stopped):
    lengths = []
    for fold in stopped.results["dense"][0]:
        rank = [
            (accuracy, -loss)
            for accuracy, loss in zip(
                fold.history["val_accuracy"],
                fold.history["val_loss"],
                strict=True,
            )
        ]
        assert fold.best_epoch == 1 + rank.index(max(rank))
        lengths.append(len(rank))
        assert len(rank) == min(12, fold.best_epoch + 2)
    assert min(lengths) < 12
    rates = stopped.results["dense"][0][0].history["learning_rate"]
    expected = 0.025 * (1 + np.cos(np.pi * np.arange(len(rates)) / 12))
    np.testing.assert_allclose(rates, expected, rtol=1e-5)


@pytest.mark.parametrize("patience", [None, 4])
def test_who_trains_who_is_watched_who_is_scored(monkeypatch, patience):
    seen = []

    class Trainer:
        def __init__(self, *arguments, smallest, verbose):
            self.smallest = smallest

        def build(self):
            return self

        def count_params(self):
            return self.smallest

    def fold_result(trainer, seed, part, title):
        seen.append(part)

    monkeypatch.setattr(activity.compare, "ActivityTrainer", Trainer)
    monkeypatch.setattr(activity.compare, "_fold_result", fold_result)
    recipe = dataclasses.replace(RECIPE, patience=patience)
    found = compare(seeds=(0,), recipe=recipe)
    people = [
        tuple(set(WINDOWS.subject[index]) for index in part) for part in seen
    ]
    for number, (train, watched, scored) in enumerate(people):
        assert scored == set(found.folds[number])
        assert not train & scored
        if patience is None:
            assert watched == scored
            assert train | scored == {1, 2, 3, 4, 5, 6}
        else:
            assert watched == set(found.folds[(number + 1) % 3])
            assert not watched & (train | scored)
            assert train | watched | scored == {1, 2, 3, 4, 5, 6}
    assert found.parameters["dense"] == min(len(train) for train, *_ in seen)
    assert found.chosen_by_validation is (patience is not None)


def test_without_patience_the_curve_is_of_the_scored_subjects(report):
    for folds in report.results["dense"]:
        for fold in folds:
            curve = fold.history["val_accuracy"]
            assert len(curve) == 3
            assert fold.final.accuracy == pytest.approx(curve[-1])
            assert fold.best.accuracy == pytest.approx(max(curve))
    assert "best epoch, chosen on the scored subjects" in report.table()


def test_averaged_weights_are_the_ones_scored(report):
    """With momentum 0 they are the weights themselves."""

    def history(momentum):
        recipe = dataclasses.replace(RECIPE, average=momentum)
        found = compare(recipe=recipe, seeds=(0,))
        return found.results["dense"][0][0].history

    plain = report.results["dense"][0][0].history
    none, long = history(0.0), history(0.98)
    assert none["val_loss"] == pytest.approx(plain["val_loss"], rel=1e-4)
    # They are scored, and the training does not see them.
    assert long["loss"] == pytest.approx(plain["loss"], rel=1e-4)
    difference = np.subtract(long["val_loss"], plain["val_loss"])
    assert np.abs(difference).max() > 0.005


def test_augment_gets_raw_windows_of_the_training_subjects():
    seen = []

    def augment(x, y, rng):
        seen.append((x.copy(), y.copy()))
        return x, y

    activity.register_augmentation("seen", lambda: augment)
    recipe = Recipe(epochs=2, batch_size=16, augmentation={"name": "seen"})
    trainer = ActivityTrainer(WINDOWS, build, recipe, 100, 0)
    part = np.arange(100)
    trainer.train(0, part)
    # TensorFlow looks at a batch or two before the first epoch.
    x = np.concatenate([x for x, _ in seen[-12:]])
    y = np.concatenate([y for _, y in seen[-12:]])
    assert x.shape == (192, 6, 2)
    rows = {window.tobytes(): i for i, window in enumerate(WINDOWS.x)}
    epochs = np.array([rows[window.tobytes()] for window in x]).reshape(2, 96)
    np.testing.assert_array_equal(y.argmax(1), LABELS[epochs.ravel()])
    for order in epochs:
        assert len(set(order)) == 96 and order.max() < 100
    assert (epochs[0] != epochs[1]).mean() > 0.9
    assert recipe.to_dict()["augmentation"] == {"name": "seen"}


def test_the_final_model_takes_raw_windows(tmp_path):
    recipe = Recipe(epochs=10, batch_size=16, learning_rate=0.02)
    model = activity.train_final(
        WINDOWS, build, recipe, cell="dense", seed=3, verbose=0
    )
    found = model.predict(WINDOWS.x, verbose=0)
    np.testing.assert_allclose(found.sum(axis=1), 1, rtol=1e-5)
    score = activity.score_model(model, WINDOWS)
    assert score.accuracy == pytest.approx((found.argmax(1) == LABELS).mean())
    assert score.accuracy > 0.75
    # The standardization is of all samples, by channel.
    flat = WINDOWS.x.reshape(-1, 2).astype("float64")
    core = model.layers[-1]
    by_hand = (WINDOWS.x - flat.mean(axis=0)) / flat.std(axis=0)
    np.testing.assert_allclose(
        core.predict(by_hand, verbose=0), found, rtol=1e-3, atol=1e-5
    )
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    np.testing.assert_allclose(
        loaded.predict(WINDOWS.x, verbose=0), found, rtol=1e-5, atol=1e-6
    )


def test_fewer_windows_than_a_batch():
    report = compare(recipe=Recipe(epochs=1, batch_size=1000), seeds=(0,))
    assert np.isfinite(report.results["dense"][0][0].history["loss"]).all()


@pytest.mark.nan
def test_training_that_explodes():
    def infinite(x, y, rng):
        return x, y * np.nan

    activity.register_augmentation("infinite", lambda: infinite)
    recipe = Recipe(epochs=2, augmentation={"name": "infinite"})
    with pytest.raises(
        ValueError, match="training of 'dense, seed 0, fold 1 of 3' ended in N"
    ):
        compare(recipe=recipe, seeds=(0,))


# The report.


def test_the_table_and_the_dictionary_hold_the_numbers(report):
    table = report.table()
    rows = table.splitlines()
    assert len(rows) == 2 + 3 + 2
    assert len({row.count("|") for row in rows}) == 1
    assert rows[2].startswith("| most frequent class | 0.333 | 0.167 |")
    scores = report.scores("narrow")
    # Every window is scored once a seed.
    assert [score.confusion.sum() for score in scores] == [180, 180]
    accuracy = [
        np.mean([fold.final.accuracy for fold in folds])
        for folds in report.results["narrow"]
    ]  # folds of equal size: the pooled score is their mean
    mean, deviation = np.mean(accuracy), np.std(accuracy, ddof=1)
    assert f"| narrow | {mean:.3f} ± {deviation:.3f} |" in table
    by_fold = np.mean(
        [
            [fold.final.accuracy for fold in folds]
            for folds in report.results["narrow"]
        ],
        axis=0,
    )
    assert f"| {min(by_fold):.3f} .. {max(by_fold):.3f} |" in rows[-1]
    assert rows[-1].endswith("| 35 |")  # 12*2 + 2 + 2*3 + 3 parameters
    numbers = json.loads(json.dumps(report.to_dict(), allow_nan=False))
    assert numbers["results"]["dense"][1]["seed"] == 1
    assert numbers["results"]["narrow"][0]["final"]["accuracy"] == (
        scores[0].accuracy
    )
    assert numbers["baselines"]["most frequent class"]["accuracy"] == (
        pytest.approx(1 / 3)
    )
    assert sorted(np.concatenate(numbers["folds"])) == [1, 2, 3, 4, 5, 6]
    assert numbers["settings"]["epochs"] == 3
    # Out of the folds, and in the windows' own order.
    for seed, score in enumerate(scores):
        predicted = report.predictions("narrow", seed=seed)
        found = Score.of(LABELS, predicted, 3).confusion
        np.testing.assert_array_equal(found, score.confusion)
    by_subject = report.per_subject("narrow")
    for number, score in enumerate(scores):
        pooled = Score.pooled([seeds[number] for seeds in by_subject.values()])
        np.testing.assert_array_equal(pooled.confusion, score.confusion)


def test_a_missing_scikit_learn_is_told_before_a_training(monkeypatch):
    monkeypatch.setitem(sys.modules, "sklearn.linear_model", None)

    def no_training(*arguments, **settings):
        raise AssertionError

    monkeypatch.setattr(activity.compare, "ActivityTrainer", no_training)
    with pytest.raises(ImportError, match=r"install keras_seqattn\[activity\]"):
        compare(seeds=(0,))


@pytest.mark.parametrize(
    "arguments, message",
    [
        ({"seeds": ()}, "`seeds` must hold at least one"),
        ({"cells": ()}, "`cells` must name at least one"),
        ({"cells": ("dense", "dense")}, "and none twice"),
        ({"recipe": STOPPED, "folds": 2}, "there must be three folds or more"),
        (
            {"recipe": Recipe(augmentation={"name": "blur"})},
            r"`augmentation` must be one of \('rotate_and_scale'.*'blur'",
        ),
        (
            {
                "recipe": Recipe(
                    augmentation={"name": "rotate_and_scale", "angle": 3}
                )
            },
            "`augmentation` must have the settings of 'rotate_and_scale'.*3",
        ),
        (
            {"recipe": Recipe(class_weights=[1, 2])},
            "`class_weights` must be a number for each of the 3 classes",
        ),
        ({"folds": 7}, r"`folds` must be in 2 .. 6"),
    ],
)
def test_bad_arguments(arguments, message):
    with pytest.raises(ValueError, match=message):
        compare(**arguments)


def test_shipped_augmentations_keep_their_names():
    with pytest.raises(ValueError, match=r"another than \['rotate_and_scale'"):
        activity.register_augmentation("rotate_and_scale", add_noise)
    made = make_augmentation(
        {"name": "rotate_and_scale", "degrees": 30, "scale": 0.2}
    )
    assert repr(made) == "RotateAndScale(degrees=30.0, scale=0.2)"
    with pytest.raises(ValueError, match="`degrees` must be a finite number"):
        make_augmentation({"name": "rotate_and_scale", "degrees": 0})


def test_class_weights_weigh_the_classes():
    """Classes that count for nothing teach nothing."""

    def fit(**changes):
        recipe = dataclasses.replace(RECIPE, epochs=4, **changes)
        trainer = ActivityTrainer(WINDOWS, build, recipe, 120, 0)
        trained = trainer.train(0, np.arange(120), np.arange(120, 180))
        trained.model.set_weights(trained.weights["final"])
        x = trained.part.inputs()
        return trained.model.predict(x, verbose=0)

    same, other = fit(class_weights=[1, 1, 1]), fit()
    np.testing.assert_allclose(same, other, rtol=1e-4, atol=1e-5)
    # Here all classes are alike.
    balanced = fit(class_weights="balanced")
    np.testing.assert_allclose(balanced, other, rtol=1e-4, atol=1e-5)
    one = fit(class_weights=[0.0, 3.0, 0.0])
    assert one[:, 1].min() > same[:, 1].min() + 0.2
    assert (one.argmax(axis=1) == 1).mean() > 0.9
    # What Keras makes of them.
    part = TrainingPart(WINDOWS, np.arange(30))
    batches = part.batches(Recipe(class_weights=[0, 2, 1]), 0)
    assert batches["class_weight"] == {0: 0.0, 1: 2.0, 2: 1.0}
    model = build(6, 2, 3)
    model.compile("sgd", classification_loss(Recipe()))
    x, y = batches["x"][0]
    weights = y @ np.array([0.0, 2.0, 1.0])
    found = model.evaluate(x, y, sample_weight=weights, verbose=0)
    expected = -np.log((model.predict(x, verbose=0) * y).sum(1)) * weights
    assert found == pytest.approx(expected.mean(), rel=1e-4)


def test_a_schedule_of_steps_is_one_of_each_fold():
    """Folds have unequal numbers of steps: both end at the floor."""
    recipe = Recipe(epochs=2, batch_size=16, floor=0.1)
    trainer = ActivityTrainer(WINDOWS, build, recipe, 40, 0)
    ends = []
    for count in (40, 130):
        optimizer = trainer.train(0, np.arange(count)).model.optimizer
        assert int(to_numpy(optimizer.iterations)) == 2 * (count // 16)
        ends.append(float(to_numpy(optimizer.learning_rate)))
    np.testing.assert_allclose(ends, 3e-4, rtol=1e-5)
    one = ActivityTrainer(WINDOWS, build, RECIPE, 40, 0)
    models = {id(one.train(0, np.arange(n)).model) for n in (40, 130)}
    assert len(models) == 1


def test_a_deployed_classifier_holds_no_optimizer():
    recipe = dataclasses.replace(RECIPE, average=0.9)
    model = activity.train_final(
        WINDOWS, build, recipe, cell="dense", verbose=0
    )
    assert not any(getattr(layer, "compiled", False) for layer in model.layers)


def test_rotation_turns_all_triads_of_a_window_alike():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(200, 5, 9))
    augment = activity.RotateAndScale(degrees=20, scale=1e-9)
    turned, y = augment(x, np.eye(200), np.random.default_rng(1))
    np.testing.assert_array_equal(y, np.eye(200))
    angles = []
    for before, after in zip(x, turned, strict=True):
        # One matrix for all samples and triads, orthogonal, no reflection.
        matrix, residual, *_ = np.linalg.lstsq(
            before.reshape(-1, 3), after.reshape(-1, 3)
        )
        assert residual.max() < 1e-12
        np.testing.assert_allclose(matrix @ matrix.T, np.eye(3), atol=1e-6)
        assert abs(np.linalg.det(matrix) - 1) < 1e-6
        angles.append(np.arccos(np.clip((np.trace(matrix) - 1) / 2, -1, 1)))
    assert abs(np.sqrt(np.mean(np.square(angles))) - np.deg2rad(20)) < 0.05


def test_scaling_is_by_channel_and_window():
    x = np.ones((500, 4, 3), "float32")
    augment = activity.RotateAndScale(degrees=1e-9, scale=0.1)
    scaled, _ = augment(x, np.eye(500), np.random.default_rng(1))
    assert scaled.dtype == np.float32
    np.testing.assert_allclose(scaled, scaled[:, :1] * x, rtol=1e-6)
    assert abs(scaled[:, 0].std() - 0.1) < 0.01
    assert abs(scaled[:, 0].mean() - 1) < 0.01


def test_rotation_needs_triads():
    with pytest.raises(ValueError, match="a multiple of 3 channels"):
        activity.RotateAndScale()(
            np.ones((2, 5, 4)), np.eye(2), np.random.default_rng(0)
        )
