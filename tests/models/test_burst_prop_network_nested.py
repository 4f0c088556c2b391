"""The rule runs where the network is the outermost model, and nowhere else."""

import keras
import numpy as np
import pytest

from keras_seqattn.models import BurstPropNetwork
from tests.backend import to_numpy

X = np.random.default_rng(0).uniform(0, 255, (16, 4)).astype("float32")
Y = keras.utils.to_categorical(np.arange(16) % 2, 2)


def behind_rescaling(network):
    return keras.Sequential([keras.layers.Rescaling(1 / 255), network])


def within_a_functional_model(network):
    inputs = keras.Input((4,))
    return keras.Model(inputs, keras.layers.Softmax()(network(inputs)))


@pytest.mark.parametrize("nest", [behind_rescaling, within_a_functional_model])
def test_it_is_not_trained_by_another_rule(nest):
    network = BurstPropNetwork([3, 2])
    model = nest(network)
    model.compile("sgd", "mse")
    model.predict(X, verbose=0)
    model.evaluate(X, Y, verbose=0)
    # On JAX, Keras loses a model's weights when its `fit` raises.
    with pytest.raises(ValueError, match="learns in its own `fit` alone"):
        model.fit(X, Y, verbose=0)


def test_a_loop_of_ones_own():
    network = BurstPropNetwork([3, 2])
    network(X)
    with pytest.raises(ValueError, match="a training loop of one's own"):
        network(X, training=True)


def test_the_two_ways_that_work():
    preprocess = keras.Sequential([keras.layers.Rescaling(1 / 255)])
    network = BurstPropNetwork([3, 2])
    network.compile("sgd", "mse")
    before = network.predict(preprocess.predict(X, verbose=0), verbose=0)
    network.fit(preprocess.predict(X, verbose=0), Y, verbose=0)
    after = network.predict(preprocess.predict(X, verbose=0), verbose=0)
    assert np.abs(after - before).max() > 0
    network.trainable = False
    weights = [to_numpy(w) for w in network.weights]
    model = keras.Sequential([preprocess, network, keras.layers.Dense(2)])
    model.compile("sgd", "mse")
    model.fit(X, Y, verbose=0)
    for weight, kept in zip(network.weights, weights, strict=True):
        np.testing.assert_array_equal(to_numpy(weight), kept)
