import keras
import numpy as np
import pytest

from keras_seqattn.activations import MINIMUM_SOFTNESS
from keras_seqattn.activations import adaptive_softplus_sigmoid
from keras_seqattn.activations import gain_softplus
from tests.backend import BACKEND
from tests.backend import to_numpy
from tests.reference import gain_modulated_neuron as reference

NAMES = {
    gain_softplus: ("x", "gain", "threshold", "softness"),
    adaptive_softplus_sigmoid: ("x", "n", "s"),
}
BOTH = pytest.mark.parametrize("function", NAMES)


def sigmoid(z):
    return np.exp(-np.logaddexp(0, -z))


def softplus(z):
    return np.logaddexp(z, 0)


def slopes(function, x, p, q=None, r=None):
    """The derivatives by all arguments, from the closed forms, in float64."""
    if function is gain_softplus:
        gain, u, a = p, x - q, r
        z = a * u
        # (z s - softplus(z)) / a^2, for large z without its cancellation.
        by_softness = -np.where(
            z > 0,
            z * sigmoid(-z) + np.log1p(np.exp(-np.abs(z))),
            softplus(z) - z * sigmoid(z),
        )
        return (
            gain * sigmoid(z),
            softplus(z) / a,
            -gain * sigmoid(z),
            gain * by_softness / a**2,
        )
    n, s = p, q
    z = n * x
    on = sigmoid(z)
    bend = -np.where(
        z > 0,
        z * sigmoid(-z) + np.log1p(np.exp(-np.abs(z))),
        softplus(z) - z * on,
    )
    rise = on * sigmoid(-z)
    return (
        (1 - s) * on + s * n * rise,
        (1 - s) * bend / n**2 + s * x * rise,
        on - softplus(z) / n,
    )


def found_slopes(function, arguments, dtype, **options):
    """The derivatives by the backend, argument by argument."""
    if BACKEND == "tensorflow":
        import tensorflow as tf

        tensors = [tf.constant(a, dtype) for a in arguments]
        with tf.GradientTape() as tape:
            tape.watch(tensors)
            total = tf.reduce_sum(function(*tensors, **options))
        return [g.numpy() for g in tape.gradient(total, tensors)]
    if BACKEND == "jax":
        import jax

        tensors = [jax.numpy.asarray(a, dtype) for a in arguments]
        found = jax.grad(
            lambda *a: function(*a, **options).sum(), tuple(range(len(tensors)))
        )(*tensors)
        return [np.asarray(g) for g in found]
    import torch

    tensors = [
        torch.tensor(a, dtype=getattr(torch, dtype), requires_grad=True)
        for a in arguments
    ]
    found = torch.autograd.grad(function(*tensors, **options).sum(), tensors)
    return [g.numpy() for g in found]


def points(function, dtype):
    """Pre-activations whose argument of the softplus is up to 1e4 in size."""
    z = np.array(
        [-1e4, -300, -90, -17, -2, -1e-3, 0, 1e-3, 2, 17, 90, 300, 1e4]
    )
    if function is gain_softplus:
        cases = [(2.0, 0.5, 1.0), (-1.5, -1.0, 4.0), (1.0, 0.0, 0.25)]
        rows = [(z / a + theta, g, theta, a) for g, theta, a in cases]
    else:
        rows = [(z / n, n, s) for n, s in [(1.0, 0.25), (4.0, 0.75)]]
    columns = [
        np.concatenate([np.broadcast_to(v, z.shape) for v in column])
        for column in zip(*rows, strict=True)
    ]
    return [column.astype(dtype) for column in columns]


@BOTH
@pytest.mark.parametrize("dtype", ["float16", "float32"])
def test_values_and_slopes_up_to_1e4(function, dtype):
    arguments = points(function, dtype)
    # In the points as rounded to this type.
    exact = [a.astype("float64") for a in arguments]
    kind = (
        reference.gain_softplus
        if function is gain_softplus
        else reference.adaptive
    )
    tolerance = {"float16": 4e-3, "float32": 2e-6}[dtype]
    smallest = {"float16": 1e-6, "float32": 1e-30}[dtype]
    found = to_numpy(function(*map(keras.ops.convert_to_tensor, arguments)))
    assert found.dtype == dtype
    np.testing.assert_allclose(
        found, kind(*exact), rtol=tolerance, atol=smallest
    )
    expected = slopes(function, *exact)
    derivatives = found_slopes(function, arguments, dtype)
    for name, a, b in zip(NAMES[function], derivatives, expected, strict=True):
        # Absolute: by s the derivative is a difference of two large terms.
        scale = np.abs(exact[0]) if name in ("s", "n") else 1.0
        np.testing.assert_array_less(
            np.abs(a - b),
            tolerance * (np.abs(b) + np.minimum(scale, 1e4)) + smallest,
            err_msg=name,
        )


def test_the_slope_at_the_threshold_is_one_half():
    by_x = found_slopes(gain_softplus, [[0.5], [2.0], [0.5], [3.0]], "float32")
    np.testing.assert_allclose(by_x[0], [1.0], rtol=1e-6)


