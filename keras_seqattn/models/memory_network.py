"""Memory networks: gain-modulated neurons, with or without a readout."""

from collections.abc import Callable
from typing import Any

import keras

from keras_seqattn._checks import check_choice
from keras_seqattn._checks import check_positive_integer
from keras_seqattn._keras_internals import has_mask
from keras_seqattn.layers.gain_modulated_neuron import GainModulatedNeuron


def _one_neuron(**settings: Any) -> dict[str, Any]:
    return {
        "features": 1,
        "units": 1,
        "controller_input": "input_and_output",
        **_scalar_drive(8.0, -3.0),
        **settings,
    }


def _scalar_drive(weight: float, bias: float) -> dict[str, Any]:
    # At first a neuron is silent without an input, and driven by the query.
    return {
        "kernel_initializer": keras.initializers.Constant(weight),
        "bias_initializer": keras.initializers.Constant(bias),
    }


def _wide_drive() -> dict[str, Any]:
    # Eight times the usual width: neurons begin with strong preferences for
    # some pairs of a key and a value.
    return {
        "kernel_initializer": keras.initializers.VarianceScaling(
            64.0, mode="fan_avg", distribution="uniform"
        )
    }


# Functions, since an initializer belongs to one network.
_PRESETS: dict[str, Callable[[], dict[str, Any]]] = {
    "one_neuron": _one_neuron,
    "one_neuron_all": lambda: _one_neuron(
        modulated=("gain", "threshold", "softness")
    ),
    "one_neuron_adaptive": lambda: _one_neuron(
        activation="adaptive", **_scalar_drive(6.0, -4.0)
    ),
    "factorial": lambda: {
        "features": 12,
        "units": 12,
        "connection": "one_to_one",
        **_scalar_drive(8.0, -3.0),
    },
    "additive": lambda: {
        "features": 7,
        "units": 20,
        "outputs": 4,
        **_wide_drive(),
    },
    "association": lambda: {"units": 48, "outputs": None, **_wide_drive()},
}

_ORIGINAL = {
    "signed": True,
    "unit_forget_bias": False,
    "kernel_initializer": "glorot_uniform",
    "bias_initializer": "zeros",
    "head_kernel_initializer": "glorot_uniform",
}
_SKIP: dict[str, Any] = {**_ORIGINAL, "lag": 1, "first_step": "skip"}
_WRAP: dict[str, Any] = {**_ORIGINAL, "lag": 2, "first_step": "wrap"}
FAITHFUL: dict[str, dict[str, Any]] = {
    "one_neuron": _SKIP,
    "one_neuron_all": _SKIP,
    "one_neuron_adaptive": {
        **_SKIP,
        "lag": 0,
        "resting_values": {"n": 1.0, "s": 1.0},
    },
    "factorial": _WRAP,
    "additive": _WRAP,
}
"""The originals' timing: `build_memory_network(name, **FAITHFUL[name])`.

Three conventions, none of which is the one its authors drew. Parameters are
not bounded. Two linear layers in a row are one here, and the two biases of
PyTorch's LSTM too; weights begin as Keras' do, and parameters near rest, not
near 0. The head computes differences from rest: from the bias of an original's
head subtract the resting values.
"""


