import dataclasses
import functools

import numpy as np
import pytest

import keras_seqattn as ks
from keras_seqattn import decoding
from keras_seqattn.decoding.training import DecoderTrainer
from keras_seqattn.decoding.training import _steps
from keras_seqattn.decoding.training import every_step
from tests.decoding.test_compare import RECIPE
from tests.decoding.test_compare import RECORDING

TIMESTEPS = 4
DATA = decoding.DecodingData(RECORDING, TIMESTEPS)
BUILD = functools.partial(
    ks.models.build_neural_decoder, units=8, head_units=8, dropout=0.1
)


def train(build, pooling="last"):
    recipe = dataclasses.replace(RECIPE, epochs=2)
    return DecoderTrainer(DATA, build, (0, 1), recipe, 0).train(
        pooling, TIMESTEPS
    )


@pytest.mark.parametrize("part, bins", [("train", 2), ("validation", 1)])
def test_every_bin_of_a_window_and_what_it_counts(part, bins):
    x, y, weights = every_step(DATA, part, TIMESTEPS, TIMESTEPS)
    np.testing.assert_array_equal(x, DATA.windows(part)[0])
    for back in range(TIMESTEPS):
        np.testing.assert_allclose(
            DATA.movement_standardizer.inverse(y[:, TIMESTEPS - 1 - back]),
            RECORDING.movement[DATA.ends[part] - back],
            atol=1e-4,
        )
    expected = np.zeros(TIMESTEPS)
    expected[-bins:] = TIMESTEPS / bins
    np.testing.assert_allclose(weights, np.tile(expected, (len(x), 1)))


def test_bins_that_are_not_scored_teach_nothing():
    scored = np.arange(1500) % 7 != 3
    data = decoding.DecodingData(
        dataclasses.replace(RECORDING, scored=scored), TIMESTEPS
    )
    _, _, weights = every_step(data, "train", TIMESTEPS, TIMESTEPS)
    bins = data.ends["train"][:, None] - np.arange(TIMESTEPS)[::-1]
    expected = scored[bins] * (np.arange(TIMESTEPS) > 1)
    np.testing.assert_array_equal(weights > 0, expected)
    assert weights[:, -1].all() and weights.mean() == pytest.approx(1)


def test_steps_of_two_bins_end_with_the_newest():
    _, y, weights = every_step(DATA, "train", 3, 1)
    np.testing.assert_array_equal(y[:, 0], DATA.windows("train", 3)[1])
    np.testing.assert_array_equal(weights, np.ones((len(y), 1)))
    _, y, _ = every_step(DATA, "train", TIMESTEPS, 2)
    for back, step in ((0, 1), (2, 0)):
        np.testing.assert_allclose(
            DATA.movement_standardizer.inverse(y[:, step]),
            RECORDING.movement[DATA.ends["train"] - back],
            atol=1e-4,
        )


@pytest.mark.parametrize("timesteps", range(2, 13))
@pytest.mark.parametrize("bins", [1, 2, 3, 4])
def test_steps_are_known_or_not_used(timesteps, bins):
    """For no other number of bins are there as many steps."""
    if bins > timesteps:
        return
    build = functools.partial(
        BUILD, timesteps, 2, 2, bins_per_step=bins, cell="rnn"
    )
    steps = timesteps // bins
    same = [n for n in range(1, timesteps + 1) if timesteps // n == steps]
    known = same == [bins] or steps == 1
    assert _steps(build, timesteps) == (steps if known else None)


def test_a_decoder_learns_from_every_bin_and_is_scored_on_the_newest():
    trained = train(BUILD)
    x, y = DATA.windows("validation")
    for seed in (0, 1):
        model = BUILD(TIMESTEPS, 12, 2, pooling="last")
        model.set_weights(trained.weights[seed])
        decoded = model.predict(x, verbose=0)
        assert trained.losses[seed] == pytest.approx(
            np.mean((decoded - y) ** 2), rel=1e-4
        )
        assert trained.scores("validation")[seed].r2 == pytest.approx(
            DATA.score("validation", decoded).r2, abs=1e-5
        )
    # What two epochs on the newest bin alone reach.
    newest = train(_only(BUILD, "last"))
    assert np.mean(trained.losses) < np.mean(newest.losses)


@pytest.mark.parametrize("kind", ["bidirectional", "refuses", "takes no note"])
def test_a_decoder_of_windows_alone_learns_from_the_newest_bin(kind):
    build = {
        "bidirectional": functools.partial(BUILD, bidirectional=True),
        "refuses": _only(BUILD, "refuses"),
        "takes no note": _only(BUILD, "last"),
    }[kind]
    trained = train(build)
    x, y = DATA.windows("validation")
    for seed, score in enumerate(trained.scores("validation")):
        model = build(TIMESTEPS, 12, 2, pooling="last")
        model.set_weights(trained.weights[seed])
        decoded = model.predict(x, verbose=0)
        assert score.r2 == pytest.approx(
            DATA.score("validation", decoded).r2, abs=1e-5
        )
        assert trained.losses[seed] == pytest.approx(
            np.mean((decoded - y) ** 2), rel=1e-4
        )


def _only(build, kind):
    def own(*arguments, pooling):
        if pooling == "every" and kind == "refuses":
            raise ValueError("no such pooling")
        return build(*arguments, pooling="last")

    return own
