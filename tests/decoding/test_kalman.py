import numpy as np
import pytest

import keras_seqattn as ks
from keras_seqattn import decoding
from keras_seqattn.decoding import DecodingData
from keras_seqattn.decoding import KalmanFilter
from keras_seqattn.decoding import Recording
from keras_seqattn.decoding import kalman
from keras_seqattn.decoding.kalman import LinearModel
from keras_seqattn.decoding.kalman import settled_gain

# NumPy alone.
pytestmark = pytest.mark.plain

TIMESTEPS = 4
RECORDING = ks.tasks.simulated_reaching(
    bins=1500, units=12, kernel_length=2, mean_rate=40.0, segment_bins=100
)
DATA = DecodingData(RECORDING, TIMESTEPS)


def linear_gaussian(bins, rng):
    """A rotating state that decays, and six counts that it drives."""
    angle = 0.2
    a = 0.97 * np.array(
        [[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]
    )
    c = rng.normal(size=(6, 2))
    w, q = 0.1 * np.eye(2), np.diag([0.5, 1, 2, 0.5, 1, 2])
    states = np.zeros((bins, 2))
    for t in range(1, bins):
        states[t] = a @ states[t - 1] + np.sqrt(0.1) * rng.normal(size=2)
    counts = states @ c.T + rng.normal(size=(bins, 6)) * np.sqrt(np.diag(q))
    return a, w, c, q, states, counts


def test_least_squares_recovers_the_system():
    rng = np.random.default_rng(0)
    a, w, c, q, states, counts = linear_gaussian(40_000, rng)
    runs = np.split(np.arange(40_000), [9_000, 9_001, 20_000])
    found = LinearModel.fit(states, counts, runs)
    np.testing.assert_allclose(found.transition, a, atol=0.01)
    np.testing.assert_allclose(found.transition_noise, w, atol=0.003)
    np.testing.assert_allclose(found.observation, c, atol=0.03)
    np.testing.assert_allclose(found.observation_noise, q, atol=0.05)
    louder = LinearModel.fit(states, counts, runs, noise_scale=4.0)
    np.testing.assert_allclose(
        louder.transition_noise, found.transition_noise / 4
    )
    # Across a seam no pair is taken, whatever lies on the other side.
    states[9_000] = 1e6
    counts[9_000] = -1e6
    runs = [runs[0], runs[2], runs[3]]
    again = LinearModel.fit(states, counts, runs)
    np.testing.assert_allclose(again.transition, a, atol=0.01)


def textbook_filter(a, w, c, q, counts, p=None):
    """Predict and correct, with the gain of each bin; z = counts."""
    state, p = np.zeros(len(a)), np.zeros_like(w) if p is None else p
    states, gains = [], []
    for z in counts:
        state, p = a @ state, a @ p @ a.T + w
        gain = p @ c.T @ np.linalg.inv(c @ p @ c.T + q)
        state = state + gain @ (z - c @ state)
        p = (np.eye(len(a)) - gain @ c) @ p
        states.append(state)
        gains.append(gain)
    return np.stack(states), gains, p


def test_the_gain_is_where_the_textbook_settles():
    rng = np.random.default_rng(1)
    a, w, c, q, _, counts = linear_gaussian(400, rng)
    _, gains, _ = textbook_filter(a, w, c, q, counts)
    assert np.abs(gains[0] - gains[-1]).max() > 0.01
    np.testing.assert_allclose(settled_gain(a, w, c, q), gains[-1], atol=1e-10)


@pytest.mark.parametrize("quantity", ["velocity", "position"])
def test_kalman_beside_the_textbook(quantity):
    """From the recording on: states, lag, regression and recursion anew."""
    lag = 1
    recording = Recording(
        RECORDING.spikes,
        RECORDING.movement,
        RECORDING.segment,
        quantity=quantity,
    )
    data = DecodingData(recording, TIMESTEPS)
    found = KalmanFilter([lag], 2.0, transforms=["sqrt"]).fit(data)
    scale = data.spike_standardizer
    z = (np.sqrt(recording.spikes.astype("float64")) - scale.mean) / scale.scale

    def state(segment):
        v = recording.movement[segment].astype("float64")
        if quantity == "velocity":
            position = np.array([v[: t + 1].sum(axis=0) for t in range(len(v))])
            return np.hstack([position[:-1], v[:-1], v[1:] - v[:-1]])
        once = v[1:] - v[:-1]
        return np.hstack([v[:-2], once[:-1], once[1:] - once[:-1]])

    # Segments of 100 bins; 70 % of 1500 are training.
    segments = [np.arange(s, min(s + 100, 1050)) for s in range(0, 1050, 100)]
    x = [state(segment) for segment in segments]
    every = np.concatenate(x)
    center, spread = every.mean(axis=0), every.std(axis=0)
    x = [(values - center) / spread for values in x]
    before = np.concatenate([v[:-1] for v in x])
    after = np.concatenate([v[1:] for v in x])
    a = after.T @ before @ np.linalg.inv(before.T @ before)
    w = np.cov((after - before @ a.T).T, bias=True)
    rest = after - before @ a.T
    w = rest.T @ rest / len(rest) / 2
    told = np.concatenate([v[lag:] for v in x])
    telling = np.concatenate(
        [z[s[: len(v) - lag]] for s, v in zip(segments, x, strict=True)]
    )
    c = telling.T @ told @ np.linalg.inv(told.T @ told)
    rest = telling - told @ c.T
    q = rest.T @ rest / len(rest)
    np.testing.assert_allclose(found.model.transition, a, atol=1e-6)
    np.testing.assert_allclose(found.model.observation, c, atol=1e-8)
    assert found.lag == lag

    moved = slice(2, 4) if quantity == "velocity" else slice(0, 2)
    # Its gain has settled after some hundred bins, whatever they hold.
    *_, p = textbook_filter(a, w, c, q, np.zeros((1500, 12)))
    decoded = {}
    for start in (1200, 1300, 1400):
        states, *_ = textbook_filter(a, w, c, q, z[start : start + 99], p)
        states = states * spread + center
        decoded |= {start + lag + t: s[moved] for t, s in enumerate(states)}
    expected = np.stack([decoded[t] for t in data.ends["test"]])
    np.testing.assert_allclose(found.predict(data), expected, atol=1e-4)
    assert found.costs == decoding.Costs(144, 576, 6 * 6 + 6 * 12)


def test_kalman_finds_the_lag():
    shifted = np.roll(RECORDING.spikes, -3, axis=0)
    data = DecodingData(
        Recording(shifted, RECORDING.movement, quantity="velocity"), TIMESTEPS
    )
    base = KalmanFilter().fit(
        DecodingData(
            Recording(
                RECORDING.spikes, RECORDING.movement, quantity="velocity"
            ),
            TIMESTEPS,
        )
    )
    assert KalmanFilter().fit(data).lag == base.lag + 3


def test_kalman_takes_the_position_that_it_is_given():
    position = np.zeros_like(RECORDING.movement, dtype="float64")
    for number in np.unique(RECORDING.segment):
        inside = RECORDING.segment == number
        position[inside] = RECORDING.movement[inside].cumsum(axis=0)
    own = KalmanFilter([0]).fit(DATA)
    given = KalmanFilter([0], position=position).fit(DATA)
    np.testing.assert_allclose(
        own.predict(DATA), given.predict(DATA), rtol=1e-5, atol=1e-6
    )
    other = KalmanFilter([0], position=position**2).fit(DATA)
    assert np.abs(own.predict(DATA) - other.predict(DATA)).max() > 0.01


def test_a_gain_that_cannot_be_computed_is_told(monkeypatch):
    """NumPy says "Singular matrix", of a noise scale of 1e-300 for one."""

    def singular(*given):
        raise np.linalg.LinAlgError("Singular matrix")

    monkeypatch.setattr(kalman, "settled_gain", singular)
    with pytest.raises(ValueError, match="found no gain that is finite"):
        KalmanFilter([0, 1]).fit(DATA)
