"""The contract that every layer passes, as checks any test can call.

Each check takes `make`, a function without arguments that returns a new
layer, and `inputs`, a float32 array (batch, time, features) whose dimensions
are different numbers. Each compares numbers.
"""

import json

import keras
import numpy as np

from tests.backend import BACKEND
from tests.backend import OTHER_BACKENDS
from tests.backend import compiled
from tests.backend import gradients
from tests.backend import load_elsewhere
from tests.backend import to_numpy
from tests.backend import value_function


def assert_same(actual, expected, tolerance=1e-6):
    actual = keras.tree.flatten(to_numpy(actual))
    expected = keras.tree.flatten(to_numpy(expected))
    for a, b in zip(actual, expected, strict=True):
        assert a.shape == b.shape
        np.testing.assert_allclose(a, b, rtol=tolerance, atol=tolerance)


def build(layer, inputs):
    if not layer.built:
        layer.build(inputs.shape)


def dot(output, weights):
    """Sum of products, a loss whose gradient is in general position."""
    weights = keras.ops.convert_to_tensor(weights, output.dtype)
    return keras.ops.sum(output * weights)


def check_symbolic_eager_and_compiled_agree(make, inputs, **call_arguments):
    """One layer, called in three ways, with free batch and time axes."""
    layer = make()
    eager = to_numpy(layer(inputs, **call_arguments))
    symbolic = keras.Input((None, inputs.shape[2]))
    model = keras.Model(symbolic, layer(symbolic, **call_arguments))
    for spec, value in zip(
        keras.tree.flatten(model.output),
        keras.tree.flatten(eager),
        strict=True,
    ):
        assert len(spec.shape) == value.ndim
        assert all(
            s in (None, n) for s, n in zip(spec.shape, value.shape, strict=True)
        )
        assert keras.backend.standardize_dtype(spec.dtype) == value.dtype.name
    assert_same(model.predict(inputs, verbose=0), eager)
    assert_same(compiled(lambda x: layer(x, **call_arguments))(inputs), eager)
    # The same model again, with other lengths on the free axes.
    shorter = inputs[:-1, :-1]
    assert_same(
        model.predict(shorter, verbose=0),
        to_numpy(layer(shorter, **call_arguments)),
    )


def check_config_round_trip(make, inputs):
    """A layer rebuilt from its JSON config has the same numbers."""
    layer = make()
    expected = to_numpy(layer(inputs))
    config = json.loads(json.dumps(layer.get_config()))
    twin = type(layer).from_config(config)
    assert json.loads(json.dumps(twin.get_config())) == config
    twin.build(inputs.shape)
    assert [v.path.split("/", 1)[1] for v in twin.weights] == [
        v.path.split("/", 1)[1] for v in layer.weights
    ]
    twin.set_weights(layer.get_weights())
    assert_same(twin(inputs), expected)


def check_file_loads_on_every_backend(model, inputs, directory):
    """A `.keras` file gives the same numbers here and elsewhere."""
    path = directory / "model.keras"
    model.save(path)
    expected = model.predict(inputs, verbose=0)
    assert_same(
        keras.saving.load_model(path).predict(inputs, verbose=0), expected
    )
    for backend in OTHER_BACKENDS:
        assert_same(
            load_elsewhere(backend, path, inputs, directory), [expected]
        )


def check_gradients(make, inputs, loss):
    """Directional derivatives equal finite differences.

    Central differences, in float64 on TensorFlow (relative error 1e-7); the
    others compute in float32 (2e-3).
    """
    dtype = "float64" if BACKEND == "tensorflow" else "float32"
    step, tolerance = (1e-5, 1e-7) if dtype == "float64" else (1e-2, 2e-3)
    layer = make(dtype=dtype)
    inputs = inputs.astype(dtype)
    layer(inputs)
    rng = np.random.default_rng(0)
    points = [inputs, *(to_numpy(v) for v in layer.trainable_variables)]

    value = value_function(layer, loss)

    def value_at(arrays):
        return float(to_numpy(value(arrays[0], arrays[1:])))

    found = gradients(layer, loss, inputs, dtype)
    for number, gradient in enumerate(found):
        direction = rng.normal(size=gradient.shape)
        direction = (direction / np.linalg.norm(direction)).astype(dtype)
        moved = []
        for sign in (1, -1):
            arrays = list(points)
            arrays[number] = arrays[number] + sign * step * direction
            moved.append(value_at(arrays))
        expected = (moved[0] - moved[1]) / (2 * step)
        value_at(points)
        np.testing.assert_allclose(
            np.sum(gradient * direction),
            expected,
            rtol=tolerance,
            atol=tolerance,
            err_msg=f"tensor {number} of {[v.path for v in layer.weights]}",
        )


