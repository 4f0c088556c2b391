"""Which bins are trained on and scored, and what is told of the others."""

import dataclasses
import warnings

import numpy as np
import pytest

import keras_seqattn as ks
from keras_seqattn import decoding
from keras_seqattn.decoding import DecodingData
from keras_seqattn.decoding import Predictions
from keras_seqattn.decoding import Recording
from keras_seqattn.decoding import Score
from keras_seqattn.decoding import fold_parts

pytestmark = pytest.mark.plain

WHOLE = ks.tasks.simulated_reaching(bins=2000, units=6, segment_bins=2000)
# Trials of 30 bins every 50: what lies between gives context.
TRIAL = np.where(np.arange(2000) % 50 < 30, np.arange(2000) // 50, -1)
CONDITION = np.array(["left", "right", ""])[np.where(TRIAL < 0, 2, TRIAL % 2)]


def trials(**changes):
    return dataclasses.replace(
        WHOLE,
        **{
            "scored": TRIAL >= 0,
            "trial": TRIAL,
            "condition": CONDITION,
            **changes,
        },
    )


def test_windows_end_in_scored_bins_and_begin_where_they_may():
    data = DecodingData(trials(), 20)
    ends = np.concatenate([data.ends[part] for part in decoding.data.PARTS])
    # All scored bins, but for the first 19 of each part.
    expected = [
        bin
        for bin in range(2000)
        if TRIAL[bin] >= 0
        and min(bin - c for c in (0, 1400, 1600) if c <= bin) >= 19
    ]
    assert sorted(ends) == expected
    assert data.coverage["train"] == decoding.Coverage(28 * 30, 28 * 30 - 19)
    x, _ = data.windows("train")
    spikes = data.spike_standardizer.inverse(x[0]) ** 2
    np.testing.assert_allclose(spikes, WHOLE.spikes[:20], atol=1e-4)


def test_parts_are_shares_of_what_is_scored():
    """Not of the hours before that have no movement."""
    scored = np.arange(2000) >= 1000
    data = DecodingData(dataclasses.replace(WHOLE, scored=scored), 5)
    counts = {name: part.bins for name, part in data.coverage.items()}
    assert counts == {"train": 700, "validation": 100, "test": 200}


def test_movement_between_trials_is_not_seen():
    """Neither its scale, nor its NaN."""
    movement = WHOLE.movement.copy()
    movement[TRIAL < 0] = 1e6
    changed = DecodingData(trials(movement=movement), 20)
    movement[TRIAL < 0] = np.nan
    missing = DecodingData(trials(movement=movement), 20)
    known = DecodingData(trials(), 20)
    for data in (changed, missing):
        for part in decoding.data.PARTS:
            for one, other in zip(
                data.windows(part), known.windows(part), strict=True
            ):
                np.testing.assert_array_equal(one, other)
    with pytest.raises(ValueError, match="give `scored` that is false there"):
        trials(movement=movement, scored=None)


def test_a_recording_cut_to_short_trials_is_told():
    """Without the bins between them most of the movement is lost."""
    kept = TRIAL >= 0
    cut = Recording(WHOLE.spikes[kept], WHOLE.movement[kept], TRIAL[kept])
    with pytest.warns(UserWarning, match=r"train: 308 of 840 bins, 37% of th"):
        data = DecodingData(cut, 20)
    assert data.coverage["train"].share == pytest.approx(11 / 30)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        DecodingData(trials(), 20)


def test_a_tracker_that_lost_its_light():
    movement = WHOLE.movement.copy()
    movement[1600:] = movement[1600]
    with pytest.raises(
        ValueError, match=r"No axis of .* moves in the test part"
    ):
        DecodingData(dataclasses.replace(WHOLE, movement=movement), 5)
    movement = WHOLE.movement.copy()
    movement[1400:1600, 1] = 0.1
    with pytest.warns(
        UserWarning, match=r"Axis \[1\] .* in the validation par"
    ):
        DecodingData(dataclasses.replace(WHOLE, movement=movement), 5)


def test_folds_of_time():
    parts = fold_parts(WHOLE, 4)
    blocks = np.arange(2000) // 500
    for fold, part in enumerate(parts):
        np.testing.assert_array_equal(part == 2, blocks == fold)
        np.testing.assert_array_equal(part == 1, blocks == (fold - 1) % 4)
        data = DecodingData(WHOLE, 20, parts=part)
        for number, name in enumerate(decoding.data.PARTS):
            window = data.ends[name][:, None] - np.arange(20)
            assert (part[window] == number).all()
        assert len(data.ends["test"]) == 500 - 19


def test_folds_of_trials_cut_none():
    recording = trials()
    parts = fold_parts(recording, 3)
    for trial in range(40):
        inside = TRIAL == trial
        for part in parts:
            assert len(set(part[inside])) == 1
    tested = [np.unique(TRIAL[(part == 2) & (TRIAL >= 0)]) for part in parts]
    assert [len(found) for found in tested] == [13, 13, 14]
    assert sorted(np.concatenate(tested)) == list(range(40))


@pytest.mark.parametrize("folds", [0, 2, 2.5, 60])
def test_folds_that_cannot_be(folds):
    recording = trials()
    with pytest.raises(ValueError, match="fold"):
        fold_parts(recording, folds)


def test_predictions_by_condition_trial_and_label(tmp_path):
    rng = np.random.default_rng(0)
    recording = trials(times=10 + 0.064 * np.arange(1, 2001))
    bins = np.flatnonzero(TRIAL >= 0)[100:160]
    true = recording.movement[bins]
    error = np.where(CONDITION[bins] == "left", 1.0, 3.0)[:, None]
    decoded = true + error * rng.choice([-1, 1], size=true.shape)
    found = Predictions(recording, bins, decoded)
    by = found.score_by("condition")
    assert list(by) == ["left", "right"]
    np.testing.assert_allclose(by["left"].rmse, 1, rtol=1e-5)
    np.testing.assert_allclose(by["right"].rmse, 3, rtol=1e-5)
    assert by["left"] == Score.of(
        *(a[CONDITION[bins] == "left"] for a in (true, decoded))
    )
    assert list(found.score_by("trial")) == [3, 4, 5]
    halves = found.score_by(np.arange(2000) >= bins[30])
    np.testing.assert_allclose(
        np.square([halves[False].rmse, halves[True].rmse]).mean(axis=0),
        np.square(found.score().rmse),
    )
    np.testing.assert_allclose(found.times, 10 + 0.064 * (bins + 1))
    found.save(tmp_path / "predictions.csv")
    rows = (tmp_path / "predictions.csv").read_text().splitlines()
    assert rows[0] == (
        "time,bin,trial,condition,true_0,true_1,decoded_0,decoded_1"
    )
    last = rows[-1].split(",")
    assert last[1:4] == [str(bins[-1]), "5", "right"]
    np.testing.assert_allclose(
        [float(value) for value in last[4:]], [*true[-1], *decoded[-1]]
    )
    for labels in ("segment", "times", [1, 2]):
        with pytest.raises(ValueError, match="`labels` must"):
            found.score_by(labels)
    with pytest.raises(ValueError, match="'condition' or 'trial', which"):
        Predictions(WHOLE, bins, decoded).score_by("trial")


def test_the_error_of_a_direction():
    angle = np.linspace(-3, 3, 41)
    off = np.radians(np.where(np.arange(41) % 2, 10.0, -20.0))

    def pair(a):
        return np.stack([np.cos(a), np.sin(a)], axis=1)

    found = Score.of(pair(angle), 0.5 * pair(angle + off), direction=True)
    assert found.angular_error == pytest.approx(20)
    across = Score.of(pair(np.full(3, 3.1)), pair(np.full(3, -3.1)), True)
    assert across.angular_error == pytest.approx(np.degrees(2 * np.pi - 6.2))
    assert Score.of(pair(angle), pair(angle)).angular_error is None


def test_a_constant_axis_of_float64():
    true = np.stack([np.arange(50.0), np.full(50, 0.1)], axis=1)
    found = Score.of(true, true + 0.5)
    assert found.r2_per_axis[1] == 0 and 0.99 < found.r2 < 1
    np.testing.assert_allclose(found.rmse, 0.5)


SPIKES = WHOLE.spikes[:50]
VELOCITY = WHOLE.movement[:50]
CLOCK = 0.05 * np.arange(1, 51)


@pytest.mark.parametrize(
    "options, message",
    [
        ({"bin_width": 50}, "must be in seconds, at most 1.*give 0.05"),
        ({"scored": np.zeros(50, bool)}, "must be true in some bin"),
        ({"scored": np.ones(50)}, "`scored` must hold booleans"),
        ({"scored": np.ones(9, bool)}, "9 rows in `scored`"),
        ({"times": CLOCK[::-1]}, "`times` must rise. Received"),
        ({"times": CLOCK * 2, "bin_width": 0.05}, "rise by `bin_width`, 0.05"),
        ({"times": np.full(50, np.nan)}, "`times` must be finite"),
        ({"trial": np.zeros(50)}, "`trial` must hold integers"),
        ({"condition": np.full(50, 1j)}, "must hold integers or text"),
        ({"unit_ids": [1, 2]}, "2 ids for 6 units"),
        ({"unit_ids": [1, 1, 2, 3, 4, 5]}, r"once. Received twice: \['1'\]"),
        ({"lag": np.inf}, "`lag` must be a finite number"),
        ({"segment": np.full(50, np.nan)}, "`segment` must be finite"),
    ],
)
def test_bad_fields_of_a_recording(options, message):
    with pytest.raises(ValueError, match=message):
        Recording(SPIKES, VELOCITY, **options)


def test_masked_and_ragged_arrays():
    masked = np.ma.masked_less(SPIKES, 1)
    with pytest.raises(ValueError, match="must not be masked"):
        Recording(masked, VELOCITY)
    with pytest.raises(ValueError, match=r"binned by `Recording\.from_spike_t"):
        Recording([[1, 2], [3]], VELOCITY)


def test_times_may_jump_at_a_seam():
    times = CLOCK + np.where(np.arange(50) < 25, 0, 7)
    found = Recording(
        SPIKES, VELOCITY, np.arange(50) // 25, 0.05, times=times, lag=0.1
    )
    np.testing.assert_array_equal(found.times, times)
    with pytest.raises(ValueError, match="1 such steps in all"):
        Recording(SPIKES, VELOCITY, None, 0.05, times=times)
