import keras
import numpy as np
import pytest

import keras_seqattn as ks
from keras_seqattn.models import build_memory_network
from keras_seqattn.models import modulation_model
from keras_seqattn.models.memory_network import FAITHFUL
from tests import layer_checks
from tests.backend import to_numpy

TASKS = {
    "one_neuron": ks.tasks.CueRecall(delay_range=(2, 4)),
    "one_neuron_all": ks.tasks.CueRecall(delay_range=(2, 4)),
    "one_neuron_adaptive": ks.tasks.CueRecall(delay_range=(2, 4)),
    "factorial": ks.tasks.factorial_task(),
    "additive": ks.tasks.additive_task(),
    "association": ks.tasks.CueAssociation(num_keys=5, num_values=6),
}


def sizes(preset):
    if preset != "association":
        return {}
    task = TASKS[preset]
    return {"features": task.features, "outputs": task.outputs}


def small(preset, **arguments):
    return build_memory_network(
        preset, controller_units=4, **sizes(preset), **arguments
    )


@pytest.mark.parametrize(
    "preset, parameters",
    [
        # The original's, less its second bias of the gates (256) and its
        # second linear layer (29).
        ("one_neuron", 17_504 - 256 - 29),
        ("one_neuron_all", 17_634 - 256 - 29),
        ("one_neuron_adaptive", 17_540 - 256),
        ("factorial", 17_219 - 256),
        ("additive", 17_461 - 256),
        ("association", 11 * 48 + 48 + 16_896 + 65 + 48 * 6 + 6),
    ],
)
def test_the_presets_fit_their_tasks(preset, parameters):
    task = TASKS[preset]
    model = build_memory_network(preset, **sizes(preset))
    assert model.count_params() == parameters
    assert model.input_shape == (None, None, task.features)
    assert model.output_shape == (None, None, task.outputs)
    neurons = model.get_layer("neurons").cell
    assert not neurons.modulation.signed
    assert (neurons.lag, neurons.first_step) == (1, "regular")


def test_what_the_presets_modulate_and_see():
    for preset, modulated, seen, connection in (
        ("one_neuron", ("gain",), "input_and_output", "dense"),
        (
            "one_neuron_all",
            ("gain", "threshold", "softness"),
            *("input_and_output", "dense"),
        ),
        ("one_neuron_adaptive", ("n", "s"), "input_and_output", "dense"),
        ("factorial", ("gain",), "preactivation", "one_to_one"),
        ("additive", ("gain",), "preactivation", "dense"),
    ):
        cell = small(preset).get_layer("neurons").cell
        assert cell.modulation.modulated == modulated
        assert cell.controller_input == seen
        assert cell.connection == connection


def test_the_neuron_is_silent_at_rest_and_driven_by_the_query():
    x = np.array([[[0.0], [0.6], [0.8]]], "float32")
    for preset in ("one_neuron", "one_neuron_all"):
        output = to_numpy(small(preset)(x))[0, :, 0]
        assert output[0] < 0.02
        assert output[1] > 0.5


def test_networks_of_other_seeds_begin_otherwise():
    """An initializer that two networks shared would draw the same twice."""
    kernels = []
    for seed in (0, 1, 0):
        keras.utils.set_random_seed(seed)
        kernels.append(
            to_numpy(small("additive").get_layer("neurons").cell.kernel)
        )
    assert np.abs(kernels[0] - kernels[1]).max() > 0.1
    np.testing.assert_array_equal(kernels[0], kernels[2])
    # Uniform, eight times as wide as Glorot's.
    limit = 8 * np.sqrt(6 / 27)
    assert 0.9 * limit < np.abs(kernels[0]).max() <= limit


