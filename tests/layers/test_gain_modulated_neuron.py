import itertools
import pathlib

import keras
import numpy as np
import pytest

import keras_seqattn as ks
from keras_seqattn.layers import GainModulatedNeuron
from keras_seqattn.layers import GainModulatedNeuronCell
from tests import layer_checks
from tests.backend import gradients
from tests.backend import to_numpy
from tests.reference.gain_modulated_neuron import gain_modulated_neuron
from tests.reference.gain_modulated_neuron import softplus

GOLDEN = pathlib.Path(__file__).parents[1] / "golden"
BATCH, TIME, FEATURES, UNITS, HIDDEN = 3, 7, 4, 5, 6
ALL = ("gain", "threshold", "softness")

# One of each kind of path through the code, and of each kind of weights.
SETTINGS = {
    "default": {},
    "lag 0": {"lag": 0, "controller": "gru"},
    "lag 2, all": {"lag": 2, "modulated": ALL},
    "own controllers": {"shared_controller": False},
    "own GRUs": {"shared_controller": False, "controller": "gru"},
    "own RNNs": {
        **{"shared_controller": False, "controller": "rnn"},
        **{"controller_input": "input", "modulated": ALL},
    },
    "input": {"controller_input": "input", "controller": "rnn"},
    "input, one to one": {
        **{"controller_input": "input", "connection": "one_to_one"},
        **{"lag": 2},
    },
    "feedback": {"controller_input": "input_and_output", "modulated": ALL},
    "feedback, lag 0": {
        **{"controller_input": "input_and_output", "lag": 0},
        **{"controller": "gru", "activation": "adaptive"},
    },
    "feedback, own": {
        **{"controller_input": "input_and_output", "lag": 2},
        **{"shared_controller": False, "first_step": "wrap"},
    },
    "feedback, one to one": {
        **{"controller_input": "input_and_output", "first_step": "skip"},
        **{"connection": "one_to_one", "modulated": ("softness", "gain")},
    },
    "one to one": {"connection": "one_to_one", "first_step": "wrap", "lag": 2},
    "skip": {"first_step": "skip"},
    "skip, own": {
        **{"first_step": "skip", "shared_controller": False, "lag": 0},
    },
    "adaptive": {"activation": "adaptive"},
    "signed": {
        **{"activation": "adaptive", "signed": True},
        "resting_values": {"n": 3.0, "s": 1.0},
    },
    "rest": {
        "modulated": ("gain", "softness"),
        "resting_values": {"gain": -2.0, "threshold": 0.5, "softness": 4.0},
    },
}
MANY = pytest.mark.parametrize("name", SETTINGS)


def some(*names):
    return pytest.mark.parametrize("name", names)


def features_of(settings):
    return UNITS if settings.get("connection") == "one_to_one" else FEATURES


def inputs_for(name, seed=0):
    rng = np.random.default_rng(seed)
    shape = (BATCH, TIME, features_of(SETTINGS[name]))
    return rng.normal(size=shape).astype("float32")


def set_weights(layer):
    """General position: no weight is 0 or 1."""
    rng = np.random.default_rng(11)
    layer.set_weights([0.5 * rng.normal(size=w.shape) for w in layer.weights])
    return layer


RNN_ARGUMENTS = ("return_sequences", "return_state", "go_backwards")


def make(name="default", **arguments):
    settings = SETTINGS[name]
    layer = GainModulatedNeuron(UNITS, HIDDEN, **settings, **arguments)
    layer.build((None, None, features_of(settings)))
    return set_weights(layer)


def make_rnn(name="default", **arguments):
    settings = SETTINGS[name]
    arguments = {"return_sequences": True, **arguments}
    outer = {k: arguments.pop(k) for k in RNN_ARGUMENTS if k in arguments}
    cell = GainModulatedNeuronCell(UNITS, HIDDEN, **settings, **arguments)
    layer = keras.layers.RNN(cell, dtype=arguments.get("dtype"), **outer)
    layer.build((None, None, features_of(settings)))
    return set_weights(layer)


BOTH = pytest.mark.parametrize("maker", [make, make_rnn], ids=["layer", "RNN"])


def variables(layer):
    cell = layer.cell
    network = cell.network.cell
    return {
        "kernel": cell.kernel,
        "bias": cell.bias,
        "controller_kernel": network.kernel,
        "recurrent_kernel": network.recurrent_kernel,
        "controller_bias": network.bias,
        "head_kernel": cell.head_kernel,
        "head_bias": cell.head_bias,
    }


def by_name(layer):
    """The weights, those of controllers with a leading axis of neurons."""
    found = {name: to_numpy(w.value) for name, w in variables(layer).items()}
    if layer.cell.shared_controller:
        for name in found.keys() - {"kernel", "bias"}:
            found[name] = found[name][None]
    return found


def reference(layer, x):
    cell = layer.cell
    return gain_modulated_neuron(
        x,
        by_name(layer),
        units=cell.units,
        controller=cell.controller,
        activation=cell.modulation.activation,
        modulated=cell.modulation.modulated,
        controller_input=cell.controller_input,
        lag=cell.lag,
        first_step=cell.first_step,
        connection=cell.connection,
        signed=cell.modulation.signed,
        rest=cell.modulation.resting_values,
    )


