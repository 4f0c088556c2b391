import keras
import numpy as np
import pytest

from keras_seqattn.windows.batches import WindowBatches
from keras_seqattn.windows.batches import class_weights
from keras_seqattn.windows.standardizer import Standardizer

X = np.random.default_rng(0).normal(3, 2, size=(23, 5, 2)).astype("float32")
Y = np.arange(23) % 3


def labels(batches):
    return [y.tolist() for _, y in batches]


def test_batches_in_order():
    batches = WindowBatches(X, Y, 10)
    assert len(batches) == 3
    assert labels(batches) == [[*Y[:10]], [*Y[10:20]], [*Y[20:]]]
    np.testing.assert_array_equal(np.concatenate([x for x, _ in batches]), X)
    whole = WindowBatches(X, Y, 10, drop_remainder=True)
    assert labels(whole) == labels(batches)[:2]
    batches.epoch = 1
    assert batches[0][1].tolist() == [*Y[:10]]


def test_an_epoch_and_a_seed_have_their_own_order():
    number = np.arange(23)
    batches = WindowBatches(X, number, 10, shuffle=True, seed=1)
    orders = []
    for epoch in range(3):
        order = np.concatenate([y for _, y in batches])
        expected = np.random.default_rng((1, epoch)).permutation(23)
        np.testing.assert_array_equal(order, expected)
        # Windows and labels stay together.
        np.testing.assert_array_equal(
            np.concatenate([x for x, _ in batches]), X[order]
        )
        orders.append(order.tolist())
        batches.epoch += 1
    assert orders[0] != orders[1] != orders[2]
    batches.epoch = 1
    assert np.concatenate([y for _, y in batches]).tolist() == orders[1]


def test_training_statistics_standardize_each_channel():
    standardizer = Standardizer.fit(X[:15], axis=(0, 1))
    pooled = Standardizer.fit(X[:15].reshape(-1, 2))
    np.testing.assert_allclose(standardizer.mean, pooled.mean, rtol=1e-12)
    np.testing.assert_allclose(standardizer.scale, pooled.scale, rtol=1e-12)
    batches = WindowBatches(X, Y, 15, standardizer=standardizer)
    first = batches[0][0]
    assert first.dtype == np.float32
    np.testing.assert_allclose(first.mean(axis=(0, 1)), 0, atol=1e-6)
    np.testing.assert_allclose(first.std(axis=(0, 1)), 1, atol=1e-5)
    assert abs(batches[1][0].mean()) > 1e-3


def test_augmented_copies_differ_by_batch_and_epoch():
    def augment(x, y, rng):
        return x + rng.normal(), y.astype("float64")

    batches = WindowBatches(X, Y, 10, augment=augment, seed=4)
    shifts = []
    for epoch in (0, 1, 0):
        batches.epoch = epoch
        for i, (x, y) in enumerate(batches):
            shift = np.random.default_rng((4, epoch, i)).normal()
            expected = X[10 * i : 10 * i + 10] + np.float32(shift)
            np.testing.assert_allclose(x, expected, rtol=1e-5, atol=1e-6)
            assert x.dtype == X.dtype and y.dtype == Y.dtype
            shifts.append(shift)
    assert len(set(shifts)) == 6


def test_integers_are_augmented_as_floats():
    counts = np.arange(12, dtype="uint16")[:, None]
    batches = WindowBatches(
        counts, np.arange(12), 12, augment=lambda x, y, rng: (x - 1.5, y)
    )
    x = batches[0][0]
    assert x.dtype == np.float32
    np.testing.assert_array_equal(x[:, 0], np.arange(12) - 1.5)


def small_model():
    keras.utils.set_random_seed(0)
    model = keras.Sequential(
        [keras.Input((5, 2)), keras.layers.Flatten(), keras.layers.Dense(3)]
    )
    model.compile("sgd", keras.losses.SparseCategoricalCrossentropy(True))
    return model


def test_fit_trains_on_the_batches_of_each_epoch():
    standardizer = Standardizer.fit(X, axis=(0, 1))
    batches = WindowBatches(X, Y, 10, shuffle=True, standardizer=standardizer)
    model = small_model()
    weights = class_weights(Y)
    # The second call goes on where the first one ended.
    for epochs in (1, 2):
        model.fit(
            batches,
            epochs=epochs,
            shuffle=False,
            verbose=0,
            class_weight=weights,
        )
    assert batches.epoch == 2
    assert_trained_by_hand(model, standardizer, 10, epochs=3, weights=weights)


