import itertools

import keras
import numpy as np
import pytest

import keras_seqattn as ks

BATCH, TIME, FEATURES = 4, 6, 3


def pairs(count=None, outputs=None, seed=0):
    """Batch first: inputs in float64, and integers or floats to be put out."""
    rng = np.random.default_rng(seed)
    for _ in itertools.repeat(None) if count is None else range(count):
        x = rng.normal(size=(BATCH, TIME, FEATURES))
        if outputs is None:
            yield x, rng.integers(3, size=(BATCH, TIME))
        else:
            yield x, rng.normal(size=(BATCH, TIME, outputs))


def expected(count, **arguments):
    return list(pairs(count, **arguments))


def assert_pairs(got, want):
    for (x, y), (inputs, targets) in zip(got, want, strict=True):
        assert x.dtype == np.float32
        np.testing.assert_array_equal(x, inputs.astype("float32"))
        np.testing.assert_allclose(y, targets, rtol=1e-7)


class BothWays:
    """An iterator that can be called, as neurogym's `Dataset` is."""

    def __init__(self):
        self.pairs = pairs()

    def __iter__(self):
        return self

    def __next__(self):
        return next(self.pairs)

    def __call__(self, *arguments):
        return next(self.pairs)


@pytest.mark.parametrize(
    "source",
    [
        pairs,
        lambda: BothWays(),
        lambda: pairs().__next__,
        lambda: list(pairs(3)),
        lambda: [list(pair) for pair in pairs(3)],
    ],
    ids=["generator", "both", "function", "list", "lists"],
)
def test_pairs_as_they_come(source):
    trials = ks.tasks.TrialBatches(source(), steps=3)
    assert len(trials) == trials.num_batches == 3
    assert_pairs([trials[0], trials[1], trials[2]], expected(3))
    # Held: looking again draws nothing.
    assert_pairs([trials[2], trials[0]], [expected(3)[i] for i in (2, 0)])


@pytest.mark.parametrize("outputs", [None, 2])
def test_time_major(outputs):
    def source():
        for x, y in pairs(outputs=outputs):
            yield x.swapaxes(0, 1), y.swapaxes(0, 1)

    trials = ks.tasks.TrialBatches(source(), steps=2, time_major=True)
    assert_pairs([trials[0], trials[1]], expected(2, outputs=outputs))


@pytest.mark.parametrize(
    "dtype, kept",
    [
        ("int64", "int64"),
        ("uint8", "uint8"),
        ("bool", "bool"),
        ("float64", "float32"),
        ("float16", "float32"),
    ],
)
def test_targets_mean_what_they_did(dtype, kept):
    x, y = next(pairs())
    (_, got) = ks.tasks.TrialBatches([(x, y.astype(dtype))], steps=1)[0]
    assert got.dtype == kept
    np.testing.assert_array_equal(got, y.astype(dtype))


def test_what_a_source_writes_into_again():
    """neurogym yields views of an array that it fills anew."""
    x, y = np.zeros((BATCH, TIME, 1), "float32"), np.zeros((BATCH, TIME), int)

    def source():
        for number in itertools.count():
            x[...], y[...] = number, number
            yield x, y

    trials = ks.tasks.TrialBatches(source(), steps=3)
    assert [float(trials[i][0].mean()) for i in range(3)] == [0, 1, 2]
    assert [float(trials[i][1].mean()) for i in range(3)] == [0, 1, 2]


def mean_model():
    """Its one weight goes to the mean of what it is trained on."""
    x = keras.Input((TIME, 1))
    y = keras.layers.Dense(1, use_bias=False, kernel_initializer="zeros")(x)
    model = keras.Model(x, y)
    model.compile(keras.optimizers.SGD(0.25), "mse")
    return model


def ones_and(targets):
    for target in targets:
        shape = BATCH, TIME, 1
        yield np.ones(shape), np.full(shape, float(target))


def test_fit_sees_each_pair_once():
    """The weight after each step is that of the pairs in order."""
    targets = [3, -1, 4, 1, -5, 9, 2, 6, 5]
    # Exactly as many as there are: a look ahead must not lose any.
    trials = ks.tasks.TrialBatches(ones_and(targets), steps=3)
    model = mean_model()
    model.fit(trials, epochs=3, shuffle=False, verbose=0)
    weight = 0.0
    for target in targets:
        weight -= 0.25 * 2 * (weight - target)
    np.testing.assert_allclose(model.get_weights()[0], weight, rtol=1e-5)


def test_an_epoch_of_fewer_steps_goes_on_with_the_next():
    targets = [3, -1, 4, 1, -5, 9, 2, 6]
    trials = ks.tasks.TrialBatches(ones_and(targets), steps=4)
    model = mean_model()
    model.fit(trials, epochs=4, steps_per_epoch=2, shuffle=False, verbose=0)
    weight = 0.0
    for target in targets:
        weight -= 0.25 * 2 * (weight - target)
    np.testing.assert_allclose(model.get_weights()[0], weight, rtol=1e-5)


def test_batches_are_those_of_an_epoch():
    trials = ks.tasks.TrialBatches(pairs(), steps=2)
    assert_pairs(trials, expected(2))
    for index in (-1, 2):
        with pytest.raises(IndexError, match=f"0 to 1. Received: {index}"):
            trials[index]