def upstream(shape):
    return np.random.default_rng(5).normal(size=shape).astype("float32")


def dot_with(shape):
    weights = upstream(shape)
    return lambda output: layer_checks.dot(output, weights)


def assert_gradients_equal(found, expected, tolerance=2e-5):
    for a, b in zip(found, expected, strict=True):
        scale = max(1.0, np.abs(b).max())
        np.testing.assert_allclose(a / scale, b / scale, atol=tolerance)


# --- What it computes


@MANY
def test_values_equal_the_reference(name):
    x = inputs_for(name)
    layer = make(name)
    expected = reference(layer, x)
    # A signed softness or n near 0 blows rounding up.
    tolerance = 1e-4 if name == "signed" else 1e-5
    layer_checks.assert_same(
        layer(x, return_modulation=True), expected, tolerance
    )
    layer_checks.assert_same(make_rnn(name)(x), expected[0], tolerance)


@pytest.mark.only("tensorflow")  # The others do not keep float64.
@some("default", "own GRUs", "feedback", "feedback, own", "adaptive")
def test_in_float64_the_values_are_exact(name):
    x = inputs_for(name).astype("float64")
    layer = make(name, dtype="float64")
    np.testing.assert_allclose(
        to_numpy(layer(x)), reference(layer, x)[0], atol=1e-12
    )


@some("default", "own GRUs", "feedback", "one to one")
def test_the_gradient_is_that_of_the_cell(name):
    x = inputs_for(name)
    loss = dot_with((BATCH, TIME, UNITS))
    assert_gradients_equal(
        gradients(make(name), loss, x), gradients(make_rnn(name), loss, x)
    )


@some("default", "feedback", "own controllers", "adaptive")
def test_gradients_equal_central_differences(name):
    layer_checks.check_gradients(
        lambda dtype: make(name, dtype=dtype),
        inputs_for(name),
        dot_with((BATCH, TIME, UNITS)),
    )


@some("default", "feedback")
def test_gradients_equal_the_golden_ones(name):
    """Central differences of the reference: the same on every backend."""
    with np.load(GOLDEN / "gain_modulated_neuron.npz") as file:
        golden = {
            key.removeprefix(f"{name}/"): value
            for key, value in file.items()
            if key.startswith(f"{name}/")
        }
    x = golden["inputs"].astype("float32")
    layer = make(name)
    names = {}
    for key, variable in variables(layer).items():
        variable.assign(golden[key].reshape(variable.shape))
        names[variable.path] = key
    layer_checks.assert_same(
        layer(x, return_modulation=True),
        [golden["output"], golden["computed"], golden["in_effect"]],
        1e-5,
    )
    found = gradients(
        layer, lambda y: layer_checks.dot(y, golden["upstream"]), x
    )
    order = ["inputs", *(names[w.path] for w in layer.trainable_variables)]
    assert_gradients_equal(
        found,
        [
            golden[f"gradient_{key}"].reshape(gradient.shape)
            for key, gradient in zip(order, found, strict=True)
        ],
    )


def test_every_parameter_begins_at_rest():
    for name in ("own RNNs", "feedback, lag 0", "signed", "rest"):
        settings = SETTINGS[name]
        layer = GainModulatedNeuron(UNITS, HIDDEN, **settings)
        x = 3 * inputs_for(name)
        modulation = layer.cell.modulation
        for found in layer(x, return_modulation=True)[1:]:
            rest = [modulation.resting_values[n] for n in modulation.modulated]
            np.testing.assert_allclose(
                to_numpy(found),
                np.broadcast_to(rest, found.shape),
                rtol=1e-6,
                err_msg=name,
            )


def test_bounds():
    layer = make("adaptive")
    layer.cell.head_kernel.assign(1e3 * layer.cell.head_kernel)
    x = inputs_for("adaptive")
    output, computed, _ = to_numpy(layer(x, return_modulation=True))
    assert np.isfinite(output).all()
    n, s = computed[..., 0], computed[..., 1]
    assert 0.05 <= n.min() < 0.06
    assert n.max() > 10
    assert 0 <= s.min() < 1e-3
    assert 1 - 1e-3 < s.max() <= 1


# --- The originals' timing, from closed forms


def still(bias, **settings):
    """All weights of the controller and its head 0, but for the bias."""
    layer = GainModulatedNeuron(UNITS, HIDDEN, signed=True, **settings)
    layer.build((None, None, features_of(settings)))
    set_weights(layer)
    cell = layer.cell
    for weight in (*cell.network.weights, cell.head_kernel):
        weight.assign(keras.ops.zeros(weight.shape))
    rest = [
        cell.modulation.resting_values[n] for n in cell.modulation.modulated
    ]
    cell.head_bias.assign(np.subtract(bias, rest))
    return layer


def drive(layer, x):
    return x.astype("float64") @ to_numpy(layer.cell.kernel) + to_numpy(
        layer.cell.bias
    )


