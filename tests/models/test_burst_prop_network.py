"""What `BurstPropNetwork` computes in mode "rate", against float64.

How it behaves as a Keras model: test_burst_prop_network_fit.py.
"""

import functools
import itertools

import keras
import numpy as np
import pytest

from keras_seqattn.learning_rules import load_digits
from keras_seqattn.models import BurstPropNetwork
from tests.backend import to_numpy
from tests.models.burst_prop_cases import CONFIGURATIONS
from tests.models.burst_prop_cases import RATES
from tests.models.burst_prop_cases import SIZES
from tests.models.burst_prop_cases import X
from tests.models.burst_prop_cases import Y
from tests.models.burst_prop_cases import compiled_network
from tests.models.burst_prop_cases import network
from tests.models.burst_prop_cases import random_layers
from tests.models.burst_prop_cases import train
from tests.reference.burst_prop import Trainer
from tests.reference.burst_prop import sigmoid
from tests.reference.burst_prop import sweep

FIT = {"batch_size": 8, "shuffle": False, "verbose": 0}


# The published numbers.


def golden_layers():
    def s(a, b, k):
        i, j = np.indices((a, b))
        return np.sin(k + b * i + j)

    sizes = [4, 3, 3, 2]
    return [
        {
            "W": s(sizes[k + 1], sizes[k], k + 1).T,
            "Y": s(sizes[k + 1], sizes[k], k + 11).T,
            "b": np.full(sizes[k + 1], 0.1),
            "Z": 0.1 * s(sizes[k + 1], sizes[k + 1], k + 21),
        }
        for k in range(3)
    ]


GOLDEN_X = 0.5 + 0.3 * np.sin(np.arange(2)[:, None] + np.arange(4))
GOLDEN_Y = np.eye(2)


@pytest.mark.parametrize(
    "recurrent, layer_1, layer_0",
    [
        (
            False,
            [-0.001175144, -0.003292655, -0.002096842],
            [3.280e-6, 8.303e-6, 3.813e-6],
        ),
        (
            True,
            [-0.001174549, -0.003289289, -0.002096608],
            [3.364e-6, 8.257e-6, 3.716e-6],
        ),
    ],
)
def test_golden_updates(recurrent, layer_1, layer_0):
    model = network(golden_layers(), recurrent=recurrent)
    found = model.bursts(model.event_rates(GOLDEN_X), GOLDEN_Y)
    np.testing.assert_allclose(
        to_numpy(found[-1].events),
        [[0.318033, 0.702290], [0.318402, 0.701875]],
        atol=1e-6,
    )
    for bursts, expected, digits in (
        (found[2], [-0.029582091, 0.029366789], 1e-5),
        (found[1], layer_1, 1e-5),
        (found[0], layer_0, 3e-4),  # printed with four digits
    ):
        np.testing.assert_allclose(
            to_numpy(bursts.update)[0], expected, rtol=digits
        )


GOLDEN_WEIGHTS = {
    "decay": {
        (0, "kernel"): [0.83978873, 0.90747936, 0.14083742, -0.75529003],
        (0, "bias"): [0.09999949, 0.09999873, 0.09999941],
        (1, "kernel"): [0.90759636, 0.14097232, -0.75526111],
        (1, "bias"): [0.10017971, 0.10050633, 0.10032107],
        (2, "kernel"): [0.14113034, -0.75513626, -0.95668786],
        (2, "bias"): [0.10044119, 0.09952718],
    },
    "everything": {
        (1, "kernel"): [0.90759626, 0.14097221, -0.75526114],
        (1, "bias"): [0.10017955, 0.10050587, 0.10032090],
        (0, "recurrent_kernel"): [0.08248419, -0.00199479, -0.08527968],
        (1, "recurrent_kernel"): [-0.00034775, -0.08433586, -0.08998848],
        (1, "feedback_kernel"): [-0.53538379, 0.41946142, 0.98865564],
        (2, "feedback_kernel"): [0.41961955, 0.98878051, 0.64930744],
    },
    "random": {
        (0, "kernel"): [0.84147083, 0.90929705, 0.14111952, -0.75680288],
        (1, "kernel"): [0.90941412, 0.14125448, -0.75677396],
        (2, "kernel"): [0.14141265, -0.75664906, -0.95860452],
        (1, "bias"): [0.10017973, 0.10050638, 0.10032108],
    },
}


