import dataclasses
import math

import keras
import numpy as np
import pytest

import keras_seqattn as ks

SMALL = ks.tasks.Sinusoids(inputs=5, targets=2, steps=60, seed=3)


def reference_channels(task):
    """Draw and compute one number at a time."""
    rng = np.random.default_rng(task.seed)
    channels = []
    for _ in range(task.inputs + task.targets):
        w1 = rng.uniform(0.01, 0.04)
        f1 = rng.uniform(0, 20)
        a1 = rng.uniform(0.1, 0.3)
        w2 = rng.uniform(0.01, 0.05)
        f2 = rng.uniform(0, 20)
        a2 = rng.uniform(0.1, 0.3)
        channels.append(
            [
                0.2
                + a1 / 2 * (math.sin(w1 * t + f1) + 1)
                + a2 / 2 * (math.cos(w2 * t + f2) + 1)
                for t in range(task.steps)
            ]
        )
    return np.array(channels).T[None]


def small_chunks(**arguments):
    return ks.tasks.TaughtChunks(
        *SMALL.sample(),
        **{"chunk_steps": 20, "teacher_probability": 0.4, **arguments},
    )


def test_channels_from_the_draws():
    x, y = SMALL.sample()
    assert x.dtype == y.dtype == np.float32
    assert x.shape == (1, 60, 5) and y.shape == (1, 60, 2)
    want = reference_channels(SMALL)
    got = np.concatenate([x, y], axis=-1)
    np.testing.assert_allclose(got, want, rtol=0, atol=1e-7)


def test_defaults():
    x, y = ks.tasks.Sinusoids().sample()
    assert x.shape == (1, 2000, 500) and y.shape == (1, 2000, 3)
    low, high = x.min(axis=(0, 1)), x.max(axis=(0, 1))
    assert low.min() >= 0.2 and high.max() <= 0.8
    # Channels go from 0.2 to 0.2 + A1 + A2 where both waves are at an end.
    assert low.min() < 0.21 and high.max() > 0.75
    np.testing.assert_allclose(x.mean(), 0.2 + 0.1 + 0.1, atol=0.01)
    # Two waves of variance A^2 / 8, A uniform with E(A^2) = 0.13 / 3.
    variance = np.var(x, axis=1).mean()
    np.testing.assert_allclose(variance, 2 * 0.13 / 3 / 8, rtol=0.06)


def test_seeds():
    again = dataclasses.replace(SMALL)
    other = dataclasses.replace(SMALL, seed=4)
    for one, same, new in zip(
        SMALL.sample(), again.sample(), other.sample(), strict=True
    ):
        np.testing.assert_array_equal(one, same)
        assert np.any(one != new)
    # More steps go on where fewer end.
    longer = dataclasses.replace(SMALL, steps=70)
    np.testing.assert_array_equal(longer.sample()[0][:, :60], SMALL.sample()[0])


def test_reference_levels_against_the_normal_equations():
    x, y = (a[0].astype(np.float64) for a in SMALL.sample())
    levels = SMALL.reference_levels()
    assert levels["mean"] == pytest.approx(np.var(y, axis=0).mean())
    x = np.c_[np.ones(60), x]
    weights = np.linalg.inv(x.T @ x) @ x.T @ y
    error = sum(
        (y[t, k] - sum(x[t] * weights[:, k])) ** 2
        for t in range(60)
        for k in range(2)
    )
    assert levels["linear"] == pytest.approx(error / 120, rel=1e-4)
    assert levels["linear"] < levels["mean"]


def test_reference_levels_of_the_defaults():
    levels = ks.tasks.Sinusoids().reference_levels()
    assert levels["mean"] == pytest.approx(0.00893, abs=1e-5)
    assert levels["linear"] < 1e-12
    # Two inputs are far from enough.
    few = ks.tasks.Sinusoids(inputs=2).reference_levels()
    assert few["linear"] > 0.5 * few["mean"]


def test_chunks_are_the_whole():
    chunks = small_chunks()
    assert len(chunks) == chunks.num_batches == 3
    for got, want in zip(
        zip(*chunks, strict=True),
        (*SMALL.sample(), chunks.teacher(0)),
        strict=True,
    ):
        np.testing.assert_array_equal(np.concatenate(got, axis=1), want)


def test_the_teacher_is_drawn_for_each_step_of_each_epoch():
    x = np.zeros((4, 500, 1))
    chunks = ks.tasks.TaughtChunks(x, x, chunk_steps=100, seed=1)
    taught = np.stack([chunks.teacher(epoch) for epoch in range(100)])
    assert taught.shape == (100, 4, 500) and taught.dtype == np.float32
    assert set(np.unique(taught)) == {0, 1}
    # Steps, sequences and epochs are as if by themselves: a share of 0.05,
    # and pairs of neighbours along each axis as often as chance has it.
    deviation = math.sqrt(0.05 * 0.95 / taught.size)
    assert abs(taught.mean() - 0.05) < 4 * deviation
    for axis in range(3):
        neighbours = taught * np.roll(taught, 1, axis)
        deviation = math.sqrt(0.05**2 / taught.size)
        assert abs(neighbours.mean() - 0.05**2) < 4 * deviation
    # Counts in an epoch are binomial: neither fixed nor in runs.
    counts = taught.sum(axis=(1, 2))
    np.testing.assert_allclose(counts.var(), 2000 * 0.05 * 0.95, rtol=0.5)