def test_the_one_neuron_s_timing():
    """y_0 = y_1 = sp(a - 1), then y_t = b0 sp(a_t - 1)."""
    x = inputs_for("default")
    layer = still(
        [-1.7], first_step="skip", lag=1, controller_input="input_and_output"
    )
    output, computed, effective = to_numpy(layer(x, return_modulation=True))
    gain = np.array([1, 1] + [-1.7] * (TIME - 2))
    np.testing.assert_allclose(
        output, gain[:, None] * softplus(drive(layer, x) - 1), rtol=1e-5
    )
    np.testing.assert_allclose(effective[0, :, 0, 0], gain, rtol=1e-6)
    np.testing.assert_allclose(
        computed[0, :, 0, 0], [1] + [-1.7] * (TIME - 1), rtol=1e-6
    )


def test_the_one_neuron_s_timing_with_all_three_parameters():
    x = inputs_for("default")
    layer = still(
        [2.5, -0.5, 3.0],
        first_step="skip",
        modulated=ALL,
        controller_input="input_and_output",
    )
    a = drive(layer, x)
    expected = 2.5 * softplus(3 * (a + 0.5)) / 3
    expected[:, :2] = softplus(a - 1)[:, :2]
    np.testing.assert_allclose(to_numpy(layer(x)), expected, rtol=1e-5)


def test_the_adaptive_neuron_s_timing():
    """y_0 = sigmoid(a), then n and s of the same step."""
    x = inputs_for("default")
    layer = still(
        [2.0, -0.25],
        activation="adaptive",
        first_step="skip",
        lag=0,
        resting_values={"n": 1.0, "s": 1.0},
        controller_input="input_and_output",
    )
    a = drive(layer, x)
    sigmoid = np.exp(-softplus(-a))
    expected = 1.25 * softplus(2 * a) / 2 - 0.25 * np.exp(-softplus(-2 * a))
    expected[:, 0] = sigmoid[:, 0]
    np.testing.assert_allclose(to_numpy(layer(x)), expected, rtol=1e-5)


@pytest.mark.parametrize("connection", ["dense", "one_to_one"])
def test_the_networks_timing(connection):
    """r_0 = b0 sp, r_1 = sp, r_t = b0 sp."""
    settings = {"first_step": "wrap", "lag": 2, "connection": connection}
    x = inputs_for("one to one" if connection == "one_to_one" else "default")
    layer = still([-1.7], **settings)
    gain = np.array([-1.7, 1] + [-1.7] * (TIME - 2))
    cell = layer.cell
    a = (
        x * to_numpy(cell.kernel)[0] + to_numpy(cell.bias)
        if connection == "one_to_one"
        else drive(layer, x)
    )
    np.testing.assert_allclose(
        to_numpy(layer(x)), gain[:, None] * softplus(a - 1), rtol=1e-5
    )


@pytest.mark.parametrize(
    "lag, first_step",
    [*itertools.product((0, 1, 2), ("regular", "skip", "wrap"))],
)
def test_what_is_computed_at_a_step_acts_a_lag_later(lag, first_step):
    """Influence of each step's parameters, read off the modulation."""
    arguments = {"lag": lag, "first_step": first_step}
    layer = GainModulatedNeuron(UNITS, HIDDEN, **arguments)
    layer.build((None, None, FEATURES))
    set_weights(layer)
    x = inputs_for("default")
    _, computed, effective = to_numpy(layer(x, return_modulation=True))
    late = np.ones_like(computed)
    late[:, lag:] = computed[:, : TIME - lag]
    if first_step == "wrap":
        late[:, 0] = computed[:, 0]
    np.testing.assert_array_equal(effective, late)
    # Every step's numbers differ, so that the comparison tells them apart.
    assert len(np.unique(computed[0, 1:, 0])) == TIME - 1
    assert np.all(computed[:, 0] == 1) == (first_step == "skip")


@pytest.mark.parametrize(
    "settings, features, units, expected",
    [
        # Section 1 of the original's description, less its second bias of
        # the gates (256) and its second linear layer (20 + 11, here 2).
        ({"controller_input": "input_and_output"}, 1, 1, 17_504 - 256 - 29),
        (
            {"controller_input": "input_and_output", "modulated": ALL},
            *(1, 1, 17_634 - 256 - 29),
        ),
        (
            {"controller_input": "input_and_output", "activation": "adaptive"},
            *(1, 1, 17_540 - 256),
        ),
        ({"connection": "one_to_one"}, 12, 12, 17_219 - 256),
        ({}, 7, 20, 17_461 - 256 - (20 * 4 + 4)),
    ],
)
def test_parameter_counts_of_the_originals(settings, features, units, expected):
    layer = GainModulatedNeuron(units, **settings)
    layer.build((None, None, features))
    assert layer.count_params() == expected


# --- Structure


def test_neurons_are_independent_of_each_other():
    """Permuting channels permutes outputs; and one changes only its own."""
    layer = make("one to one")
    x = inputs_for("one to one")
    expected = to_numpy(layer(x))
    order = np.array([3, 0, 4, 1, 2])
    layer_checks.assert_same(layer(x[..., order]), expected[..., order])
    moved = x.copy()
    moved[:, 1, 2] += 1
    changed = np.abs(to_numpy(layer(moved)) - expected).max(axis=(0, 1)) > 1e-6
    np.testing.assert_array_equal(changed, np.arange(UNITS) == 2)


