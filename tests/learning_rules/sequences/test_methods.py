import keras
import numpy as np
import pytest

from keras_seqattn.learning_rules.sequences.methods import (
    SequenceBackpropagation,
)
from keras_seqattn.learning_rules.sequences.methods import (
    SequenceFeedbackAlignment,
)
from tests.backend import to_numpy
from tests.models.burst_prop_cases import SEQUENCES
from tests.models.burst_prop_cases import TARGETS
from tests.models.burst_prop_cases import TAUGHT
from tests.models.burst_prop_cases import TAUGHT_TARGETS
from tests.models.burst_prop_cases import TEACHER
from tests.models.burst_prop_cases import set_temporal_weights
from tests.models.burst_prop_cases import temporal_reference


def learn(network, aligned):
    """Sixty steps of the error itself, in float64."""
    for t in range(TAUGHT.shape[1]):
        for m in (2, 1, 0):
            network.e[m] = network._rate(m, SEQUENCES[:, t])
        e = network.e[2]
        where = TAUGHT[:, t, None]
        top = signal = where * (TARGETS[:, t] - e) * e * (1 - e)
        deltas = [top]
        for m in (1, 0):
            e = network.e[m]
            if aligned:
                signal = (top @ network.Y[m].T) * e * (1 - e)
            else:
                signal = (signal @ network.W[m + 1].T) * e * (1 - e)
            deltas.insert(0, signal)
        for m, delta in enumerate(deltas):
            network._learn(m, delta, TAUGHT[:, t])
    return network


@pytest.mark.nan
@pytest.mark.parametrize("aligned", [False, True])
def test_rules_equal_float64(aligned):
    start = temporal_reference()
    kind = SequenceBackpropagation
    if aligned:
        kind = SequenceFeedbackAlignment
    model = kind(
        start.units,
        mode="temporal",
        learning_rate_multipliers=[r / start.rates[0] for r in start.rates],
    )
    model.build((None, None, 4))
    set_temporal_weights(model, start)
    model.compile(keras.optimizers.SGD(start.rates[0]), "mse")
    model.train_on_batch(SEQUENCES, TAUGHT_TARGETS, TEACHER)
    learn(start, aligned)
    for layer, kernel, bias in zip(
        model.burst_layers, start.W, start.b, strict=True
    ):
        np.testing.assert_allclose(to_numpy(layer.kernel), kernel, atol=1e-5)
        np.testing.assert_allclose(to_numpy(layer.bias), bias, atol=1e-5)