def test_teacher_seeds():
    one, same, other = (small_chunks(seed=seed) for seed in (0, 0, 1))
    np.testing.assert_array_equal(one.teacher(7), same.teacher(7))
    assert np.any(one.teacher(7) != one.teacher(8))
    assert np.any(one.teacher(7) != other.teacher(7))
    assert small_chunks(teacher_probability=1).teacher(0).all()
    # The teacher of epoch 0 is not the stream that drew the sequences.
    drawn = np.random.default_rng(0).random((1, 60)) < 0.4
    assert np.any(one.teacher(0) != drawn)


class Seen(keras.callbacks.Callback):
    """What `chunks` says in the callbacks of `fit`."""

    def __init__(self, chunks):
        super().__init__()
        self.chunks = chunks
        self.epochs = []

    def on_epoch_end(self, epoch, logs=None):
        self.epochs.append(self.chunks.epoch)


def test_fit_draws_a_teacher_each_epoch():
    """Trains on the steps of `teacher(epoch)` and no other, in order."""
    chunks = small_chunks()
    x, y = SMALL.sample()
    model = keras.Sequential([keras.layers.Dense(2)])
    model.compile(keras.optimizers.SGD(0.5), "mse")
    model.build((None, None, 5))
    weights, bias = (w.astype(np.float64) for w in model.get_weights())
    seen = Seen(chunks)
    for _ in range(2):
        model.fit(chunks, epochs=2, shuffle=False, verbose=0, callbacks=[seen])
    assert seen.epochs == [0, 1, 2, 3]
    for epoch in range(4):
        teacher = chunks.teacher(epoch)
        for start in (0, 20, 40):
            steps = slice(start, start + 20)
            inputs, taught = x[0, steps], teacher[0, steps, None]
            error = taught * (inputs @ weights + bias - y[0, steps])
            # A mean over the steps, taught or not. That over the two outputs
            # takes the 2 of the square's derivative away.
            weights -= 0.5 * inputs.T @ error / 20
            bias -= 0.5 * error.sum(axis=0) / 20
    np.testing.assert_allclose(model.get_weights()[0], weights, atol=1e-5)
    np.testing.assert_allclose(model.get_weights()[1], bias, atol=1e-5)


def test_an_unbuilt_model_starts_with_epoch_0():
    """Keras looks at a chunk to build it."""
    chunks = small_chunks()
    model = keras.Sequential([keras.layers.Dense(2)])
    model.compile("sgd", "mse")
    seen = Seen(chunks)
    model.fit(chunks, epochs=3, shuffle=False, verbose=0, callbacks=[seen])
    assert seen.epochs == [0, 1, 2]


@pytest.mark.parametrize(
    "arguments, message",
    [
        ({"inputs": 0}, "`inputs` must be a positive integer. Received"),
        ({"targets": 1.5}, "`targets` must be a positive integer. Received"),
        ({"steps": -1}, "`steps` must be a positive integer. Received"),
        ({"seed": -1}, "`seed` must be an integer that is not negative"),
        ({"seed": None}, "`seed` must be an integer that is not negative"),
    ],
)
def test_bad_settings(arguments, message):
    with pytest.raises(ValueError, match=message):
        ks.tasks.Sinusoids(**arguments)


@pytest.mark.parametrize(
    "arguments, message",
    [
        ({"chunk_steps": 0}, "`chunk_steps` must be a positive integer"),
        (
            {"chunk_steps": 25},
            "must divide the number of steps, 60. Received: chunk_steps=25",
        ),
        (
            {"teacher_probability": 0},
            "`teacher_probability` must be a number above 0 and at most 1",
        ),
        (
            {"teacher_probability": 1.1},
            "above 0 and at most 1. Received: teacher_probability=1.1",
        ),
        ({"seed": 1.0}, "`seed` must be an integer that is not negative"),
    ],
)
def test_bad_chunks(arguments, message):
    with pytest.raises(ValueError, match=message):
        small_chunks(**arguments)


@pytest.mark.parametrize(
    "x, y", [((60, 5), (60, 2)), ((1, 60, 5), (1, 50, 2)), ((1, 60, 5), (60,))]
)
def test_bad_shapes(x, y):
    with pytest.raises(ValueError, match=r"`x` and `y` must .* Received: x.sh"):
        ks.tasks.TaughtChunks(np.zeros(x), np.zeros(y), chunk_steps=20)