@pytest.mark.parametrize("controller", ["lstm", "gru", "rnn"])
@pytest.mark.parametrize("seen", ["preactivation", "input_and_output"])
def test_equal_controllers_are_as_a_shared_one(controller, seen):
    arguments = {"controller": controller, "controller_input": seen}
    shared, own = (
        GainModulatedNeuron(UNITS, HIDDEN, shared_controller=flag, **arguments)
        for flag in (True, False)
    )
    for layer in (shared, own):
        layer.build((None, None, FEATURES))
    set_weights(shared)
    values = [to_numpy(w) for w in shared.weights]
    own.set_weights(
        [
            np.broadcast_to(v.reshape((1,) * (len(w.shape) - v.ndim) + v.shape),
                            w.shape)
            for v, w in zip(values, own.weights, strict=True)
        ]
    )  # fmt: skip
    x = inputs_for("default")
    layer_checks.assert_same(own(x), to_numpy(shared(x)), 1e-5)


def test_controllers_of_their_own_begin_differently_with_the_usual_scale():
    layer = GainModulatedNeuron(
        UNITS,
        64,
        shared_controller=False,
        controller_input="input",
        head_kernel_initializer="glorot_uniform",
    )
    layer.build((None, None, FEATURES))
    w = by_name(layer)
    assert w["controller_kernel"].shape == (UNITS, FEATURES, 256)
    for name in ("controller_kernel", "recurrent_kernel"):
        flat = w[name].reshape(UNITS, -1)
        assert len({tuple(row[:8]) for row in flat}) == UNITS
    limit = np.sqrt(6 / (FEATURES + 256))
    for kernel in w["controller_kernel"]:
        assert 0.9 * limit < np.abs(kernel).max() <= limit
    for kernel in w["recurrent_kernel"]:
        np.testing.assert_allclose(kernel @ kernel.T, np.eye(64), atol=1e-5)
    np.testing.assert_array_equal(
        w["controller_bias"], [[0] * 64 + [1] * 64 + [0] * 128] * UNITS
    )
    limit = np.sqrt(6 / (64 + 1))
    for kernel in w["head_kernel"]:
        assert 0.8 * limit < np.abs(kernel).max() <= limit


@pytest.mark.parametrize("shared", [True, False])
def test_built_in_fit_the_weights_are_the_same(shared):
    """Within Keras' first step, where what is assigned is lost."""
    keras.utils.set_random_seed(3)
    layer = GainModulatedNeuron(
        UNITS,
        HIDDEN,
        shared_controller=shared,
        controller_kernel_initializer=keras.initializers.GlorotUniform(seed=1),
        return_sequences=False,
    )
    model = keras.Sequential([layer])
    model.compile(keras.optimizers.SGD(0.0), "mse")
    x = inputs_for("default")
    model.fit(x, np.zeros((BATCH, UNITS)), verbose=0)
    w = by_name(layer)
    for bias in w["controller_bias"]:
        np.testing.assert_array_equal(
            bias, [0] * HIDDEN + [1] * HIDDEN + [0] * 2 * HIDDEN
        )
    kernels = {tuple(kernel.ravel()) for kernel in w["controller_kernel"]}
    assert len(kernels) == (1 if shared else UNITS)


@keras.saving.register_keras_serializable(package="tests")
def scaled_tanh(x, scale, shift=0.0):
    return scale * keras.ops.tanh(x + shift)


def test_an_activation_of_the_user(tmp_path):
    layer = GainModulatedNeuron(
        UNITS,
        HIDDEN,
        activation=scaled_tanh,
        modulated=["scale"],
        resting_values={"scale": 2.0, "shift": 0.5},
    )
    x = inputs_for("default")
    output = to_numpy(layer(x))
    cell = layer.cell
    a = x @ to_numpy(cell.kernel) + to_numpy(cell.bias)
    np.testing.assert_allclose(output, 2 * np.tanh(a + 0.5), atol=1e-5)
    layer_checks.check_config_round_trip(lambda: set_weights(layer), x)


def test_an_activation_by_name_or_as_a_function_is_the_same():
    for name, function in (
        ("gain_softplus", ks.activations.gain_softplus),
        ("adaptive", ks.activations.adaptive_softplus_sigmoid),
    ):
        by_function = GainModulatedNeuron(2, activation=function, name="same")
        by_string = GainModulatedNeuron(2, activation=name, name="same")
        assert by_function.get_config() == by_string.get_config()


def test_a_large_resting_value():
    layer = GainModulatedNeuron(
        UNITS, modulated=("softness",), resting_values={"softness": 800.0}
    )
    _, computed, _ = layer(inputs_for("default"), return_modulation=True)
    np.testing.assert_allclose(to_numpy(computed), 800, rtol=1e-5)


# --- The contract


@pytest.mark.parametrize(
    "maker, name",
    [(make, "default"), (make, "feedback"), (make_rnn, "default")],
)
def test_symbolic_eager_and_compiled_agree(maker, name):
    layer_checks.check_symbolic_eager_and_compiled_agree(
        lambda: maker(name), inputs_for(name)
    )


