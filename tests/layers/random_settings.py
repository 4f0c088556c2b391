"""Layers of random settings, on random sequences with random masks.

A setting follows from a seed and its number alone, drawn by NumPy: the same
on every backend.
"""

import dataclasses
from collections.abc import Callable
from typing import Any

import keras
import numpy as np

from keras_seqattn.layers import LARNN
from keras_seqattn.layers import BurstPropDense
from keras_seqattn.layers import GainModulatedNeuron
from keras_seqattn.layers import LARNNCell
from keras_seqattn.layers import TemporalAttention
from tests.backend import outputs_and_gradient

SEED, COUNT = 2026, 40
# In every twenty settings.
KINDS = (
    *["larnn"] * 4,
    *["larnn_cell"] * 3,
    *["neuron"] * 6,
    *["attention"] * 4,
    *["burst"] * 3,
)
MASKS = ("none", "left", "right", "interior", "all true", "a row all false")


@dataclasses.dataclass(frozen=True)
class Setting:
    """A layer, and what it is called on.

    Args:
        kind: One of `KINDS`.
        options: The layer's arguments.
        call_options: Those of its call.
        mask_kind: One of `MASKS`.
        mask: `(batch, time)` or `None`.
        inputs: `(batch, time, features)`.
        seeds: Of the weights, and of what the outputs are weighed by.
    """

    kind: str
    options: dict[str, Any]
    call_options: dict[str, Any]
    mask_kind: str
    mask: np.ndarray | None
    inputs: np.ndarray
    seeds: tuple[list[int], list[int]]

    def __str__(self):
        return (
            f"{self.kind}({self.options}), {self.call_options}, inputs "
            f"{self.inputs.shape}, mask: {self.mask_kind}, {self.seeds[0][:2]}"
        )


