import csv
import json
import warnings

import keras
import numpy as np
import pytest

import keras_seqattn as ks
from keras_seqattn import activity
from keras_seqattn.activity import recordings
from keras_seqattn.activity.merging import smooth_windows
from keras_seqattn.export import preprocessing_of
from tests.activity import classifiers
from tests.activity.classifiers import LEVELS
from tests.activity.classifiers import TIMESTEPS
from tests.activity.classifiers import recording

MODEL = classifiers.known_classifier()
RNG = np.random.default_rng(4)
# Two segments of a whole window and more, and one that is too short.
STATE = np.repeat([0, 1, 2, 1], [21, 18, 5, 19])
SEGMENT = np.repeat([7, 8, 7], [39, 5, 19])
ACC = LEVELS[STATE] + RNG.normal(size=63)


def by_hand(acc, segment, overlap):
    """Window by window: the mean over those that hold a sample."""
    stride = max(round(TIMESTEPS * (1 - overlap)), 1)
    seams = np.flatnonzero(np.diff(segment)) + 1
    total = np.zeros((len(acc), 3))
    held = np.zeros((len(acc), 1))
    for part in np.split(np.arange(len(acc)), seams):
        last = len(part) - TIMESTEPS
        starts = {*range(0, last + 1, stride)} | (
            {last} if last >= 0 else set()
        )
        for start in starts:
            window = part[start : start + TIMESTEPS]
            total[window] += classifiers.probabilities(acc[window])
            held[window] += 1
    return np.where(held, total / np.maximum(held, 1), np.nan)


def predict(source=None, **settings):
    if source is None:
        source = recording(ACC, SEGMENT)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return activity.predict_recording(MODEL, source, **settings)


# What it says of itself, and where.


def test_what_a_classifier_says(tmp_path):
    said = preprocessing_of(MODEL)
    assert said.classes == classifiers.CLASSES
    assert said.channels == classifiers.CHANNELS
    assert (said.rate, said.timesteps, said.in_model) == (10, 8, True)
    MODEL.save(tmp_path / "classifier.keras")
    loaded = keras.saving.load_model(tmp_path / "classifier.keras")
    assert preprocessing_of(loaded) == said
    x = RNG.normal(size=(4, TIMESTEPS, 2)).astype("float32") + 3
    expected = [classifiers.probabilities(window[:, 0]) for window in x]
    np.testing.assert_allclose(
        loaded.predict(x, verbose=0), expected, rtol=1e-4, atol=1e-6
    )


@pytest.mark.nan  # The proof asks what becomes of it.
@pytest.mark.parametrize("format", ["saved_model", "onnx", "litert"])
def test_what_a_bundle_says(format, tmp_path):
    ending = {"onnx": ".onnx", "litert": ".tflite", "saved_model": ""}[format]
    path = tmp_path / f"classifier{ending}"
    export = getattr(ks.export, f"export_{format}")
    assert export(MODEL, path) < 1e-4
    said = json.loads(path.with_name(f"{path.name}.json").read_text())
    assert said["classes"] == list(classifiers.CLASSES)
    assert said["channels"] == list(classifiers.CHANNELS)
    assert (said["rate"], said["timesteps"]) == (10, 8)
    assert said["in_model"] is True and len(said["scale"]) == 2
    if format == "onnx":
        import onnx

        (entry,) = onnx.load(path).metadata_props
        assert json.loads(entry.value) == said
    if format == "saved_model":
        import tensorflow as tf

        loaded = tf.saved_model.load(path)
        inside = loaded.signatures["preprocessing"]()
        assert float(inside["rate"]) == 10 and int(inside["timesteps"]) == 8
        for name in ("classes", "channels"):
            found = [text.decode() for text in inside[name].numpy()]
            assert found == said[name]


# The time line.


@pytest.mark.parametrize("overlap", [0, 0.5, 0.9])
def test_a_sample_has_the_mean_over_its_windows(overlap):
    source = recording(ACC, SEGMENT, subject="anna", source="new.csv")
    with pytest.warns(UserWarning, match="5 of 63 samples of new.csv lie in"):
        found = activity.predict_recording(
            MODEL, source, overlap=overlap, smoothing="none"
        )
    expected = by_hand(ACC, SEGMENT, overlap)
    np.testing.assert_allclose(
        found.probabilities, expected, rtol=1e-4, atol=1e-5
    )
    assert np.isnan(found.probabilities[39:44]).all()
    assert (found.label[39:44] == "").all()
    known = ~np.isnan(expected[:, 0])
    names = np.array(classifiers.CLASSES)[expected[known].argmax(axis=1)]
    assert found.label[known].tolist() == names.tolist()
    np.testing.assert_array_equal(found.times, source.times)
    assert (found.subject, found.source) == ("anna", "new.csv")
    assert (found.rate, found.classes) == (10, classifiers.CLASSES)