@pytest.mark.parametrize("name", GOLDEN_WEIGHTS)
def test_golden_weights_after_two_updates(name):
    model = network(
        golden_layers(),
        recurrent_learning_rate=0.01,
        learning_rate_multipliers=[1, 1, 0.1],
        **CONFIGURATIONS[name],
    )
    model.compile(keras.optimizers.SGD(0.1, 0.8), "mse")
    model.fit(GOLDEN_X, GOLDEN_Y, epochs=2, **FIT)
    for (layer, weight), expected in GOLDEN_WEIGHTS[name].items():
        found = to_numpy(getattr(model.burst_layers[layer], weight))
        if weight in ("kernel", "feedback_kernel"):
            found = found.T  # printed as (out, in)
        np.testing.assert_allclose(
            found if weight == "bias" else found[0], expected, atol=5e-7
        )


# The relation to backpropagation.

DEEP = [64, 100, 100, 100, 10]


@functools.cache
def deep_batch():
    rng = np.random.default_rng(0)
    x = rng.uniform(size=(32, DEEP[0])).astype("float32")
    return x, np.eye(DEEP[-1])[rng.integers(DEEP[-1], size=32)]


def deep_layers(tied, gain=1.0):
    rng = np.random.default_rng(1)
    layers = []
    for shape in itertools.pairwise(DEEP):
        kernel = gain * (2 / sum(shape)) ** 0.5 * rng.normal(size=shape)
        layers.append(
            {
                "W": kernel,
                "Y": kernel if tied else rng.normal(size=shape),
                "b": np.zeros(shape[1]),
                "Z": np.zeros((shape[1], shape[1])),
            }
        )
    return layers


def angles(model, layers):
    """Degrees between each example's update and backprop's, per layer."""
    x, y = deep_batch()
    found = []
    for bursts, exact in zip(
        model.bursts(model.event_rates(x), y),
        sweep(layers, x, y)[1],
        strict=True,
    ):
        a, b = to_numpy(bursts.update).astype("float64"), exact["shadow"]
        cosine = (a * b).sum(1) / (
            np.linalg.norm(a, axis=1) * np.linalg.norm(b, axis=1)
        )
        found.append(np.degrees(np.arccos(np.clip(cosine, -1, 1))))
    return np.array(found)


def test_the_output_update_is_backprops():
    layers = deep_layers(tied=False)
    model = network(layers)
    x, y = deep_batch()
    found = model.bursts(model.event_rates(x), y)[-1].update
    exact = 0.2 * sweep(layers, x, y)[1][-1]["shadow"]
    assert np.abs(to_numpy(found) / exact - 1).max() < 1e-5


@pytest.mark.parametrize("recurrent", [False, True])
def test_every_hidden_update_obeys_the_mean_value_theorem(recurrent):
    """e (1 - e) (update Y^T), times a slope met between u and u'."""
    layers = deep_layers(tied=False)
    for layer in layers:
        layer["Z"] = np.random.default_rng(2).normal(0, 0.1, layer["Z"].shape)
    model = network(layers, recurrent=recurrent)
    x, y = deep_batch()
    found = model.bursts(model.event_rates(x), y)
    for n, bursts in enumerate(found[:-1]):
        e, u, update = (
            to_numpy(v).astype("float64")
            for v in (bursts.events, bursts.potential, bursts.update)
        )
        down = to_numpy(found[n + 1].update) @ layers[n + 1]["Y"].T
        taught = u - (1 - e) * down
        slopes = [sigmoid(v) * (1 - sigmoid(v)) for v in (u, taught)]
        low = np.minimum(*slopes)
        high = np.where(u * taught < 0, 0.25, np.maximum(*slopes))
        unit = e * (1 - e) * down
        ends = np.sort([low * unit, high * unit], axis=0)
        slack = 1e-5 * np.abs(unit) + 1e-9
        assert ((ends[0] - slack <= update) & (update <= ends[1] + slack)).all()


def test_tied_feedback_is_near_backprop():
    layers = deep_layers(tied=True)
    found = angles(network(layers, feedback="tied"), layers)
    assert found.max() < 2
    wide = deep_layers(tied=True, gain=3.6)
    assert angles(network(wide, feedback="tied"), wide).mean(1).max() < 15


def test_random_feedback_begins_orthogonal_to_backprop():
    layers = deep_layers(tied=False)
    found = angles(network(layers), layers).mean(1)
    assert (found[:-1] > 80).all() and (found[:-1] < 100).all()
    assert found[-1] < 0.1