def draw(number, seed=SEED):
    """Return the `Setting` of a number."""
    rng = np.random.default_rng([seed, number])
    kind = KINDS[number % len(KINDS)]
    batch, time, features = (int(rng.integers(1, n)) for n in (4, 8, 6))
    _, draw_options = LAYERS[kind]
    options, call_options = draw_options(rng)
    if options.get("connection") == "one_to_one":
        features = options["units"]
    # The masks go round, so that each layer meets all of them.
    mask_kind = MASKS[(number + number // len(KINDS)) % len(MASKS)]
    if kind == "burst":  # It treats each step alike, and hands a mask on.
        mask_kind = "none"
    if mask_kind == "a row all false":
        batch += 1  # And another that is not.
    mask = draw_mask(rng, mask_kind, batch, time)
    inputs = rng.normal(size=(batch, time, features))
    seeds = [seed, number, 1], [seed, number, 2]
    return Setting(kind, options, call_options, mask_kind, mask, inputs, seeds)


def draw_mask(rng, kind, batch, time):
    if kind == "none":
        return None
    steps, mask = np.arange(time), np.ones((batch, time), bool)
    missing = rng.integers(0, time, size=(batch, 1))
    if kind == "left":
        return steps >= missing
    if kind == "right":
        return steps < time - missing
    if kind in ("interior", "a row all false"):
        mask = rng.random((batch, time)) < 0.6
        mask[np.arange(batch), rng.integers(0, time, size=batch)] = True
    if kind == "a row all false":
        mask[rng.integers(0, batch)] = False
    return mask


def one_of(rng, *choices):
    return choices[rng.integers(0, len(choices))]


def draw_loop(rng):
    return {
        name: bool(rng.integers(0, 2))
        for name in ("return_sequences", "return_state", "go_backwards")
    }


def draw_larnn(rng, *normalizations):
    heads = int(rng.integers(1, 4))
    return {
        # One unit alone is normalized to 0.
        "units": heads * int(rng.integers(1 + (heads == 1), 4)),
        "num_heads": heads,
        "window_size": int(rng.integers(1, 6)),
        "use_positional_encoding": bool(rng.integers(0, 2)),
        "key_value_activation": one_of(rng, "elu", None),
        "normalization": one_of(rng, None, "layer", *normalizations),
        **draw_loop(rng),
    }


def draw_larnn_layer(rng):
    options = draw_larnn(rng, "batch")
    options["zero_output_for_mask"] = bool(rng.integers(0, 2))
    return options, {"return_attention_scores": bool(rng.integers(0, 2))}


def draw_larnn_cell(rng):
    return draw_larnn(rng), {}


def draw_neuron(rng):
    activation, *parameters = one_of(
        rng,
        ("gain_softplus", "gain", "threshold", "softness"),
        ("adaptive", "n", "s"),
    )
    modulated = [name for name in parameters if rng.integers(0, 2)]
    controller_input = one_of(rng, "preactivation", "input", "input_and_output")
    return {
        "units": int(rng.integers(1, 6)),
        "controller_units": int(rng.integers(1, 5)),
        "controller": one_of(rng, "lstm", "gru", "rnn"),
        "activation": activation,
        "modulated": modulated or parameters[:1],
        "controller_input": controller_input,
        "shared_controller": bool(rng.integers(0, 2)),
        "lag": int(rng.integers(0, 3)),
        "first_step": one_of(rng, "regular", "skip", "wrap"),
        "connection": one_of(rng, "dense", "dense", "one_to_one"),
        "signed": bool(rng.integers(0, 4) == 0),
        "use_bias": bool(rng.integers(0, 2)),
        "zero_output_for_mask": bool(rng.integers(0, 2)),
        **draw_loop(rng),
    }, {"return_modulation": bool(rng.integers(0, 2))}


def draw_attention(rng):
    options = {
        "units": one_of(rng, None, 1, 3, 6),
        "activation": one_of(rng, "tanh", "relu", None),
        "normalize": bool(rng.integers(0, 2)),
        "epsilon": one_of(rng, 1e-3, 1e-2),
        "use_score_bias": bool(rng.integers(0, 2)),
    }
    if options["normalize"] and options["units"] == 1:  # Which is refused.
        options["units"] = 2
    return options, {"return_attention_scores": bool(rng.integers(0, 2))}


def draw_burst(rng):
    return {
        "units": int(rng.integers(1, 6)),
        "feedback": one_of(rng, "random", "tied", "kolen_pollack"),
        "recurrent": bool(rng.integers(0, 2)),
    }, {}


def rnn_of_cells(dtype, **options):
    loop = ("return_sequences", "return_state", "go_backwards")
    cell = {name: x for name, x in options.items() if name not in loop}
    return keras.layers.RNN(
        LARNNCell(dtype=dtype, **cell),
        dtype=dtype,
        **{name: options[name] for name in loop},
    )


# By kind: the layer, and how its arguments are drawn.
LAYERS: dict[str, tuple[Callable[..., keras.Layer], Any]] = {
    "larnn": (LARNN, draw_larnn_layer),
    "larnn_cell": (rnn_of_cells, draw_larnn_cell),
    "neuron": (GainModulatedNeuron, draw_neuron),
    "attention": (TemporalAttention, draw_attention),
    "burst": (BurstPropDense, draw_burst),
}


def results(setting, dtype="float32", make=None):
    """Build the layer, in general position, and call it.

    Args:
        setting: A `Setting`.
        dtype: To compute in.
        make: A layer that takes the same options. Default: that of the kind.

    Returns:
        Arrays: the outputs, and the gradient by the inputs of their sum,
        weighed at random.
    """
    layer = (make or LAYERS[setting.kind][0])(dtype=dtype, **setting.options)
    layer.build(setting.inputs.shape)
    rng = np.random.default_rng(setting.seeds[0])
    layer.set_weights([_value(rng, weight) for weight in layer.weights])
    counts = _where_outputs_count(setting)

    def weigh(outputs):
        rng = np.random.default_rng(setting.seeds[1])
        kept, total = [], 0.0
        for x in keras.tree.flatten(outputs):
            if x.ndim == 3 and counts is not None:
                x = x * keras.ops.convert_to_tensor(counts, x.dtype)
            weights = rng.normal(size=tuple(x.shape))
            weights = keras.ops.convert_to_tensor(weights, x.dtype)
            total = total + keras.ops.sum(x * weights)
            kept.append(x)
        return total, kept

    arguments = dict(setting.call_options)
    if setting.mask is not None:
        arguments["mask"] = setting.mask
    return outputs_and_gradient(
        layer, weigh, setting.inputs, dtype, **arguments
    )


def drawn(setting):
    """What tells whether NumPy drew the same numbers."""
    rng = np.random.default_rng(setting.seeds[0])
    return float(np.abs(setting.inputs).sum() + rng.normal())


def _value(rng, weight):
    value = 0.4 * rng.normal(size=tuple(weight.shape))
    if weight.name == "gamma":
        return 1 + value
    if weight.name.endswith("variance"):
        return 0.5 + value**2
    # The state of a generator, which nothing asks.
    return (
        keras.ops.convert_to_numpy(weight) if "seed" in weight.path else value
    )


def _where_outputs_count(setting):
    """`(batch, time, 1)`: from the first step on that is there.

    Before it `LARNN` and Keras' loop over cells may differ.
    """
    if setting.kind != "larnn_cell" or setting.mask is None:
        return None
    order = -1 if setting.options["go_backwards"] else 1
    return (setting.mask[:, ::order].cumsum(axis=1) > 0)[..., None]
