import keras
import numpy as np
import pytest

from keras_seqattn.layers import BurstPropDense
from tests import layer_checks
from tests.backend import to_numpy
from tests.reference.burst_prop import sigmoid

FEATURES, UNITS = 5, 4
FEEDBACKS = ("random", "tied", "kolen_pollack")


@pytest.fixture
def inputs():
    rng = np.random.default_rng(0)
    return rng.normal(size=(3, 8, FEATURES)).astype("float32")


def make(**arguments):
    """A layer in general position."""
    layer = BurstPropDense(**{"units": UNITS, "recurrent": True, **arguments})
    layer.build((None, None, FEATURES))
    rng = np.random.default_rng(11)
    layer.set_weights([0.5 * rng.normal(size=w.shape) for w in layer.weights])
    return layer


def weights(layer):
    return {w.path.rsplit("/", 1)[1]: to_numpy(w) for w in layer.weights}


@pytest.mark.parametrize(
    "feedback, trainable",
    [
        ("random", ["kernel", "bias"]),
        ("tied", ["kernel", "bias"]),
        ("kolen_pollack", ["kernel", "bias", "feedback"]),
    ],
)
def test_weights_by_name_and_shape(feedback, trainable):
    layer = make(feedback=feedback)
    expected = {
        "kernel": (FEATURES, UNITS),
        "bias": (UNITS,),
        "feedback": (FEATURES, UNITS),
        "recurrent_kernel": (UNITS, UNITS),
    }
    if feedback == "tied":
        del expected["feedback"]
        assert layer.feedback_kernel is layer.kernel
    assert {name: w.shape for name, w in weights(layer).items()} == expected
    assert [
        w.path.rsplit("/", 1)[1] for w in layer.trainable_weights
    ] == trainable
    assert "recurrent_kernel" not in weights(make(recurrent=False))


def test_initial_weights():
    layer = BurstPropDense(200, feedback_stddev=3.0, recurrent=True)
    layer.build((None, 100))
    found = weights(layer)
    assert abs(found["feedback"].std() - 3) < 0.1
    assert abs(found["kernel"].std() - (2 / 300) ** 0.5) < 0.01
    assert 0.009 < np.abs(found["recurrent_kernel"]).max() <= 0.01
    assert not found["bias"].any()


def test_each_equation(inputs):
    layer = make(burst_probability=0.3)
    w = weights(layer)
    rng = np.random.default_rng(1)
    x = inputs[:, 0].astype("float64")
    e, p, y = (sigmoid(rng.normal(size=(3, UNITS))) for _ in range(3))
    f, df = (rng.normal(size=(3, UNITS)) for _ in range(2))
    prior = sigmoid(f) * e
    u = f * (1 - e) - prior @ w["recurrent_kernel"].T
    taught = 0.3 * (1 + (y - e) * (1 - e))
    hidden = e * (sigmoid(u) - sigmoid(u - df * (1 - e)))
    output = e * (0.3 - taught)

    def check(found, expected):
        layer_checks.assert_same(to_numpy(found), expected, 1e-6)

    def single(*arrays):
        return [keras.ops.cast(array, "float32") for array in arrays]

    check(layer(x), sigmoid(x @ w["kernel"] + w["bias"]))
    x, e, p, y, f, df, u, prior = single(x, e, p, y, f, df, u, prior)
    check(layer.send_down(p), to_numpy(p) @ w["feedback"].T)
    check(layer.prior_burst_rate(e, f), prior)
    check(layer.apical_potential(e, f), u)
    check(layer.hidden_burst_probability(u), sigmoid(to_numpy(u)))
    check(layer.output_burst_probability(e, y), taught)
    check(layer.burst_rate(e, p), to_numpy(e) * to_numpy(p))
    check(layer.output_update(e, y), output)
    check(layer.hidden_update(e, u, df), hidden)
    check(layer.kernel_update(x, p), to_numpy(x).T @ to_numpy(p))
    check(layer.recurrent_update(u, prior), to_numpy(u).T @ to_numpy(prior))


def test_a_small_update_keeps_its_digits():
    """The difference of two float32 burst rates would lose them all."""
    layer = make()
    e, u = np.full((1, 1), 0.7), np.full((1, 1), 0.4)
    for df in (1e-9, -1e-6, 1e-3, 1.0, 1e3, -1e3):
        change = (1 - e) * df
        expected = e * np.tanh(change / 2)
        p, taught = sigmoid(u), sigmoid(u - change)
        expected = expected * (p * (1 - taught) + taught * (1 - p))
        found = layer.hidden_update(
            *(keras.ops.cast(v, "float32") for v in (e, u, np.full((1, 1), df)))
        )
        np.testing.assert_allclose(to_numpy(found), expected, rtol=2e-6)