def test_symbolic_eager_and_compiled_agree_with_modulation_and_states():
    name = "feedback, own"
    layer_checks.check_symbolic_eager_and_compiled_agree(
        lambda: make(name, return_state=True),
        inputs_for(name),
        return_modulation=True,
    )


def test_the_last_step_alone():
    layer = make(return_sequences=False)
    x = inputs_for("default")
    found = to_numpy(layer(x, return_modulation=True))
    whole = to_numpy(make()(x, return_modulation=True))
    layer_checks.assert_same(found, [value[:, -1] for value in whole])
    mask = np.tile(np.arange(TIME) < 4, (BATCH, 1))
    found = to_numpy(layer(x, mask=mask, return_modulation=True))
    layer_checks.assert_same(found, [value[:, 3] for value in whole])
    layer_checks.check_symbolic_eager_and_compiled_agree(
        lambda: make(return_sequences=False), x, return_modulation=True
    )


@MANY
def test_config_round_trip(name):
    layer_checks.check_config_round_trip(lambda: make(name), inputs_for(name))
    cell = make(name).cell
    config = cell.get_config()
    assert GainModulatedNeuronCell.from_config(config).get_config() == config


CELL_KEYS = {
    "activation", "bias_initializer", "bias_regularizer", "connection",
    "controller", "controller_bias_initializer",
    "controller_bias_regularizer", "controller_input",
    "controller_kernel_initializer", "controller_kernel_regularizer",
    "controller_recurrent_initializer", "controller_recurrent_regularizer",
    "controller_units", "dtype", "first_step", "head_bias_initializer",
    "head_bias_regularizer", "head_kernel_initializer",
    "head_kernel_regularizer", "kernel_initializer", "kernel_regularizer",
    "lag", "modulated", "name", "resting_values", "shared_controller",
    "signed", "trainable", "unit_forget_bias", "units", "use_bias",
}  # fmt: skip


def test_config_keys_are_frozen():
    assert set(GainModulatedNeuronCell(4).get_config()) == CELL_KEYS
    assert set(GainModulatedNeuron(4).get_config()) == CELL_KEYS | {
        "go_backwards", "return_sequences", "return_state", "stateful",
        "unroll", "zero_output_for_mask",
    }  # fmt: skip


@pytest.mark.process
def test_files_load_on_every_backend(tmp_path):
    symbolic = keras.Input((None, UNITS))
    x = make("feedback, one to one")(symbolic)
    x = GainModulatedNeuron(4, HIDDEN, **SETTINGS["own GRUs"])(x)
    cell = GainModulatedNeuronCell(2, 3, controller="rnn")
    x, *state = keras.layers.RNN(cell, return_state=True)(x)
    model = keras.Model(symbolic, keras.layers.Concatenate()([x, *state]))
    layer_checks.check_file_loads_on_every_backend(
        model, inputs_for("one to one"), tmp_path
    )


@some("lag 2, all", "own GRUs", "feedback, one to one")
def test_masks(name):
    layer_checks.check_masks(
        lambda: make(name, return_sequences=False), inputs_for(name)
    )


@pytest.mark.parametrize(
    "name, zeros", [("lag 2, all", False), ("feedback, own", True)]
)
def test_outputs_and_modulation_at_masked_steps(name, zeros):
    layer = make(name, zero_output_for_mask=zeros)
    x = inputs_for(name)
    mask = np.ones((BATCH, TIME), bool)
    mask[0, :2] = mask[1, 3:5] = mask[2, -1] = False
    found, *modulation = to_numpy(layer(x, mask=mask, return_modulation=True))
    for row in range(BATCH):
        alone = to_numpy(
            layer(x[row : row + 1, mask[row]], return_modulation=True)
        )
        for a, b in zip([found, *modulation], alone, strict=True):
            layer_checks.assert_same(a[row, mask[row]], b[0])
        for step in np.flatnonzero(~mask[row]):
            before = found[row, step - 1] if step else 0 * found[row, 0]
            expected = 0 * before if zeros else before
            np.testing.assert_array_equal(found[row, step], expected)
    for values in modulation:
        assert np.all(values[~mask] == 0)


@some("lag 2, all", "skip", "feedback, one to one")
def test_states_equal_those_of_the_cell(name):
    x = inputs_for(name)
    layer, rnn = (
        make(name, return_state=True),
        make_rnn(name, return_state=True),
    )
    for time in (1, 2, TIME):
        layer_checks.assert_same(
            layer(x[:, :time]), to_numpy(rnn(x[:, :time])), 1e-5
        )
    mask = np.arange(TIME) != np.array([[3], [4], [TIME - 1]])
    layer_checks.assert_same(
        layer(x, mask=mask), to_numpy(rnn(x, mask=mask)), 1e-5
    )
    mask[1] = False
    layer_checks.assert_same(
        layer(x, mask=mask)[1:], to_numpy(rnn(x, mask=mask))[1:], 1e-5
    )


