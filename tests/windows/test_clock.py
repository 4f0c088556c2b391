import dataclasses
import json

import numpy as np
import pytest

from keras_seqattn.windows import SignalOptions
from keras_seqattn.windows.clock import common_rate
from keras_seqattn.windows.clock import stream_rate
from keras_seqattn.windows.clock import stretches
from keras_seqattn.windows.clock import to_grid

N = np.arange(1000)
JITTER = np.random.default_rng(0).uniform(-0.005, 0.005, 1000)


@pytest.mark.parametrize(
    "stamps, rate, seams",
    [
        (N // 3 * 3 / 50, 50, 0),
        (N // 2 * 2 / 50, 50, 0),
        (np.floor(N / 50), 50, 0),
        (np.floor(N / 50 + 0.5), 50, 0),
        *((np.round(N / hz, 3), hz, 0) for hz in (33.3, 64, 80, 133, 400, 800)),
        (1.7e9 + N / 50 + JITTER, 50, 0),
        (N / 50 + 60 * (N > 500), 50, 1),
        (np.where(N > 500, N - 500, N) / 50, 50, 1),
        (np.delete(N / 50, [100, 101, 300]), 50, 0),
    ],
)
def test_rate_of_stamps(stamps, rate, seams):
    found = stretches(stamps, "own.csv")
    assert len(found) == seams + 1
    assert stream_rate(found, N, "own.csv") == pytest.approx(rate, rel=3e-3)
    times = np.concatenate([part.times for part in found])
    if not seams and len(stamps) == len(N):
        assert np.abs(times - times[0] - N / rate).max() < 1.5 / rate


def test_no_one_rate_and_no_time():
    changed = np.concatenate([N[:500] / 50, 10 + N[:500] / 100])
    found = stretches(changed, "own.csv")
    with pytest.raises(ValueError, match="about 100 Hz from row 502 on, 50 Hz"):
        stream_rate(found, N + 2, "own.csv")
    with pytest.raises(ValueError, match="must rise from sample to sample"):
        stretches(np.ones(9), "own.csv")


def test_what_is_too_fast_for_the_new_rate_is_taken_out():
    times = np.arange(1000) / 100
    slow, fast = (np.sin(2 * np.pi * f * times) for f in (2, 35))
    (part,) = stretches(times, "own.csv")
    grid = np.arange(400) / 40
    found = to_grid(part, np.stack([slow, slow + fast], 1), grid, 40)
    truth = np.sin(2 * np.pi * 2 * grid)
    assert np.abs(found - truth[:, None])[40:-40].max() < 0.03


def test_rates_of_several():
    assert common_rate({"a": 49.999, "b": 50.001}) == 50
    assert common_rate({"a": 133.0, "b": 90.2}) == 90.2
    with pytest.raises(ValueError, match="10 Hz in b, 100 Hz in a"):
        common_rate({"a": 100.0, "b": 10.0})


def test_options_of_signals():
    names = ("ax", "ay", "az", "gx", "gy", "gz")
    rng = np.random.default_rng(0)
    signal = np.concatenate(
        [
            np.add([0, 0, 9.81], rng.normal(size=(500, 3))),
            rng.normal(size=(500, 3)),
        ],
        axis=1,
    )
    segment = np.repeat([0, 1], 250)
    options = SignalOptions(gravity=True, magnitude=True)
    found, channels = options.apply(signal, segment, names, 50)
    assert channels == (
        *names, *(f"gravity_{n}" for n in names[:3]),
        "a_magnitude", "g_magnitude",
    )  # fmt: skip
    np.testing.assert_allclose(found[:, :3] + found[:, 6:9], signal[:, :3])
    np.testing.assert_allclose(found[200:250, 8], 9.81, atol=0.5)
    np.testing.assert_allclose(
        found[:, 10], np.linalg.norm(signal[:, 3:], axis=1)
    )
    # Causal: the past does not depend on what follows.
    half, _ = options.apply(signal[:100], segment[:100], names, 50)
    np.testing.assert_allclose(half, found[:100])
    copy = SignalOptions(**json.loads(json.dumps(options.to_dict())))
    assert copy == options
    for wrong, message in (
        ({"gravity": 1}, "`gravity` must be True or False"),
        ({"lowpass": 0}, "`lowpass` must be a finite number above 0"),
    ):
        with pytest.raises(ValueError, match=message):
            dataclasses.replace(options, **wrong)
    with pytest.raises(ValueError, match=r"below half the rate.*25 Hz at a"):
        SignalOptions(lowpass=25).apply(signal, segment, names, 50)
    with pytest.raises(ValueError, match="needs acceleration"):
        options.apply(signal[:, 3:], segment, names[3:], 50)
