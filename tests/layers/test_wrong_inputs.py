"""Wrong masks and states: one sentence on every backend."""

import numpy as np
import pytest
from keras import ops

from keras_seqattn.layers import LARNN
from keras_seqattn.layers import GainModulatedNeuron
from keras_seqattn.layers import TemporalAttention
from tests.backend import to_numpy

X = np.random.default_rng(0).normal(size=(2, 5, 3)).astype("float32")
MASK = np.array([[1, 1, 1, 0, 0], [1, 0, 1, 1, 1]], bool)


def neuron(**options):
    return GainModulatedNeuron(
        4, 3, head_kernel_initializer="orthogonal", **options
    )


LAYERS = {
    "LARNN": lambda **options: LARNN(4, 2, 3, **options),
    "GainModulatedNeuron": neuron,
    "TemporalAttention": TemporalAttention,
}
RECURRENT = ("LARNN", "GainModulatedNeuron")


@pytest.mark.parametrize("name", LAYERS)
def test_a_mask_may_be_a_list(name):
    layer = LAYERS[name]()
    expected = to_numpy(layer(X, mask=MASK))
    np.testing.assert_array_equal(
        to_numpy(layer(X, mask=MASK.tolist())), expected
    )


@pytest.mark.parametrize(
    "mask",
    [
        "yes",
        MASK[0],
        MASK[:, :4],
        np.ones((3, 5), bool),
        [[True, True], [False]],
    ],
)
@pytest.mark.parametrize("name", LAYERS)
def test_wrong_masks(name, mask):
    layer = LAYERS[name]()
    layer(X)
    with pytest.raises(ValueError, match="`mask` must"):
        layer(X, mask=mask)


@pytest.mark.parametrize("name", RECURRENT)
def test_states_of_another_batch(name):
    layer = LAYERS[name]()
    layer(X)
    state = [ops.zeros((3, width)) for width in layer.state_size]
    with pytest.raises(ValueError, match=r"The batch size.*states of \[3\]"):
        layer(X, initial_state=state)
    with pytest.raises(ValueError, match="`initial_state` must be"):
        layer(X, initial_state="zeros")
    stateful = LAYERS[name](stateful=True)
    stateful(X)
    with pytest.raises(ValueError, match=r"stateful.*states of \[2\]"):
        stateful(np.concatenate([X, X]))


def test_attention_over_few_features_is_not_dead():
    with pytest.raises(ValueError, match="`units` must be 2 or more"):
        TemporalAttention(units=1)
    TemporalAttention(units=1, normalize=False)
    x = np.random.default_rng(1).normal(size=(32, 6, 3)).astype("float32")
    _, scores = TemporalAttention(score_initializer="ones")(
        x, return_attention_scores=True
    )
    assert np.std(to_numpy(scores)) > 0.01
