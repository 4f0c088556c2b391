import numpy as np
import pytest

import keras_seqattn as ks

SPIKES = np.random.default_rng(0).poisson(1.0, size=(50, 4))
VELOCITY = np.random.default_rng(1).normal(size=(50, 2))
POSITION = VELOCITY.cumsum(axis=0)


def save(tmp_path, **arrays):
    path = tmp_path / "recording.npz"
    np.savez(path, **arrays)
    return path


def test_reads_what_was_written(tmp_path):
    segment = np.repeat([3, 4], [20, 30])
    path = save(
        tmp_path,
        spikes=SPIKES.astype("uint8"),
        vel=VELOCITY,
        pos=POSITION,
        segment=segment,
        dt=np.float32([[0.05]]),  # as MATLAB would have it
    )
    found = ks.decoding.load_recording(path)
    assert found.quantity == "velocity"
    assert found.spikes.dtype == found.movement.dtype == np.float32
    np.testing.assert_array_equal(found.spikes, SPIKES)
    np.testing.assert_allclose(found.movement, VELOCITY, rtol=1e-6)
    np.testing.assert_array_equal(found.segment, segment)
    assert found.bin_width == pytest.approx(0.05)
    found = ks.decoding.load_recording(path, "pos")
    assert found.quantity == "position"
    np.testing.assert_allclose(found.movement, POSITION, rtol=1e-5)


def test_it_says_what_it_holds_and_no_arrays():
    assert repr(ks.decoding.Recording(SPIKES, VELOCITY)) == (
        "Recording(50 bins, 4 units, 2 axes of movement, 1 segments)"
    )
    recording = ks.decoding.Recording(
        SPIKES, VELOCITY, np.repeat([3, 4], 25), 0.05, "velocity"
    )
    assert repr(recording) == (
        "Recording(50 bins of 0.05 s, 4 units, 2 axes of velocity, 2 segments)"
    )
    windows = ks.activity.ActivityWindows(
        np.zeros((4, 50, 3)), [0, 1, 0, 1], [1, 1, 2, 2], [*"ab"], [*"xyz"], 50
    )
    assert repr(windows) == (
        "ActivityWindows(4 windows of 50 samples at 50 Hz, 3 channels, "
        "2 subjects, 2 activities)"
    )


def test_optional_keys(tmp_path):
    found = ks.decoding.load_recording(
        save(tmp_path, spikes=SPIKES, pos=POSITION)
    )
    assert found.quantity == "position"
    assert found.bin_width is None
    assert found.segment.tolist() == [0] * 50


def test_missing_key(tmp_path):
    path = save(tmp_path, spikes=SPIKES)
    with pytest.raises(
        ValueError, match=r"lacks \['movement'\].*keys=\['spikes'\]"
    ):
        ks.decoding.load_recording(path)
    with pytest.raises(ValueError, match=r"lacks \['vel'\]"):
        ks.decoding.load_recording(path, "vel")


def test_no_file_or_another_file(tmp_path):
    with pytest.raises(FileNotFoundError, match="no recording at"):
        ks.decoding.load_recording(tmp_path / "none.npz")
    (tmp_path / "text.npz").write_text("spikes")
    with pytest.raises(ValueError, match=r"neither an `\.npz` file"):
        ks.decoding.load_recording(tmp_path / "text.npz")


def test_pickled_objects_are_refused(tmp_path):
    path = save(tmp_path, spikes=np.array([{}]), vel=VELOCITY)
    with pytest.raises(
        ValueError, match=r"'spikes' in .* holds Python objects"
    ):
        ks.decoding.load_recording(path)


def broken(array, value):
    array = array.astype("float64")
    array[7, 1] = array[9, 0] = value
    return array


@pytest.mark.parametrize(
    "arguments, message",
    [
        ((SPIKES[:, 0], VELOCITY), r"`spikes` must be of rank 2, \(bins, unit"),
        ((SPIKES[:0], VELOCITY[:0]), "`spikes` must not be empty"),
        ((SPIKES, VELOCITY[:, 0]), r"`movement` must be of rank 2"),
        ((SPIKES, VELOCITY[:-1]), "49 rows in `movement` and 50 in `spikes`"),
        (
            (broken(SPIKES, np.nan), VELOCITY),
            "2 of 50 bins, the first at bin 7",
        ),
        ((SPIKES, broken(VELOCITY, np.inf)), "`movement` must be finite"),
        ((SPIKES.astype(str), VELOCITY), "`spikes` must hold numbers"),
        ((SPIKES, VELOCITY, np.zeros((50, 1))), "`segment` must be of rank 1"),
        ((SPIKES, VELOCITY, np.zeros(9)), "9 rows in `segment`"),
        (
            (SPIKES, VELOCITY, None, 0.0),
            "`bin_width` must be a finite number above 0",
        ),
    ],
)
def test_bad_recordings(arguments, message):
    with pytest.raises(ValueError, match=message):
        ks.decoding.Recording(*arguments)