@some("lag 2, all", "own RNNs", "input", "feedback, own", "skip, own")
def test_return_state_and_going_on(name):
    x = inputs_for(name)
    layer = make(name, return_state=True)
    whole, *state = layer(x)
    first, *between = layer(x[:, :3])
    second, *end = layer(x[:, 3:], initial_state=between)
    layer_checks.assert_same(
        np.concatenate([to_numpy(first), to_numpy(second)], 1), whole, 1e-5
    )
    layer_checks.assert_same(end, to_numpy(state), 1e-5)
    assert [s.shape[1] for s in state] == layer.cell.state_size


def test_state_sizes():
    hidden = UNITS * HIDDEN
    for name, expected in {
        "default": [UNITS, hidden, hidden, UNITS],
        "lag 0": [UNITS, hidden],
        "lag 2, all": [UNITS, hidden, hidden, 2 * UNITS * 3],
        "input": [UNITS, HIDDEN, 1],
        "skip": [UNITS, hidden, hidden, UNITS, 1],
    }.items():
        assert make(name).cell.state_size == expected, name


@some("default", "own GRUs", "feedback, own", "skip")
def test_streaming_equals_the_whole_sequence(name):
    layer = make(name)
    cell = layer.cell
    x = inputs_for(name)
    state = cell.get_initial_state(BATCH)
    outputs = []
    for step in range(TIME):
        output, state = cell(x[:, step], state)
        outputs.append(to_numpy(output))
    layer_checks.assert_same(np.stack(outputs, 1), layer(x), 1e-5)


@some("default", "feedback")
def test_go_backwards(name):
    x = inputs_for(name)
    found = to_numpy(make(name, go_backwards=True)(x))
    layer_checks.assert_same(found, to_numpy(make(name)(x[:, ::-1])), 1e-6)
    rnn = to_numpy(make_rnn(name, go_backwards=True)(x))
    layer_checks.assert_same(found, rnn, 1e-5)
    mask = np.arange(TIME) != np.array([[3], [4], [TIME - 1]])
    layer_checks.assert_same(
        make(name, go_backwards=True)(x, mask=mask),
        to_numpy(make(name)(x[:, ::-1], mask=mask[:, ::-1])),
        1e-6,
    )


@some("default", "own controllers", "feedback")
def test_unroll(name):
    x = inputs_for(name)[:, :3]
    mask = np.arange(3) != np.array([[0], [1], [2]])
    layer = make(name, unroll=True)
    layer_checks.assert_same(layer(x), to_numpy(make(name)(x)), 1e-6)
    layer_checks.assert_same(
        layer(x, mask=mask), to_numpy(make(name)(x, mask=mask)), 1e-6
    )


@BOTH
def test_bidirectional(maker):
    x = inputs_for("default")
    layer = keras.layers.Bidirectional(maker())
    layer.build(x.shape)
    set_weights(layer.forward_layer)
    set_weights(layer.backward_layer)
    forward = to_numpy(make()(x))
    backward = to_numpy(make()(x[:, ::-1]))[:, ::-1]
    layer_checks.assert_same(
        layer(x), np.concatenate([forward, backward], -1), 1e-5
    )


def test_stacked_cells():
    x = inputs_for("default")
    cells = [
        make("feedback").cell,
        GainModulatedNeuronCell(2, 3, controller="gru", lag=2),
    ]
    stacked = keras.layers.RNN(cells, return_sequences=True)
    expected = stacked(x)
    for cell in cells:
        layer = GainModulatedNeuron.from_config(
            {**cell.get_config(), "name": None}
        )
        layer.build(x.shape)
        layer.set_weights(cell.get_weights())
        x = to_numpy(layer(x))
    layer_checks.assert_same(x, to_numpy(expected), 1e-5)


def test_stateful():
    layer = GainModulatedNeuron(
        UNITS, HIDDEN, stateful=True, **SETTINGS["feedback, own"]
    )
    x = inputs_for("feedback, own")
    symbolic = keras.Input(batch_shape=(BATCH, None, FEATURES))
    model = keras.Model(symbolic, layer(symbolic))
    layer.cell.set_weights(make("feedback, own").cell.get_weights())
    parts = [model.predict(x[:, i : i + 2], verbose=0) for i in (0, 2, 4)]
    whole = to_numpy(make("feedback, own")(x[:, :6]))
    layer_checks.assert_same(np.concatenate(parts, 1), whole, 1e-5)
    layer.reset_state()
    layer_checks.assert_same(model.predict(x[:, :2], verbose=0), parts[0], 1e-6)


@some("default", "own GRUs", "feedback")
def test_stateful_layers_train(name):
    layer = GainModulatedNeuron(UNITS, HIDDEN, stateful=True, **SETTINGS[name])
    symbolic = keras.Input(batch_shape=(BATCH, TIME, FEATURES))
    model = keras.Model(symbolic, layer(symbolic))
    layer.cell.set_weights(make(name).cell.get_weights())
    model.compile(keras.optimizers.SGD(0.0), "mse")
    x = inputs_for(name)
    losses = [
        model.train_on_batch(x, np.zeros((BATCH, TIME, UNITS)))
        for _ in range(2)
    ]
    twin = make(name, return_state=True)
    first, *state = twin(x)
    second, *_ = twin(x, initial_state=state)
    expected = [np.mean(to_numpy(y) ** 2) for y in (first, second)]
    np.testing.assert_allclose(losses, expected, rtol=1e-5)