def test_what_was_done_is_found():
    found = predict()
    assert found.score(STATE).accuracy > 0.9
    assert found.score(STATE).confusion.sum() == 58
    true = np.array([*classifiers.CLASSES, ""])[np.where(STATE == 2, 3, STATE)]
    assert found.score(true).confusion.sum() == 58  # Unlabelled: those of run.
    bouts = found.segments()
    assert [bout.label for bout in bouts] == ["sit", "walk", "walk"]
    assert bouts[0].start == 100
    assert bouts[0].stop == pytest.approx(bouts[1].start)
    assert abs(bouts[0].stop - 102.1) < 0.35
    # The seam, and what is too short for a window.
    assert bouts[1].stop == pytest.approx(103.9)
    assert bouts[2][:2] == pytest.approx((104.4, 106.3))
    with pytest.raises(ValueError, match="one label a sample, 63 of them"):
        found.score(STATE[1:])
    with pytest.raises(ValueError, match="0 true and 58 recognized"):
        found.score([""] * 63)
    with pytest.raises(ValueError, match=r"names in `classes`.*'swim'"):
        found.score(["swim"] * 63)


def test_windows_are_smoothed_within_their_segment():
    rng = np.random.default_rng(0)
    outputs = rng.dirichlet([0.3] * 3, size=40)
    segment = np.repeat([0, 1, 0, 2], [60, 20, 90, 40])
    ends = np.r_[7:60:4, 87:170:4, 177:210:8]
    outputs = outputs[: len(ends)]
    number = np.repeat([0, 1, 2, 3], [60, 20, 90, 40])[ends]
    for reach in (0, 8, 24):
        near = [
            (np.abs(ends - end) <= reach / 2) & (number == own)
            for end, own in zip(ends, number, strict=True)
        ]
        for smoothing, middle in (("mean", np.mean), ("median", np.median)):
            expected = np.array([middle(outputs[w], axis=0) for w in near])
            expected /= expected.sum(axis=1, keepdims=True)
            found = smooth_windows(outputs, ends, segment, smoothing, reach)
            np.testing.assert_allclose(found, expected, rtol=1e-9)
    same = smooth_windows(outputs, ends, segment, "none", 24)
    np.testing.assert_array_equal(same, outputs)
    # No class has a majority: their mean.
    found = smooth_windows(
        np.eye(3), np.arange(3), np.zeros(3, int), "median", 2
    )
    np.testing.assert_allclose(found[1], 1 / 3)


def test_a_lone_window_is_outvoted():
    acc = np.zeros(80)
    acc[40:48] = 4.0
    labels = {
        (smoothing, seconds): predict(
            recording(acc),
            overlap=0,
            smoothing=smoothing,
            smoothing_seconds=seconds,
        ).label.tolist()
        for smoothing in ("none", "mean", "median")
        for seconds in (None, 1.6)
    }
    # Within the length of a window there is no other one.
    alone = ["sit"] * 40 + ["walk"] * 8 + ["sit"] * 32
    for key, label in labels.items():
        outvoted = key in [("mean", 1.6), ("median", 1.6)]
        assert label == (["sit"] * 80 if outvoted else alone)


def test_a_table_and_a_file(tmp_path):
    found = predict()
    frame = found.to_frame()
    assert frame.columns.tolist() == ["time", "label", "sit", "walk", "run"]
    assert frame["label"].tolist() == found.label.tolist()
    np.testing.assert_array_equal(frame["walk"], found.probabilities[:, 1])
    found.save(tmp_path / "labels.csv")
    with open(tmp_path / "labels.csv", newline="") as file:
        head, *rows = csv.reader(file)
    assert head == frame.columns.tolist()
    assert [row[1] for row in rows] == found.label.tolist()
    assert rows[3][0] == "100.3"
    assert rows[40][1:] == ["", "", "", ""]
    numbers = np.array([[x or "nan" for x in row[2:]] for row in rows], float)
    np.testing.assert_allclose(numbers, found.probabilities, rtol=1e-5)


def test_channels_are_found_by_name():
    expected = predict(recording(ACC))
    signal = np.stack([np.full(63, 3.0), np.full(63, -9.0), ACC], axis=1)
    other = recording(ACC, signal=signal, channels=("gyro", "mag", "acc"))
    found = predict(other, ignore=["mag"])
    np.testing.assert_array_equal(found.probabilities, expected.probabilities)
    found = predict(other, ignore="mag")
    np.testing.assert_array_equal(found.probabilities, expected.probabilities)
    with pytest.raises(ValueError, match=r"was trained on.*: \['acc'\]"):
        predict(other, ignore=["mag", "acc"])
    with pytest.raises(ValueError, match=r"leave them out: `ignore=\['mag'\]`"):
        predict(other)