def test_an_unbuilt_model_and_an_evaluation():
    trials = ks.tasks.TrialBatches(ones_and(range(1, 100)), steps=3)
    model = keras.Sequential(
        [keras.layers.Dense(1, use_bias=False, kernel_initializer="zeros")]
    )
    model.compile(keras.optimizers.SGD(0.25), "mse")
    model.fit(trials, epochs=1, shuffle=False, verbose=0)
    weight = 0.0
    for target in (1, 2, 3):
        weight -= 0.5 * (weight - target)
    np.testing.assert_allclose(model.get_weights()[0], weight, rtol=1e-5)
    # Of the next three.
    loss = model.evaluate(trials, verbose=0)
    squares = [(weight - target) ** 2 for target in (4, 5, 6)]
    np.testing.assert_allclose(loss, np.mean(squares), rtol=1e-5)


def test_classes_at_each_step():
    """The loss at the start is that of zero logits, on integer targets."""
    trials = ks.tasks.TrialBatches(pairs(), steps=4)
    inputs = keras.Input((None, FEATURES))
    dense = keras.layers.Dense(3, "softmax", kernel_initializer="zeros")
    model = keras.Model(inputs, dense(inputs))
    model.compile("sgd", "sparse_categorical_crossentropy")
    loss = model.evaluate(trials, verbose=0)
    np.testing.assert_allclose(loss, np.log(3), rtol=1e-5)


def test_a_source_that_ends():
    with pytest.raises(ValueError, match=r"Received: 0 pairs, steps=2"):
        ks.tasks.TrialBatches([], steps=2)
    trials = ks.tasks.TrialBatches(pairs(2), steps=3)
    assert_pairs([trials[0], trials[1]], expected(2))
    with pytest.raises(
        ValueError,
        match=r"must not end before the last epoch does: use fewer `steps`.*"
        "Received: 2 pairs, steps=3",
    ):
        trials[2]


X, Y = next(pairs())


def spoilt(array, value):
    array = array.astype("float64")
    array[1, 2] = value
    return array


@pytest.mark.parametrize(
    "pair, message",
    [
        (X, r"must yield pairs .* Received: a ndarray of 4, as pair 1 from 0"),
        ((X, Y, Y), r"leave out what is more.* Received: a tuple of 3"),
        (None, r"must yield pairs .* Received: a NoneType, as pair 1"),
        (pairs(), r"call a function that makes a .* Received: a generator"),
        ({"x": X, "y": Y}, r"Received: a dict of 2"),
        ((X[0], Y), r"`inputs` must be of rank 3, \(batch, time, features\)"),
        ((X, Y[0]), r"`targets` must be of rank 2 or 3, \(batch, time\) or"),
        ((X, Y[:, :-1]), r"same \(batch, time\).*\(4, 6, 3\) and \(4, 5\), as"),
        ((X[1:], Y), r"same \(batch, time\).*\(3, 6, 3\) and \(4, 6\), as p"),
        ((X, Y.T), r"same \(batch, time\).*\(4, 6, 3\) and \(6, 4\), as pai"),
        ((spoilt(X, np.nan), Y), r"`inputs` must hold finite.*: 3 others, as"),
        ((spoilt(X, 1e300), Y), r"`inputs` must hold finite.*: 3 others, as"),
        ((X, spoilt(Y, np.inf)), r"`targets` must hold finite.*: 1 others"),
        ((X.astype(str), Y), r"`inputs` must hold numbers. Received: inputs.d"),
        ((X, Y.astype(complex)), r"`targets` must hold numbers. Received: ta"),
        ((X[:, :0], Y[:, :0]), r"`inputs` must not be empty.*\(4, 0, 3\)"),
        ((X[:2], Y[:2]), r"pad short trials.*Expected, batch first: \(\(4, 6"),
        ((X[..., :2], Y), r"pairs of the same shapes.*Received: \(\(4, 6, 2"),
        ((X, Y[..., None]), r"same shapes.*Received: \(\(4, 6, 3\), \(4, 6, "),
    ],
)
def test_what_is_no_pair_of_trials(pair, message):
    trials = ks.tasks.TrialBatches([(X, Y), pair], steps=2)
    with pytest.raises(ValueError, match=message):
        trials[1]


def test_errors_come_at_once():
    with pytest.raises(ValueError, match="`inputs` must hold finite"):
        ks.tasks.TrialBatches([(spoilt(X, np.nan), Y)], steps=2)
    with pytest.raises(ValueError, match=r"same \(time, batch\).*\(4, 6, 3\)"):
        ks.tasks.TrialBatches([(X, Y.T)], steps=2, time_major=True)


def test_errors_in_fit_keep_their_text():
    """On TensorFlow the error is its own."""
    trials = ks.tasks.TrialBatches(ones_and(range(4)), steps=3)
    with pytest.raises(Exception, match="use fewer `steps` or epochs"):
        mean_model().fit(trials, epochs=2, verbose=0)


@pytest.mark.parametrize(
    "arguments, message",
    [
        ({"source": 3}, "`source` must be an iterator, an iterable or a func"),
        ({"steps": 0}, "`steps` must be a positive integer"),
        ({"time_major": 1}, "`time_major` must be True or False"),
    ],
)
def test_bad_settings(arguments, message):
    with pytest.raises(ValueError, match=message):
        ks.tasks.TrialBatches(**{"source": [(X, Y)], "steps": 1, **arguments})