def check_masks(make, inputs, **call_arguments):
    """Padding, wherever it is, changes neither output nor gradient.

    The layer must map a masked sequence to what it maps the sequence without
    the masked timesteps to.
    """
    layer = make()
    batch, time, _ = inputs.shape
    bare = to_numpy(layer(inputs, **call_arguments))

    masked = compiled(lambda x, mask: layer(x, mask=mask, **call_arguments))

    def call(x, mask):
        return to_numpy(masked(x, mask))

    everything = np.ones((batch, time), bool)
    assert_same(call(inputs, everything), bare)

    masks = {
        "left": np.arange(time) >= 2,
        "right": np.arange(time) < time - 2,
        "interior": np.arange(time) % 3 != 1,
    }
    weights = np.random.default_rng(0).normal(size=bare.shape)
    weights = weights.astype("float32")

    def loss(output):
        return dot(output, weights)

    for name, row in masks.items():
        mask = np.tile(row, (batch, 1))
        clean = to_numpy(layer(inputs[:, row], **call_arguments))
        assert_same(call(inputs, mask), clean, 2e-6)
        for junk in (1e6, np.nan, np.inf):
            dirty = np.where(mask[..., None], inputs, np.float32(junk))
            np.testing.assert_array_equal(
                call(dirty, mask), call(inputs, mask), err_msg=name
            )
            found = gradients(layer, loss, dirty, mask=mask, **call_arguments)
            expected = gradients(layer, loss, inputs[:, row], **call_arguments)
            assert np.all(found[0][~mask] == 0)
            np.testing.assert_allclose(
                found[0][:, row], expected[0], rtol=1e-4, atol=1e-5
            )
            for a, b in zip(found[1:], expected[1:], strict=True):
                np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-4)

    nothing = everything.copy()
    nothing[1] = False
    output = call(inputs, nothing)
    assert np.all(output[1] == 0)
    keep = np.arange(batch) != 1
    assert_same(output[keep], bare[keep])
    for gradient in gradients(
        layer, loss, inputs, mask=np.zeros_like(everything), **call_arguments
    ):
        assert np.all(gradient == 0)


def check_mixed_precision(make, inputs):
    """Half precision keeps float32 variables and stays near float32."""
    layer = make()
    expected = to_numpy(layer(inputs))
    for policy, tolerance in (
        ("mixed_float16", 1e-2),
        ("mixed_bfloat16", 5e-2),
    ):
        half = make(dtype=policy)
        build(half, inputs)
        half.set_weights(layer.get_weights())
        output = half(inputs)
        compute = policy.removeprefix("mixed_")
        assert keras.backend.standardize_dtype(output.dtype) == compute
        assert {v.dtype for v in half.trainable_variables} == {"float32"}
        output = to_numpy(keras.ops.cast(output, "float32"))
        scale = np.abs(expected).max()
        assert np.abs(output - expected).max() <= tolerance * scale


def check_trains(make, inputs, still=(), epochs=2):
    """`fit` (jitted where the backend jits) moves every weight.

    `still` names the weights that no gradient should reach.
    """
    layer = make()
    symbolic = keras.Input(inputs.shape[1:])
    model = keras.Model(symbolic, keras.layers.Dense(1)(layer(symbolic)))
    model.compile(keras.optimizers.Adam(1e-2), "mse")
    before = {v.path: to_numpy(v) for v in layer.trainable_variables}
    targets = inputs[:, -1, :1]
    history = model.fit(
        inputs, targets, batch_size=len(inputs), epochs=epochs, verbose=0
    )
    assert np.isfinite(history.history["loss"]).all()
    for variable in layer.trainable_variables:
        moved = np.abs(to_numpy(variable) - before[variable.path]).max()
        name = variable.path.rsplit("/", 1)[1]
        # Adam turns even a rounding error into a step, if a small one.
        assert (moved < 1e-3) == (name in still), (name, moved)


def check_dropout(make_with_dropout, inputs):
    """Off at inference; in training seeded, and new at each call."""
    layer, twin = make_with_dropout(seed=7), make_with_dropout(seed=7)
    build(layer, inputs)
    build(twin, inputs)
    twin.set_weights(layer.get_weights())
    first = to_numpy(layer(inputs, training=True))
    second = to_numpy(layer(inputs, training=True))
    assert np.abs(first - second).max() > 1e-3
    assert_same(twin(inputs, training=True), first)
    assert_same(twin(inputs, training=True), second)
    assert_same(layer(inputs), layer(inputs, training=False), 0)
    assert np.abs(to_numpy(layer(inputs)) - first).max() > 1e-3
    check_trains(lambda: make_with_dropout(seed=7), inputs)