def test_with_perfect_inhibition_tied_feedback_is_backprop():
    layers = deep_layers(tied=True)
    x, y = deep_batch()
    # The Z that cancels each potential on this batch, from the top down.
    for number in (2, 1, 0):
        found = sweep(layers, x, y)[1][number]
        layers[number]["Z"] = (np.linalg.pinv(found["prior"]) @ found["u"]).T
    model = network(layers, feedback="tied", recurrent=True)
    for bursts in model.bursts(model.event_rates(x), y)[:-1]:
        assert np.abs(to_numpy(bursts.potential)).max() < 1e-4
    assert angles(model, layers).max() < 0.05


def test_inhibition_learns_to_silence_the_potential():
    layers = deep_layers(tied=True)
    model = network(
        layers,
        feedback="tied",
        recurrent=True,
        recurrent_learning_rate=1e-3,
        learning_rate_multipliers=[0] * 4,
    )
    model.compile(keras.optimizers.SGD(0.1), "mse")
    x, y = deep_batch()

    def potentials():
        found = model.bursts(model.event_rates(x), y)[:-1]
        return np.array([np.abs(to_numpy(b.potential)).mean() for b in found])

    before = potentials()
    model.fit(x, y, batch_size=32, epochs=60, verbose=0)
    assert (potentials() < before / 5).all()


def test_kolen_pollack_feedback_approaches_the_kernel_at_the_decay():
    model = compiled_network(feedback="kolen_pollack", weight_decay=0.01)
    model.fit(X, Y, epochs=15, **FIT)
    for layer, start in list(
        zip(model.burst_layers, random_layers(), strict=True)
    )[1:]:
        found = to_numpy(layer.kernel) - to_numpy(layer.feedback_kernel)
        expected = 0.99**45 * (start["W"] - start["Y"])
        np.testing.assert_allclose(found, expected, atol=1e-4)


@pytest.mark.process
def test_it_learns():
    """Three classes in the plane that no line separates, three seeds."""
    for seed in range(3):
        keras.utils.set_random_seed(seed)
        rng = np.random.default_rng(seed)
        x = rng.normal(size=(300, 2)).astype("float32")
        y = np.digitize((x**2).sum(1), [0.8, 2.2])
        model = BurstPropNetwork([40, 3], feedback="kolen_pollack")
        model.compile(keras.optimizers.Adam(0.03), "mse", metrics=["accuracy"])
        history = model.fit(
            x, np.eye(3)[y], batch_size=50, epochs=80, verbose=0
        )
        assert history.history["accuracy"][-1] > 0.85, seed  # chance 0.36


@pytest.mark.process
def test_the_first_try_learns_digits():
    """Every default; outputs that began at 1/2 left errors of .28 to .46."""
    digits = load_digits()
    targets = keras.utils.to_categorical(digits.y_train)
    for seed in range(2):
        keras.utils.set_random_seed(seed)
        model = BurstPropNetwork([100, 10])
        model.compile("adam", "mse")
        model.fit(digits.x_train, targets, epochs=15, verbose=0)
        found = model.predict(digits.x_test, verbose=0).argmax(axis=1)
        assert np.mean(found != digits.y_test) < 0.17, seed


@pytest.mark.parametrize(
    "arguments, hidden, output",
    [
        ({}, 0, -np.log(2)),
        ({"bias_initializer": "zeros"}, 0, 0),
        ({"bias_initializer": "ones"}, 1, 1),
        ({"mode": "temporal"}, 0, 0),
        ({"units": [4, 1]}, 0, 0),
    ],
)
def test_biases_begin_at_the_share_of_a_class(arguments, hidden, output):
    model = BurstPropNetwork(**{"units": [4, 3], **arguments})
    model.build((None, None, 5)[-2 - (model.mode == "temporal") :])
    biases = [to_numpy(layer.bias) for layer in model.burst_layers]
    np.testing.assert_allclose(biases[0], hidden)
    np.testing.assert_allclose(biases[1], output, rtol=1e-6)


def test_reference_can_be_trained():
    """The reference itself: its loss falls."""
    trainer = Trainer(random_layers(), RATES, 0.8, kolen_pollack=True)
    before = np.mean((sweep(trainer.layers, X, Y)[0][-1] - Y) ** 2)
    train(trainer, 50)
    assert np.mean((sweep(trainer.layers, X, Y)[0][-1] - Y) ** 2) < before
    assert len(SIZES) == len(trainer.layers) + 1
