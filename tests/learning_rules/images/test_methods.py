import keras
import numpy as np
import pytest

from keras_seqattn.learning_rules import METHODS
from keras_seqattn.learning_rules import LayerwiseSGD
from keras_seqattn.learning_rules import Rates
from keras_seqattn.learning_rules import RuleTrainer
from keras_seqattn.learning_rules.images.methods import HalfSumOfSquares
from keras_seqattn.models import BurstPropNetwork
from tests.backend import to_numpy
from tests.learning_rules.images.cases import LABELS
from tests.learning_rules.images.cases import PIXELS
from tests.learning_rules.images.cases import UNITS
from tests.learning_rules.images.cases import X
from tests.learning_rules.images.cases import Y
from tests.learning_rules.images.cases import recipe


def sigmoid(x):
    return 1 / (1 + np.exp(-np.asarray(x, "float64")))


def test_all_methods_start_from_the_same_weights():
    kernels, feedback = [], []
    for method in METHODS.values():
        keras.utils.set_random_seed(3)
        model = method.build(UNITS, PIXELS)
        kernels.append([to_numpy(layer.kernel) for layer in model.layers])
        if isinstance(model, BurstPropNetwork):
            feedback.append(to_numpy(model.layers[1].feedback_kernel))
            assert not np.array_equal(feedback[-1], kernels[-1][1])
    for others in kernels[1:]:
        for one, other in zip(kernels[0], others, strict=True):
            np.testing.assert_array_equal(one, other)
    for other in feedback[1:]:
        np.testing.assert_array_equal(feedback[0], other)
    # Outputs begin at a third each.
    bias = to_numpy(model.layers[-1].bias)
    np.testing.assert_allclose(sigmoid(bias), 1 / 3, rtol=1e-6)
    # The same on every backend: NumPy drew them.
    np.random.seed(3)
    np.testing.assert_allclose(
        kernels[0][0],
        np.random.normal(scale=np.sqrt(2 / 11), size=(6, 5)),
        rtol=1e-6,
    )


def reference_steps(weights, send_down, rates, momentum=0.9, decay=1e-4):
    """Three steps of gradient descent on half the sum of squares, float64.

    `send_down` are what takes each layer's update down instead of the kernels.
    With them the decay leaves the step itself alone, as `BurstPropNetwork`'s.
    """
    weights = [np.asarray(w, "float64") for w in weights]
    velocity = [np.zeros_like(w) for w in weights]
    for _ in range(3):
        events = [X]
        for kernel, bias in zip(weights[::2], weights[1::2], strict=True):
            events.append(sigmoid(events[-1] @ kernel + bias))
        update = (events[-1] - Y) * events[-1] * (1 - events[-1])
        gradients = []
        for layer in (2, 1, 0):
            below = events[layer]
            gradients[:0] = [below.T @ update, update.sum(axis=0)]
            down = weights[2 * layer] if send_down is None else send_down[layer]
            update = below * (1 - below) * (update @ down.T)
        for index, gradient in enumerate(gradients):
            rate = rates[index // 2]
            velocity[index] = momentum * velocity[index] - rate * gradient
            shrink = 1 if index % 2 else 1 - decay
            step = velocity[index] * (shrink if send_down is None else 1)
            weights[index] = shrink * weights[index] + step
    return weights


@pytest.mark.parametrize("name", ["backpropagation", "feedback alignment"])
def test_gradient_methods_take_the_reference_s_steps(name):
    """In the same unit: rate 0.05 and ratio 3 mean the same for both."""
    method = METHODS[name]
    trainer = RuleTrainer(method, PIXELS, UNITS, recipe(3))
    keras.utils.set_random_seed(7)
    model = method.build(UNITS, PIXELS)
    weights = [
        to_numpy(weight)
        for layer in model.layers
        for weight in (layer.kernel, layer.bias)
    ]
    down = None
    if name == "feedback alignment":
        down = [to_numpy(layer.feedback_kernel) for layer in model.layers]
    trainer.fit(Rates(0.05, 3.0), 7, X, LABELS)
    expected = reference_steps(weights, down, [0.45, 0.15, 0.05])
    found = [
        to_numpy(weight)
        for layer in trainer.model.layers
        for weight in (layer.kernel, layer.bias)
    ]
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_allclose(one, other, atol=2e-6)
    moved = [abs(a - b).max() for a, b in zip(found, weights, strict=True)]
    assert min(moved) > 2e-4


def test_half_sum_of_squares():
    found = HalfSumOfSquares()(Y, X[:, :3])
    np.testing.assert_allclose(
        to_numpy(found), ((Y - X[:, :3]) ** 2).sum() / 2, rtol=1e-6
    )


def test_burstprop_takes_about_backpropagation_s_steps_in_its_unit():
    """The kernels as feedback and small weights: equal to first order."""
    method = METHODS["burstprop"]
    network = BurstPropNetwork(UNITS, feedback="tied", bias_initializer="zeros")
    plain = METHODS["backpropagation"].network(UNITS)
    changes = []
    for model, unit in (
        (network, method),
        (plain, METHODS["backpropagation"]),
    ):
        model.build((None, PIXELS))
        for layer in model.layers:
            rows, columns = map(np.arange, layer.kernel.shape)
            layer.kernel.assign(0.3 * np.sin(3 * rows[:, None] + columns))
        before = [to_numpy(layer.kernel) for layer in model.layers]
        model.compile(
            LayerwiseSGD(unit.rate_unit * 0.01, ratio=unit.ratio_unit),
            unit.loss,
        )
        model.train_on_batch(X, Y)
        changes.append(
            [
                to_numpy(layer.kernel) - kernel
                for layer, kernel in zip(model.layers, before, strict=True)
            ]
        )
    for burst, plain in zip(*changes, strict=True):
        # The plain network has the decay.
        size = abs(burst).max()
        np.testing.assert_allclose(burst, plain, atol=0.1 * size + 1e-4)


def test_output_only_leaves_the_hidden_layers_alone():
    trainer = RuleTrainer(METHODS["output only"], PIXELS, UNITS, recipe(2))
    assert trainer.sgd_rates(Rates(0.1, 7.0)) == (0.5, 0.0)
    keras.utils.set_random_seed(1)
    model = METHODS["output only"].build(UNITS, PIXELS)
    before = [to_numpy(layer.kernel) for layer in model.layers]
    trainer.fit(Rates(0.1, 7.0), 1, X, LABELS)
    after = [to_numpy(layer.kernel) for layer in trainer.model.layers]
    for one, other in zip(before[:2], after[:2], strict=True):
        # All methods have the decay.
        np.testing.assert_allclose(other, one * (1 - 1e-4) ** 2, rtol=1e-6)
    assert abs(after[2] - before[2]).max() > 1e-2