def test_a_softness_near_the_pole_or_below_counts_as_the_least():
    x = np.array([-3.0, 0.5, 4.0], "float32")
    least = to_numpy(gain_softplus(x, 2.0, 0.5, MINIMUM_SOFTNESS))
    for softness in (0.049, 1e-8, 0.0, -1e-8, -2.0):
        np.testing.assert_allclose(
            to_numpy(gain_softplus(x, 2.0, 0.5, softness)), least, rtol=1e-6
        )
        ones = np.ones(3, "float32")
        found = found_slopes(
            gain_softplus, [x, 2 * ones, 0.5 * ones, softness * ones], "float32"
        )
        assert np.isfinite(found).all()
        assert np.all(found[3] == 0)
    ends = to_numpy(adaptive_softplus_sigmoid(x, -1.0, [-0.5, 1.5, 0.5]))
    same = adaptive_softplus_sigmoid(x, MINIMUM_SOFTNESS, [0.0, 1.0, 0.5])
    np.testing.assert_allclose(ends, to_numpy(same), rtol=1e-6)


def test_signed():
    x = np.array([-3.0, 0.5, 4.0], "float32")
    expected = reference.gain_softplus(x.astype("float64"), 2.0, 0.5, -3.0)
    found = to_numpy(gain_softplus(x, 2.0, 0.5, -3.0, signed=True))
    np.testing.assert_allclose(found, expected, rtol=1e-5)
    # A negative softness is the soft rectifier, turned by 180 degrees.
    turned = to_numpy(gain_softplus(1 - x, 2.0, 0.5, 3.0))
    np.testing.assert_allclose(found, -turned, rtol=1e-5)
    # The sign of a softness near 0 stays.
    for softness, least in ((-1e-9, -0.05), (0.0, 0.05)):
        np.testing.assert_allclose(
            to_numpy(gain_softplus(x, 2.0, 0.5, softness, signed=True)),
            reference.gain_softplus(x.astype("float64"), 2.0, 0.5, least),
            rtol=1e-5,
        )
    np.testing.assert_allclose(
        to_numpy(adaptive_softplus_sigmoid(x, -2.0, 1.75, signed=True)),
        reference.adaptive(x.astype("float64"), -2.0, 1.75),
        rtol=1e-5,
    )


@BOTH
def test_special_cases_and_numbers(function):
    x = np.array([-2.0, 0.25, 3.0], "float32")
    found = to_numpy(function(x))
    if function is gain_softplus:
        expected = softplus(x - 1)
        limit, relu = to_numpy(function(x, 1, 0, 1e4)), np.maximum(x, 0)
    else:
        expected = sigmoid(x)
        limit, relu = to_numpy(function(x, 1e4, 0)), np.maximum(x, 0)
        soft = to_numpy(function(x, 1.0, 0.0))
        np.testing.assert_allclose(soft, softplus(x), rtol=1e-6)
    np.testing.assert_allclose(found, expected, rtol=1e-6)
    np.testing.assert_allclose(limit, relu, atol=1e-4)
    # Integers are no types to compute in.
    found = function(np.array([2]))
    assert keras.backend.standardize_dtype(found.dtype) == "float32"


@BOTH
def test_serves_as_the_activation_of_a_keras_layer(function, tmp_path):
    model = keras.Sequential(
        [keras.Input((3,)), keras.layers.Dense(4, activation=function)]
    )
    path = tmp_path / "model.keras"
    model.save(path)
    x = np.random.default_rng(0).normal(size=(5, 3))
    loaded = keras.saving.load_model(path)
    assert loaded.layers[0].activation is function
    np.testing.assert_allclose(
        loaded.predict(x, verbose=0), model.predict(x, verbose=0)
    )


@pytest.mark.nan
@BOTH
def test_nan_shows(function):
    assert np.isnan(to_numpy(function(np.array([np.nan], "float32")))).all()
    parameters = [np.float32(np.nan)] * (len(NAMES[function]) - 1)
    x = np.array([1.0], "float32")
    for position in range(len(parameters)):
        given = [np.float32(0.5)] * len(parameters)
        given[position] = np.float32(np.nan)
        for signed in (False, True):
            found = to_numpy(function(x, *given, signed=signed))
            assert np.isnan(found).all(), (position, signed)


def test_the_slopes_at_the_edges_are_those_inside():
    """The same on every backend."""
    one = np.ones(1, "float32")
    for s in (0.0, 1.0):
        found = found_slopes(
            adaptive_softplus_sigmoid, [0.5 * one, one, s * one], "float32"
        )
        expected = slopes(adaptive_softplus_sigmoid, 0.5, 1.0, s)
        np.testing.assert_allclose(np.ravel(found), expected, rtol=1e-5)
    edge = np.float32(MINIMUM_SOFTNESS)
    for signed in (False, True):
        found = found_slopes(
            gain_softplus,
            [0.5 * one, one, 0 * one, edge * one],
            "float32",
            signed=signed,
        )
        expected = slopes(gain_softplus, 0.5, 1.0, 0.0, float(edge))
        np.testing.assert_allclose(np.ravel(found), expected, rtol=1e-5)


@BOTH
def test_infinity_shows(function):
    x = np.array([-np.inf], "float32")
    assert np.isnan(to_numpy(function(x))).all()
