"""The mask behind each layer, and what the next one makes of it."""

import keras
import numpy as np
import pytest

from keras_seqattn.layers import LARNN
from keras_seqattn.layers import BurstPropDense
from keras_seqattn.layers import GainModulatedNeuron
from keras_seqattn.layers import GainModulatedNeuronCell
from keras_seqattn.layers import LARNNCell
from keras_seqattn.layers import TemporalAttention
from tests.backend import to_numpy
from tests.layer_checks import assert_same

BATCH, TIME, REAL, FEATURES = 3, 6, 4, 5
# Before, behind and between, as many steps in each row.
MASK = np.array(
    [[0, 0, 1, 1, 1, 1], [1, 1, 1, 1, 0, 0], [1, 0, 1, 1, 0, 1]], bool
)
NO_MASK = -1

PASSES = {
    "LARNN": lambda: LARNN(4, 2, 3, return_sequences=True),
    "LARNN states": lambda: LARNN(
        4, 2, 3, return_sequences=True, return_state=True
    ),
    "RNN(LARNNCell)": lambda: keras.layers.RNN(
        LARNNCell(4, 2, 3), return_sequences=True
    ),
    "Bidirectional(LARNN)": lambda: keras.layers.Bidirectional(
        LARNN(4, 2, 3, return_sequences=True)
    ),
    "GainModulatedNeuron": lambda: neuron(),
    "GainModulatedNeuron fed back": lambda: neuron(
        controller_input="input_and_output"
    ),
    "RNN(GainModulatedNeuronCell)": lambda: keras.layers.RNN(
        GainModulatedNeuronCell(4, 3, head_kernel_initializer="orthogonal"),
        return_sequences=True,
    ),
    "Bidirectional(GainModulatedNeuron)": lambda: keras.layers.Bidirectional(
        neuron()
    ),
    "BurstPropDense": lambda: BurstPropDense(4),
}
ENDS = {
    "LARNN": lambda: LARNN(4, 2, 3),
    "LARNN states": lambda: LARNN(4, 2, 3, return_state=True),
    "RNN(LARNNCell)": lambda: keras.layers.RNN(LARNNCell(4, 2, 3)),
    "Bidirectional(LARNN)": lambda: keras.layers.Bidirectional(LARNN(4, 2, 3)),
    "GainModulatedNeuron": lambda: neuron(return_sequences=False),
    "Bidirectional(GainModulatedNeuron)": lambda: keras.layers.Bidirectional(
        neuron(return_sequences=False)
    ),
    "TemporalAttention": lambda: TemporalAttention(3),
}


def neuron(**arguments):
    # The head begins with zeros: every step would look like the others.
    return GainModulatedNeuron(
        4, 3, head_kernel_initializer="orthogonal", **arguments
    )


class MaskOf(keras.layers.Layer):
    """The mask of what it is given, as numbers."""

    def __init__(self):
        super().__init__()
        self.supports_masking = True

    def call(self, inputs, mask=None):
        if mask is None:
            return NO_MASK * keras.ops.ones_like(inputs[..., 0])
        return keras.ops.cast(mask, "float32")

    def compute_mask(self, inputs, previous_mask):
        return None


@pytest.fixture
def inputs():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(BATCH, TIME, FEATURES)).astype("float32")
    return np.where(MASK[..., None], x, np.float32(0))


def masks_behind(layer, inputs):
    """Of each output, called eagerly and as a model."""
    outputs = keras.tree.flatten(layer(keras.layers.Masking()(inputs)))
    eager = [to_numpy(MaskOf()(output)) for output in outputs]
    symbolic = keras.Input((TIME, FEATURES))
    outputs = keras.tree.flatten(layer(keras.layers.Masking()(symbolic)))
    model = keras.Model(symbolic, [MaskOf()(output) for output in outputs])
    found = model.predict(inputs, verbose=0)
    assert_same(found if isinstance(found, list) else [found], eager, 0)
    return eager


@pytest.mark.parametrize("name", PASSES)
def test_the_mask_passes(name, inputs):
    first, *others = masks_behind(PASSES[name](), inputs)
    np.testing.assert_array_equal(first, MASK)
    assert len(others) == (4 if "states" in name else 0)
    for other in others:
        np.testing.assert_array_equal(other, NO_MASK)


@pytest.mark.parametrize("name", ENDS)
def test_the_mask_ends_with_the_time_axis(name, inputs):
    for found in masks_behind(ENDS[name](), inputs):
        np.testing.assert_array_equal(found, np.full(BATCH, NO_MASK))


@pytest.mark.parametrize("name", [n for n in PASSES if "states" not in n])
def test_pooling_behind_averages_the_real_steps(name, inputs):
    layer = PASSES[name]()
    model = keras.Sequential(
        [
            keras.Input((TIME, FEATURES)),
            keras.layers.Masking(),
            layer,
            keras.layers.GlobalAveragePooling1D(),
        ]
    )
    found = model.predict(inputs, verbose=0)
    real = inputs[MASK].reshape(BATCH, REAL, FEATURES)
    expected = to_numpy(layer(real)).mean(axis=1)
    np.testing.assert_allclose(found, expected, atol=2e-6)
    padded = to_numpy(layer(keras.layers.Masking()(inputs))).mean(axis=1)
    assert np.abs(padded - expected).max(axis=1).min() > 1e-3
