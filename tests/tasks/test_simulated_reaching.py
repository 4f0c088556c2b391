import numpy as np
import pytest

import keras_seqattn as ks
from keras_seqattn.windows.cutting import take_windows
from keras_seqattn.windows.cutting import window_ends

# As the first version drew them, with seed 0.
SPIKES = [130, 65, 64]
MOVEMENT = [6.81106, -3.21936]


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


def test_the_first_day_is_the_recording_without_days():
    alone = ks.tasks.simulated_reaching(bins=300, units=7, seed=3)
    first, second = ks.tasks.simulated_days(2, bins=300, units=7, seed=3)
    np.testing.assert_array_equal(first.recording.spikes, alone.spikes)
    np.testing.assert_array_equal(first.recording.movement, alone.movement)
    assert first.recording.unit_ids == tuple(range(7))
    # The same neurons, other commands.
    np.testing.assert_array_equal(first.neurons.angle, second.neurons.angle)
    assert second.recording.unit_ids == tuple(range(7))
    assert np.any(second.recording.movement != alone.movement)


def test_spikes_of_simulated_reaching_stay():
    recording = ks.tasks.simulated_reaching(bins=50, units=3)
    assert recording.spikes.sum(axis=0).tolist() == SPIKES
    np.testing.assert_allclose(recording.movement[49], MOVEMENT, rtol=1e-5)


def test_drift_is_as_told():
    days = ks.tasks.simulated_days(
        3,
        turnover=0.25,
        gain_drift=0.3,
        tuning_drift=0.5,
        bins=10,
        units=400,
    )
    seen = set()
    for day, before in zip(days[1:], days, strict=False):
        now, then = day.neurons, before.neurons
        seen.update(then.unit_ids)
        stays = np.equal(now.unit_ids, then.unit_ids)
        assert stays.sum() == 300
        # New units get ids that nobody had.
        new = set(np.array(now.unit_ids)[~stays].tolist())
        assert len(new) == 100 and not new & seen
        rotation = (now.angle - then.angle)[stays]
        gain = np.log(now.rest_rate / then.rest_rate)[stays]
        # 4 deviations of a deviation from 300 numbers.
        np.testing.assert_allclose(rotation.std(), 0.5, rtol=0.17)
        np.testing.assert_allclose(gain.std(), 0.3, rtol=0.17)
        np.testing.assert_array_equal(
            now.modulation[stays], then.modulation[stays]
        )
        assert day.recording.unit_ids == now.unit_ids
        assert np.all(now.angle[~stays] != then.angle[~stays])


def test_neurons_of_a_day_fire_as_told():
    _, day = ks.tasks.simulated_days(
        2, bins=30_000, units=6, gain_drift=0.5, turnover=0.5, mean_rate=5.0
    )
    # E exp(m p.u) over commands: 3/4 + 1/4 exp(2 m^2).
    neurons = day.neurons
    expected = neurons.rest_rate * (
        0.75 + 0.25 * np.exp(2 * neurons.modulation**2)
    )
    found = day.recording.spikes.mean(axis=0) / 0.064
    np.testing.assert_allclose(found, expected, rtol=0.08)


def test_a_day_does_not_depend_on_those_after():
    two, three = (
        ks.tasks.simulated_days(days, bins=40, units=4, turnover=0.5)
        for days in (2, 3)
    )
    np.testing.assert_array_equal(
        two[1].recording.spikes, three[1].recording.spikes
    )


@pytest.mark.parametrize(
    "arguments, message",
    [
        ({"days": 0}, "`days` must be a positive integer"),
        ({"turnover": 1.5}, r"`turnover` must be in \[0, 1\]"),
        ({"gain_drift": -1}, "`gain_drift` must be"),
        ({"tuning_drift": float("nan")}, "`tuning_drift` must be"),
        ({"segment_bins": 0}, "`segment_bins` must be a positive integer"),
    ],
)
def test_bad_arguments_of_days(arguments, message):
    with pytest.raises(ValueError, match=message):
        ks.tasks.simulated_days(**arguments)