def assert_trained_by_hand(model, standardizer, size, epochs, weights=None):
    """Raise unless `model` is as trained batch by batch, in their order."""
    again = small_model()
    standardized = standardizer.transform(X)
    for epoch in range(epochs):
        order = np.random.default_rng((0, epoch)).permutation(23)
        for start in range(0, 23, size):
            chosen = order[start : start + size]
            again.train_on_batch(
                standardized[chosen], Y[chosen], class_weight=weights
            )
    for one, other in zip(
        model.get_weights(), again.get_weights(), strict=True
    ):
        np.testing.assert_allclose(one, other, atol=1e-6)


def test_a_tensorflow_pipeline_of_the_same_batches():
    standardizer = Standardizer.fit(X, axis=(0, 1))
    options = {"shuffle": True, "seed": 3, "standardizer": standardizer}
    expected = WindowBatches(X, Y, 10, **options)
    pipeline = WindowBatches(X, Y, 10, **options).to_tensorflow()
    assert int(pipeline.cardinality()) == 3
    for epoch in range(2):
        expected.epoch = epoch
        for one, other in zip(
            pipeline.as_numpy_iterator(), expected, strict=True
        ):
            np.testing.assert_array_equal(one[0], other[0])
            np.testing.assert_array_equal(one[1], other[1])
    whole = WindowBatches(X, Y, 10, drop_remainder=True).to_tensorflow()
    assert whole.element_spec[0].shape == (10, 5, 2)


def test_fit_trains_on_the_batches_of_a_tensorflow_pipeline():
    standardizer = Standardizer.fit(X, axis=(0, 1))
    batches = WindowBatches(X, Y, 5, shuffle=True, standardizer=standardizer)
    pipeline = batches.to_tensorflow()
    # Used in between, it changes nothing.
    batches.epoch = 7
    model = small_model()
    for epochs in (1, 2):
        model.fit(pipeline, epochs=epochs, shuffle=False, verbose=0)
    assert batches.epoch == 7
    assert_trained_by_hand(model, standardizer, 5, epochs=3)


def test_class_weights_weigh_classes_equally():
    y = np.array([0, 0, 0, 0, 0, 0, 2, 2, 2, 5])
    weights = class_weights(y)
    assert set(weights) == {0, 2, 5}
    totals = [weights[label] * np.sum(y == label) for label in weights]
    np.testing.assert_allclose(totals, len(y) / 3)


def test_arguments_out_of_range():
    with pytest.raises(ValueError, match=r"equally many windows.*\(22,\)"):
        WindowBatches(X, Y[:-1])
    with pytest.raises(ValueError, match=r"enough windows for a batch.*23"):
        WindowBatches(X, Y, 24, drop_remainder=True)
    with pytest.raises(ValueError, match="enough windows for a batch"):
        WindowBatches(X[:0], Y[:0])
    with pytest.raises(ValueError, match="`batch_size` must be a positive"):
        WindowBatches(X, Y, 0)
    with pytest.raises(ValueError, match="`epoch` must be an integer that"):
        WindowBatches(X, Y).epoch = -1
    with pytest.raises(ValueError, match="`seed` must be an integer that"):
        WindowBatches(X, Y, seed=-1)


@pytest.mark.parametrize(
    ("x", "message"),
    [
        (-1, "equally many windows. Received: shapes \\(\\)"),
        ([], "equally many windows. Received: shapes \\(0,\\)"),
        ([1j, 0], "`x` must hold numbers"),
        (["1", "2"], "`x` must hold numbers"),
        (np.ma.array([1, 2], mask=[0, 1]), "`x` must not be masked"),
    ],
)
def test_what_is_no_array_of_windows(x, message):
    with pytest.raises(ValueError, match=message):
        WindowBatches(x, np.arange(2))


def test_numbers_that_float32_does_not_hold():
    standardizer = Standardizer.fit(np.array([[0.0], [1.0]]))
    batches = WindowBatches(
        np.array([[1.0], [1e300]]), [0, 1], 1, standardizer=standardizer
    )
    np.testing.assert_array_equal(batches[0][0], [[1.0]])
    with pytest.raises(ValueError, match="must stay finite in float32"):
        batches[1]


def test_what_is_no_label_has_no_weight():
    with pytest.raises(ValueError, match="`y` must hold labels"):
        class_weights(np.array([], "int64"))
    for y in (np.eye(3)[[0, 1, 1]], np.eye(3, dtype="int64")):
        with pytest.raises(ValueError, match="`y` must be of rank 1"):
            class_weights(y)
    for y in ([0.0, 1.0], ["a", "b"], [True, False]):
        with pytest.raises(ValueError, match="`y` must hold integers"):
            class_weights(y)
