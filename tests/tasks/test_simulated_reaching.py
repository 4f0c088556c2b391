import numpy as np
import pytest

import keras_seqattn as ks
from keras_seqattn.windows.cutting import take_windows
from keras_seqattn.windows.cutting import window_ends


def ridge_r2(recording, timesteps, longest):
    ends = window_ends(np.zeros(len(recording.spikes)), longest)
    x = take_windows(np.sqrt(recording.spikes), ends, timesteps)
    x = x.reshape(len(ends), -1)
    x = np.concatenate([x, np.ones((len(x), 1))], axis=1)
    y = recording.movement[ends]
    half = len(ends) // 2
    weights = np.linalg.solve(
        x[:half].T @ x[:half] + np.eye(x.shape[1]), x[:half].T @ y[:half]
    )
    error = np.sum((y[half:] - x[half:] @ weights) ** 2)
    return 1 - error / np.sum((y[half:] - y[half:].mean(0)) ** 2)


@pytest.mark.parametrize("length", [3, 8])
def test_the_planted_window_holds_everything(length):
    recording = ks.tasks.simulated_reaching(
        bins=20_000, units=15, kernel_length=length, mean_rate=30.0
    )
    r2 = {
        k: ridge_r2(recording, k, 12)
        for k in (1, length - 1, length, length + 2)
    }
    # One bin less loses much, more bins give nothing.
    assert r2[length] - r2[length - 1] > 0.03
    assert abs(r2[length + 2] - r2[length]) < 0.003
    assert r2[1] < 0.5 * r2[length]


def test_units_and_rates():
    recording = ks.tasks.simulated_reaching(
        bins=20_000, units=400, mean_rate=10.0, bin_width=0.064
    )
    assert recording.spikes.shape == (20_000, 400)
    np.testing.assert_array_equal(recording.spikes, recording.spikes.round())
    np.testing.assert_allclose(recording.movement.std(axis=0), 10, rtol=0.05)
    np.testing.assert_allclose(recording.movement.mean(axis=0), 0, atol=1)
    # At rest the mean is 10 Hz; exp(m p.u) of the commands adds to it.
    mean_rate = recording.spikes.mean() / recording.bin_width
    assert 10 < mean_rate < 16
    # The cap of 200 Hz is 12.8 spikes a bin; 7 deviations above is never.
    assert 20 < recording.spikes.max() < 12.8 + 7 * np.sqrt(12.8)


def test_velocity_forgets_after_the_kernel():
    velocity = ks.tasks.simulated_reaching(
        bins=40_000, units=1, kernel_length=4
    ).movement[:, 0]
    velocity = (velocity - velocity.mean()) / velocity.std()
    correlation = [
        np.mean(velocity[lag:] * velocity[: len(velocity) - lag])
        for lag in range(7)
    ]
    assert correlation[3] > 0.05
    np.testing.assert_allclose(correlation[4:], 0, atol=0.03)


def test_seeds():
    one, same, other = (
        ks.tasks.simulated_reaching(bins=50, seed=s) for s in (1, 1, 2)
    )
    np.testing.assert_array_equal(one.spikes, same.spikes)
    np.testing.assert_array_equal(one.movement, same.movement)
    assert np.any(one.spikes != other.spikes)


def test_segments():
    segment = ks.tasks.simulated_reaching(bins=25, segment_bins=10).segment
    assert segment.tolist() == [0] * 10 + [1] * 10 + [2] * 5


@pytest.mark.parametrize(
    "arguments, message",
    [
        ({"bins": 0}, "`bins` must be a positive integer"),
        ({"kernel_length": 1.5}, "`kernel_length` must be a positive integer"),
        (
            {"onset_probability": 1.2},
            r"must be in \(0, 1\]",
        ),
        ({"onset_probability": 0}, "`onset_probability` must be a finite"),
        ({"bin_width": -1}, "`bin_width` must be a finite number above 0"),
    ],
)
def test_bad_arguments(arguments, message):
    with pytest.raises(ValueError, match=message):
        ks.tasks.simulated_reaching(**arguments)