# On torch it is another compiler, and slow.
@pytest.mark.only("tensorflow", "jax")
@some("default", "feedback")
def test_compiled_by_xla(name):
    layer = make(name, return_sequences=False)
    x = inputs_for(name)
    expected = np.mean(to_numpy(layer(x)) ** 2)
    symbolic = keras.Input((TIME, FEATURES))
    model = keras.Model(symbolic, layer(symbolic))
    model.compile("sgd", "mse", jit_compile=True)
    loss = model.train_on_batch(x, np.zeros((BATCH, UNITS)))
    np.testing.assert_allclose(loss, expected, rtol=1e-4)


def test_the_mask_of_the_layer_before_is_used_and_passed_on():
    padded = inputs_for("default")
    expected = to_numpy(make()(padded[:, :5]))
    padded[:, 5:] = 0
    symbolic = keras.Input((None, FEATURES))
    states = make()(keras.layers.Masking()(symbolic))
    model = keras.Model(symbolic, keras.layers.GlobalAveragePooling1D()(states))
    layer_checks.assert_same(
        model.predict(padded, verbose=0), expected.mean(1), 2e-6
    )


@some("default", "feedback", "own GRUs")
def test_mixed_precision(name):
    layer_checks.check_mixed_precision(
        lambda **dtype: make(name, **dtype), inputs_for(name)
    )


@some("default", "feedback")
def test_mixed_float16_trains(name):
    keras.config.set_dtype_policy("mixed_float16")
    # The first steps only lower the loss scale.
    layer_checks.check_trains(
        lambda: make(name, return_sequences=False), inputs_for(name), epochs=20
    )


@some("default", "own GRUs", "feedback", "one to one", "adaptive")
def test_every_weight_trains(name):
    def fresh():
        layer = GainModulatedNeuron(
            UNITS, HIDDEN, **SETTINGS[name], return_sequences=False
        )
        layer.build((None, None, features_of(SETTINGS[name])))
        return layer

    # The head begins at 0: a step later the controller hears of the loss.
    layer_checks.check_trains(fresh, inputs_for(name), epochs=3)


def test_regularizers():
    layer = make(
        kernel_regularizer=keras.regularizers.L2(0.5),
        controller_kernel_regularizer=keras.regularizers.L1(2.0),
        controller_recurrent_regularizer=keras.regularizers.L2(0.25),
        head_kernel_regularizer=keras.regularizers.L1(3.0),
        bias_regularizer=keras.regularizers.L2(1.5),
        controller_bias_regularizer=keras.regularizers.L1(0.5),
        head_bias_regularizer=keras.regularizers.L2(4.0),
    )
    layer(inputs_for("default"))
    w = by_name(layer)
    expected = (
        0.5 * np.sum(w["kernel"] ** 2)
        + 2 * np.sum(np.abs(w["controller_kernel"]))
        + 0.25 * np.sum(w["recurrent_kernel"] ** 2)
        + 3 * np.sum(np.abs(w["head_kernel"]))
        + 1.5 * np.sum(w["bias"] ** 2)
        + 0.5 * np.sum(np.abs(w["controller_bias"]))
        + 4 * np.sum(w["head_bias"] ** 2)
    )
    np.testing.assert_allclose(
        sum(float(to_numpy(loss)) for loss in layer.losses), expected, rtol=1e-5
    )


@pytest.mark.process
def test_learns_to_answer_only_after_a_cue():
    """The input is the same at the last step: only memory tells."""
    rng = np.random.default_rng(0)
    cue = rng.integers(2, size=256)
    x = np.zeros((256, 6, 1), "float32")
    x[:, 0, 0] = cue
    x[:, -1] = 0.5
    for seed in range(3):
        keras.utils.set_random_seed(seed)
        symbolic = keras.Input((6, 1))
        output = GainModulatedNeuron(1, 8, return_sequences=False)(symbolic)
        model = keras.Model(symbolic, output)
        model.compile(keras.optimizers.Adam(0.03), "mse")
        history = model.fit(
            x, cue[:, None].astype("float32"), epochs=40, verbose=0
        )
        assert history.history["loss"][-1] < 0.02, seed  # the mean: 0.25


@pytest.mark.nan
@some("default", "feedback")
def test_nan_and_infinity_stay_in_their_sequence(name):
    layer = make(name)
    x = inputs_for(name)
    clean = to_numpy(layer(x))
    for bad in (np.nan, np.inf):
        dirty = x.copy()
        dirty[1, 3, 2] = bad
        found = to_numpy(layer(dirty))
        # NaN stays in the memory; infinity only saturates its gates.
        last = TIME if np.isnan(bad) else 4
        assert not np.isfinite(found[1, 3:last]).all(axis=1).any()
        layer_checks.assert_same(found[1, :3], clean[1, :3])
        layer_checks.assert_same(found[[0, 2]], clean[[0, 2]])