@pytest.mark.parametrize("feedback", FEEDBACKS)
def test_alone_it_is_a_dense_layer_with_a_sigmoid(feedback, inputs):
    """Plain fit: the same numbers, and neither warning nor feedback moved."""
    layer = make(feedback=feedback)
    dense = keras.layers.Dense(UNITS, activation="sigmoid")
    dense.build((None, FEATURES))
    dense.set_weights([to_numpy(layer.kernel), to_numpy(layer.bias)])
    x = inputs.reshape(-1, FEATURES)
    y = sigmoid(x[:, :UNITS])
    before = weights(layer)
    for net in (layer, dense):
        model = keras.Sequential([net])
        # A momentum and no decay: a zero gradient then moves nothing.
        model.compile(keras.optimizers.SGD(0.5, 0.9), "mse")
        model.fit(x, y, batch_size=6, epochs=3, shuffle=False, verbose=0)
    after = weights(layer)
    layer_checks.assert_same(
        [after["kernel"], after["bias"]], dense.get_weights()
    )
    assert np.abs(after["kernel"] - before["kernel"]).max() > 1e-3
    for name in ("feedback", "recurrent_kernel"):
        if name in before:
            np.testing.assert_array_equal(after[name], before[name])


@pytest.mark.parametrize("feedback", FEEDBACKS)
def test_symbolic_eager_and_compiled_agree(feedback, inputs):
    layer_checks.check_symbolic_eager_and_compiled_agree(
        lambda: make(feedback=feedback), inputs
    )


def test_gradients_equal_finite_differences(inputs):
    upstream = np.random.default_rng(1).normal(size=(3, 8, UNITS))
    layer_checks.check_gradients(
        make, inputs, lambda output: layer_checks.dot(output, upstream)
    )


def test_mixed_precision(inputs):
    layer_checks.check_mixed_precision(make, inputs)


def test_config_round_trip(inputs):
    layer_checks.check_config_round_trip(
        lambda: make(
            burst_probability=0.4,
            feedback="kolen_pollack",
            feedback_stddev=0.5,
            kernel_regularizer="l2",
            bias_constraint="non_neg",
            recurrent_initializer="zeros",
            name="bursts",
        ),
        inputs,
    )


def test_config_keys_are_frozen():
    assert sorted(BurstPropDense(2).get_config()) == [
        "bias_constraint",
        "bias_initializer",
        "bias_regularizer",
        "burst_probability",
        "dtype",
        "feedback",
        "feedback_stddev",
        "kernel_constraint",
        "kernel_initializer",
        "kernel_regularizer",
        "name",
        "recurrent",
        "recurrent_initializer",
        "trainable",
        "units",
    ]


@pytest.mark.process
def test_file_loads_on_every_backend(inputs, tmp_path):
    symbolic = keras.Input((None, FEATURES))
    layer = make(feedback="kolen_pollack")
    model = keras.Model(symbolic, layer(symbolic))
    layer_checks.check_file_loads_on_every_backend(model, inputs, tmp_path)


def test_kolen_pollack_feedback_is_regularized_like_the_kernel():
    layer = make(feedback="kolen_pollack", kernel_regularizer="l2")
    assert len(layer.losses) == 2
    assert len(make(kernel_regularizer="l2").losses) == 1


@pytest.mark.parametrize(
    "arguments, message",
    [
        ({"units": 0}, "`units` must be a positive integer"),
        ({"burst_probability": 0}, "`burst_probability` must be a finite"),
        ({"burst_probability": 0.6}, "must be at most 0.5.*Received: .*=0.6"),
        ({"feedback": "symmetric"}, r"`feedback` must be one of \('random'"),
        ({"feedback_stddev": -1}, "`feedback_stddev` must be a finite number"),
    ],
)
def test_bad_arguments(arguments, message):
    with pytest.raises(ValueError, match=message):
        BurstPropDense(**{"units": 2, **arguments})


@pytest.mark.parametrize("shape", [(5,), (2, 0), (2, None)])
def test_bad_input_shapes(shape):
    with pytest.raises(
        ValueError, match=r"expects an input .*Received: input_"
    ):
        BurstPropDense(2).build(shape)


def test_an_empty_batch_gives_an_empty_output():
    found = to_numpy(make()(np.zeros((0, FEATURES), "float32")))
    assert found.shape == (0, UNITS)