def build_memory_network(
    preset: str = "one_neuron",
    *,
    timesteps: int | None = None,
    features: int | None = None,
    units: int | None = None,
    outputs: int | None = None,
    name: str = "memory_network",
    **settings: Any,
) -> keras.Model:
    """Build a network of gain-modulated neurons for a memory task.

    The presets, and the tasks they are for:

    - `"one_neuron"`, `tasks.CueRecall`: one neuron, whose gain a controller
      sets that sees the input and the neuron's last output.
    - `"one_neuron_all"`: the same, for gain, threshold and softness.
    - `"one_neuron_adaptive"`: the same, for the `n` and `s` of
      `activations.adaptive_softplus_sigmoid`.
    - `"factorial"`, `tasks.factorial_task()`: 12 neurons, one for each
      feature, all with the same weights; the controllers see the
      pre-activation and set the gain.
    - `"additive"`, `tasks.additive_task()`: 20 neurons that see all 7
      features, and a linear readout of 4.
    - `"association"`, any `tasks.CueAssociation`: the same with 48 neurons;
      `features` and `outputs` are the task's.

    Reference:
        The networks of [LSTM_MemoryTask](
        https://github.com/lauraflyra/LSTM_MemoryTask), with one timing for
        all (`lag=1`), bounded parameters, and controllers that begin at rest.
        What drives the neurons begins differently too, or some trainings stay
        at chance: with weight 8 and bias -3 (`"one_neuron_adaptive"`: 6 and
        -4), silent until asked, or eight times as wide as usual (`"additive"`,
        `"association"`). How they are trained is in `memory.RECIPES`.
        `FAITHFUL` holds the originals' settings. The last preset is general.

    Args:
        preset: Name of a preset.
        timesteps: Length of the sequences, or `None` (default) for any.
        features: Number of features. Default: the preset's;
            `"association"` has none.
        units: Number of neurons. Default: the preset's.
        outputs: Width of the linear readout. Default: the preset's, or none:
            then the neurons are the output. `"association"` needs it.
        name: Name of the model.
        **settings: Arguments of `layers.GainModulatedNeuron`, in place of
            the preset's.

    Returns:
        An uncompiled functional `keras.Model` from `(batch, timesteps,
        features)` to `(batch, timesteps, outputs or units)`, without an
        activation after the readout.

    Raises:
        ValueError: An unknown preset, a size that is not a positive integer,
            or an argument that the layer refuses.

    Example:
    ```python
    import keras_seqattn as ks

    task = ks.tasks.additive_task()
    model = ks.models.build_memory_network("additive")
    print(model.predict(task.sample(3, seed=0).x, verbose=0).shape)
    # (3, 25, 4)
    ```
    """
    check_choice("preset", preset, _PRESETS)
    sizes = {"features": features, "units": units, "outputs": outputs}
    found = _PRESETS[preset]()
    found |= {key: size for key, size in sizes.items() if size is not None}
    found |= settings
    if timesteps is not None:
        timesteps = check_positive_integer("timesteps", timesteps)
    features = check_positive_integer("features", found.pop("features", None))
    inputs = keras.Input((timesteps, features), name="input")
    width = None
    if "outputs" in found:
        width = check_positive_integer("outputs", found.pop("outputs"))
    x = GainModulatedNeuron(name="neurons", **found)(inputs)
    if width is not None:
        x = keras.layers.Dense(width, name="readout")(x)
    return keras.Model(inputs, x, name=name)


def modulation_model(model: keras.Model) -> keras.Model:
    """Return the model that shows the parameters in effect.

    It shares the network's weights: train the network, then call `predict`
    of this one. To keep it, save the network and build it anew.

    Args:
        model: A functional model with a `GainModulatedNeuron` that returns
            sequences, such as `build_memory_network` builds.

    Returns:
        A `keras.Model` with the same input. Its output, of shape `(batch,
        timesteps, units, parameters)`, holds the parameters that each
        neuron's activation had at each step.

    Raises:
        ValueError: The model has no such layer, or gives it initial states.

    Example:
    ```python
    import keras_seqattn as ks

    model = ks.models.build_memory_network("one_neuron_all")
    gains = ks.models.modulation_model(model)
    x = ks.tasks.CueRecall().sample(3, seed=0).x
    print(gains.predict(x, verbose=0).shape)  # (3, 85, 1, 3)
    ```
    """
    layers = [x for x in model.layers if isinstance(x, GainModulatedNeuron)]
    if not layers or not layers[0].return_sequences:
        raise ValueError(
            "The model must have a `GainModulatedNeuron` layer that returns "
            f"sequences. Received: layers {[x.name for x in model.layers]}"
        )
    inputs, *others = keras.tree.flatten(layers[0].input)
    if len(others) > has_mask(inputs):
        raise ValueError(
            "The neurons must begin without an `initial_state` of their own. "
            f"Received: {layers[0].name} with {len(others)} further inputs"
        )
    shown = _InEffect(layers[0])(inputs)
    return keras.Model(model.input, shown, name="modulation")


class _InEffect(keras.layers.Layer):
    """The parameters in effect alone.

    Keras finds no further output of a layer that was first called for one.
    """

    def __init__(self, neurons: GainModulatedNeuron) -> None:
        super().__init__()
        self.neurons = neurons
        self.supports_masking = True

    def call(self, inputs: Any, mask: Any = None) -> Any:
        result = self.neurons(inputs, mask=mask, return_modulation=True)
        return result[2]