def test_several_recordings():
    first, second = recording(ACC), recording(ACC[::-1], source="b")
    found = predict([first, second])
    assert [x.source for x in found] == ["recording", "b"]
    np.testing.assert_array_equal(
        found[1].probabilities, predict(second).probabilities
    )


def test_sources_are_read_at_the_rate_of_the_model(monkeypatch):
    seen = []

    def read_recordings(source, **settings):
        seen.append((source, settings))
        return [recording(ACC)] * (2 if source == "folder" else 1)

    monkeypatch.setattr(recordings, "read_recordings", read_recordings)
    found = predict("new.csv", columns={"ax": "acc"})
    assert seen == [
        ("new.csv", {"rate": 10, "options": None, "columns": {"ax": "acc"}})
    ]
    assert found.label.tolist() == predict(recording(ACC)).label.tolist()
    assert len(predict(["a.csv"])) == 1
    with pytest.raises(
        ValueError, match=r"must be one recording.*2 recordings"
    ):
        predict("folder")
    with pytest.raises(TypeError, match=r"read already.*\['columns'\]"):
        predict(recording(ACC), columns={})
    with pytest.raises(TypeError, match=r"read already.*\['str'\]"):
        predict([recording(ACC), "new.csv"])


@pytest.mark.parametrize(
    "changes, message",
    [
        ({"rate": 20}, r"rate=10\)`, which resamples.*20 Hz .*expected: 10 Hz"),
        ({"channels": ("acc", "gyr")}, r"missing: \['gyro'\]"),
    ],
)
def test_recordings_that_do_not_fit(changes, message):
    with pytest.raises(ValueError, match=message):
        predict(recording(ACC, **changes))


def test_recordings_without_a_window():
    with pytest.raises(ValueError, match=r"2 stretches, the longest of 0.7 s"):
        predict(recording(ACC[:12], np.repeat([0, 1], [5, 7])))
    with pytest.raises(ValueError, match="must be finite"):
        recording([np.nan] * 20)
    with pytest.raises(ValueError, match="Received: NaN for recording"):
        predict(recording(np.full(20, 3e38)))


@pytest.mark.parametrize(
    "changes, message",
    [
        ({"channels": ("gyro", "acc")}, r"the channels of .*\('acc', 'gyro'\)"),
        ({"classes": ("a", "b", "c"), "y": [0] * 60}, "the classes of those"),
        ({"rate": 50}, r"the rate of those trained on, 10.0. Received: 50.0"),
        ({"x": np.zeros((60, 9, 2))}, "the length of .* 8. Received: 9"),
    ],
)
def test_windows_to_score_that_do_not_fit(changes, message):
    fields = vars(classifiers.known_windows())
    score = activity.score_model(MODEL, classifiers.known_windows())
    assert score.accuracy > 0.9 and score.confusion.sum() == 60
    windows = activity.ActivityWindows(**{**fields, **changes})
    with pytest.raises(ValueError, match=message):
        activity.score_model(MODEL, windows)


def test_models_that_do_not_say_it():
    with pytest.raises(ValueError, match=r"`activity.train_final` gives one"):
        activity.predict_recording(MODEL.layers[-1], recording(ACC))
    with pytest.raises(ValueError, match="`overlap` must be a number in"):
        predict(overlap=1)
    with pytest.raises(ValueError, match="`smoothing` must be one of"):
        predict(smoothing="gauss")
    with pytest.raises(ValueError, match="`smoothing_seconds` must be a fini"):
        predict(smoothing_seconds=0)


def test_long_recordings_need_memory_in_proportion(monkeypatch):
    """No more windows at once than a block holds, whatever the overlap."""
    from keras_seqattn.activity import deployed

    most = []
    real = deployed.take_windows

    def take_windows(signal, ends, timesteps):
        most.append(len(ends))
        return real(signal, ends, timesteps)

    monkeypatch.setattr(deployed, "BLOCK", 64)
    monkeypatch.setattr(deployed, "take_windows", take_windows)
    long = np.tile(ACC, 4)
    found = predict(recording(long), overlap=0.9, smoothing="none")
    assert max(most) == 64 and sum(most) == len(long) - TIMESTEPS + 1
    np.testing.assert_allclose(
        found.probabilities,
        by_hand(long, np.zeros(len(long)), 0.9),
        rtol=1e-4,
        atol=1e-5,
    )