def test_large_values_stay_finite():
    for name in ("lag 2, all", "feedback", "adaptive"):
        for scale in (1e-4, 1e3, 1e6):
            found = to_numpy(make(name)(scale * inputs_for(name)))
            assert np.isfinite(found).all()


@some("lag 0", "feedback, lag 0")
def test_an_empty_batch_gives_an_empty_output(name):
    # With a GRU: Keras' own LSTM refuses it on TensorFlow.
    layer = make(name)
    x = inputs_for(name)
    layer(x)
    assert to_numpy(layer(x[:0])).shape == (0, TIME, UNITS)


@BOTH
def test_integer_inputs(maker):
    x = np.arange(BATCH * TIME * FEATURES).reshape(BATCH, TIME, FEATURES) % 5
    layer = maker()
    layer_checks.assert_same(layer(x), to_numpy(layer(x.astype("float32"))), 0)


@pytest.mark.process
def test_saved_model(tmp_path):
    symbolic = keras.Input((None, FEATURES))
    model = keras.Model(symbolic, make("feedback")(symbolic))
    # Compares the reloaded artifact's numbers itself.
    assert ks.export.export_saved_model(model, tmp_path / "saved") < 1e-5


# --- Errors


@pytest.mark.parametrize(
    "arguments, message",
    [
        ({"units": 0}, "`units` must be a positive integer. Received: units=0"),
        ({"controller_units": 1.5}, "`controller_units` must be a positive"),
        ({"controller": "tcn"}, r"one of \('lstm', 'gru', 'rnn'\). Received"),
        ({"activation": "relu"}, r"`activation` must be one of .*'adaptive'"),
        ({"activation": 3}, "or a function of the pre-activation"),
        ({"activation": abs}, "`modulated` must name its modulated parameters"),
        (
            {"activation": scaled_tanh, "modulated": ("size",)},
            r"one of \('scale', 'shift'\)",
        ),
        (
            {
                **{"activation": scaled_tanh, "modulated": ("scale",)},
                "resting_values": {"size": 1.0},
            },
            r"must be one of \('scale', 'shift'\)",
        ),
        (
            {
                **{"activation": scaled_tanh, "modulated": ("scale",)},
                "signed": True,
            },
            "`signed` is for the activations named",
        ),
        ({"resting_values": {"gain": "1"}}, "resting value of 'gain' must be"),
        ({"modulated": ()}, "`modulated` must name at least one parameter"),
        ({"modulated": ("n",)}, r"one of \('gain', 'threshold', 'softness'\)"),
        ({"modulated": ("gain", "gain")}, "and none twice"),
        ({"controller_input": "x"}, "`controller_input` must be one of"),
        ({"lag": 3}, r"`lag` must be one of \(0, 1, 2\). Received: lag=3"),
        ({"first_step": "hop"}, "`first_step` must be one of"),
        ({"connection": "sparse"}, "`connection` must be one of"),
        ({"resting_values": {"n": 1.0}}, "`resting_values` must be one of"),
        (
            {"resting_values": {"softness": 0.05}, "modulated": ("softness",)},
            "resting value of 'softness' must be above 0.05 and below inf",
        ),
        ({"resting_values": {"gain": np.nan}}, "resting value of 'gain' must"),
        (
            {"activation": "adaptive", "resting_values": {"s": 1.0}},
            "resting value of 's' must be above 0.0 and below 1.0",
        ),
    ],
)
@pytest.mark.parametrize(
    "which", [GainModulatedNeuron, GainModulatedNeuronCell]
)
def test_bad_arguments(which, arguments, message):
    with pytest.raises(ValueError, match=message):
        which(**{"units": UNITS, **arguments})


@pytest.mark.parametrize(
    "shape, message",
    [
        ((4, 5), "expected ndim=3"),
        ((2, 3, 4, 5), "expected ndim=3"),
        ((2, 0, 5), "at least one timestep"),
        ((2, 3, 0), "at least one feature"),
    ],
)
def test_bad_input_shapes(shape, message):
    with pytest.raises(ValueError, match=message):
        GainModulatedNeuron(4)(np.zeros(shape, "float32"))


def test_one_to_one_needs_as_many_features_as_units():
    with pytest.raises(ValueError, match="as many features as units"):
        GainModulatedNeuron(4, connection="one_to_one")(np.zeros((2, 3, 5)))


@pytest.mark.parametrize("shape", [(TIME,), (BATCH, 1), (TIME, BATCH)])
def test_bad_mask_shapes(shape):
    with pytest.raises(ValueError, match=r"`mask` must have the shape \(batch"):
        make()(inputs_for("default"), mask=np.ones(shape, bool))


def test_bad_initial_states():
    layer = make()
    x = inputs_for("default")
    state = layer.get_initial_state(BATCH)
    for bad in (state[:2], [*state[:3], state[0][:, :1]]):
        with pytest.raises(
            ValueError, match="`initial_state` must be 4 tensors"
        ):
            layer(x, initial_state=bad)


def test_other_feature_count_after_build():
    with pytest.raises(ValueError, match="expected axis -1"):
        make()(inputs_for("default")[..., :-1])