@pytest.mark.parametrize("preset", FAITHFUL)
def test_the_original_s_timing(preset):
    # With a bias, a controller that sees zeros computes something too.
    model = small(
        preset, **FAITHFUL[preset], controller_bias_initializer="ones"
    )
    cell = model.get_layer("neurons").cell
    assert cell.modulation.signed
    expected = {
        "one_neuron": (1, "skip"),
        "one_neuron_all": (1, "skip"),
        "one_neuron_adaptive": (0, "skip"),
        "factorial": (2, "wrap"),
        "additive": (2, "wrap"),
    }
    assert (cell.lag, cell.first_step) == expected[preset]
    shown = modulation_model(model)
    x = TASKS[preset].sample(3, 0).x
    in_effect = shown.predict(x, verbose=0)
    lag = cell.lag
    at_rest = {"one_neuron_adaptive": [0], "factorial": [1], "additive": [1]}
    for step in range(3):
        resting = np.all(in_effect[:, step] == 1)
        assert resting == (step in at_rest.get(preset, [0, 1])), (step, lag)


@pytest.mark.parametrize("preset", ["one_neuron_all", "additive"])
def test_the_modulation_in_effect_makes_the_output(preset):
    task = TASKS[preset]
    keras.utils.set_random_seed(0)
    model = small(preset, head_kernel_initializer="glorot_uniform")
    x = task.sample(5, 0).x
    in_effect = modulation_model(model).predict(x, verbose=0)
    cell = model.get_layer("neurons").cell
    assert in_effect.shape == (
        *x.shape[:2],
        cell.units,
        len(cell.modulation.modulated),
    )
    a = x @ to_numpy(cell.kernel) + to_numpy(cell.bias)
    parameters = dict(
        zip(
            cell.modulation.modulated,
            np.moveaxis(in_effect, -1, 0),
            strict=True,
        )
    )
    y = to_numpy(
        ks.activations.gain_softplus(a.astype("float32"), **parameters)
    )
    if preset == "additive":
        readout = model.get_layer("readout")
        y = y @ to_numpy(readout.kernel) + to_numpy(readout.bias)
    np.testing.assert_allclose(
        model.predict(x, verbose=0), y, rtol=1e-4, atol=1e-5
    )


def test_the_modulation_of_a_masked_network():
    inputs = keras.Input((None, 7))
    masked = keras.layers.Masking()(inputs)
    neurons = ks.layers.GainModulatedNeuron(
        5, 4, head_kernel_initializer="glorot_uniform"
    )
    model = keras.Model(inputs, neurons(masked))
    x = TASKS["additive"].sample(3, 0).x
    found = modulation_model(model).predict(x, verbose=0)
    mask = x.any(axis=-1)
    expected = to_numpy(neurons(x, mask=mask, return_modulation=True))[2]
    np.testing.assert_allclose(found, expected, atol=1e-6)
    assert np.all(found[~mask] == 0)
    state = [keras.Input((n,)) for n in neurons.cell.state_size]
    started = neurons.from_config(neurons.get_config())
    model = keras.Model([inputs, *state], started(inputs, initial_state=state))
    with pytest.raises(ValueError, match="without an `initial_state`"):
        modulation_model(model)


@pytest.mark.process
@pytest.mark.parametrize("preset", ["one_neuron_adaptive", "association"])
def test_files_load_on_every_backend(preset, tmp_path):
    layer_checks.check_file_loads_on_every_backend(
        small(preset), TASKS[preset].sample(3, 0).x, tmp_path
    )


@pytest.mark.process
def test_saved_model(tmp_path):
    difference = ks.export.export_saved_model(
        small("additive"), tmp_path / "saved"
    )
    assert difference < 1e-5


@pytest.mark.parametrize(
    "arguments, message",
    [
        ({"preset": "two_neurons"}, "`preset` must be one of"),
        ({"preset": "association"}, "`features` must be a positive integer"),
        (
            {"preset": "association", "features": 4},
            "`outputs` must be a positive integer. Received: outputs=None",
        ),
        ({"timesteps": 0}, "`timesteps` must be a positive integer"),
        ({"units": 0}, "`units` must be a positive integer"),
        ({"lag": 7}, "`lag` must be one of"),
    ],
)
def test_bad_arguments(arguments, message):
    with pytest.raises(ValueError, match=message):
        build_memory_network(**arguments)


def test_a_model_without_modulated_neurons():
    model = keras.Sequential([keras.Input((3, 2)), keras.layers.LSTM(2)])
    with pytest.raises(ValueError, match="must have a `GainModulatedNeuron`"):
        modulation_model(model)
