import keras
import numpy as np

from keras_seqattn.learning_rules import LayerwiseSGD
from keras_seqattn.models import BurstPropNetwork
from tests.learning_rules.images.cases import PIXELS
from tests.learning_rules.images.cases import UNITS
from tests.learning_rules.images.cases import X
from tests.learning_rules.images.cases import Y


def test_layerwise_sgd_is_learning_rate_multipliers():
    ratio, found = 2.5, []
    for settings, optimizer in (
        (
            {"learning_rate_multipliers": [ratio**2, ratio, 1.0]},
            keras.optimizers.SGD(0.3, momentum=0.9),
        ),
        ({}, LayerwiseSGD(0.3, ratio=ratio, momentum=0.9)),
    ):
        model = BurstPropNetwork(UNITS, feedback="kolen_pollack", **settings)
        model.build((None, PIXELS))
        random = np.random.default_rng(5)
        model.set_weights(
            [random.normal(size=w.shape) for w in model.get_weights()]
        )
        model.compile(optimizer, "mse")
        for _ in range(4):
            model.train_on_batch(X, Y)
        found.append(model.get_weights())
    for one, other in zip(*found, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-6)
