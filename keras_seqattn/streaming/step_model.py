"""From a model of sequences to a model of one step."""

from typing import Any

import keras
import numpy as np

from keras_seqattn._checks import check_positive_integer
from keras_seqattn._keras_internals import name_of
from keras_seqattn.models.burst_prop_network import BurstPropNetwork
from keras_seqattn.streaming.names import MASK
from keras_seqattn.streaming.names import NEXT
from keras_seqattn.streaming.names import numpy_type
from keras_seqattn.streaming.names import operation_names
from keras_seqattn.streaming.names import output_names
from keras_seqattn.streaming.names import state_inputs
from keras_seqattn.streaming.proof import check_equal
from keras_seqattn.streaming.trial import trial_length
from keras_seqattn.streaming.twin import Twin


def step_model(
    model: keras.Model, window: int | None = None, mask: bool = True
) -> keras.Model:
    """Return the one-step twin of a model of sequences.

    A call takes one time step of each input and the states before it, and
    gives the outputs of this step and the states after it. Fed step by step,
    from states of zeros, it gives what the model gives for the sequence up to
    there. The twin shares the model's weights: where the model is trained on,
    so is the twin.

    Without `window` the model must be causal: recurrent layers
    (`keras.layers.RNN` and its kinds, `LARNN`, `GainModulatedNeuron`), causal
    `Conv1D`, `BurstPropNetwork` in time, and between them anything that does
    to each step the same. That last is tried out on random numbers, so layers
    of your own may be among them. A recurrent layer with
    `return_sequences=False` gives its newest output at each step. Behind a
    convolution with strides the model stands still until the next output.

    With `window` the twin keeps the last steps and gives what the model gives
    for them alone, begun anew: any model, also with `TemporalAttention` or
    `Bidirectional`. What is done to each step alone (scaling, projections) is
    done once, and kept. Recurrent layers run over the whole window at each
    step, since each window begins from another state. Until there have been
    `window` steps, the first stands for those missing.

    The two give different numbers, so a model that says one thing about a
    window of fixed length is streamed with `window` alone.

    Args:
        model: A functional or Sequential model whose inputs have a time axis,
            `(batch, time, ...)`, or a `BurstPropNetwork` of mode
            `"temporal"`. Built.
        window: How many of the newest steps the model sees. Default: all.
        mask: Whether the twin has an input `mask`, `(batch,)`, that is `False`
            where a step is missing: it changes no state, and the output is
            the one before (before the first step, the model's for zeros:
            do not use it). Default: `True`.

    Returns:
        A functional `keras.Model`, from a dictionary to a dictionary. Inputs:
        those of the model without the time axis, `mask`, and the states,
        `(batch, width)`. Outputs: those of the model, by the names of their
        layers, and for each state `s` the new one, `next_s`.

    Raises:
        ValueError: A model of another kind; a layer that cannot be run step
            by step, by name; a window that is not the model's.

    Example:
    ```python
    import numpy as np
    import keras_seqattn as ks

    model = ks.models.build_memory_network("additive")
    step = ks.streaming.step_model(model)
    signal = np.random.default_rng(0).normal(size=(1, 10, 7))
    state = ks.streaming.initial_state(step)
    for x in signal.swapaxes(0, 1):
        given = {"input": x, "mask": np.array([True]), **state}
        result = step.predict_on_batch(given)
        state = {name: result[f"next_{name}"] for name in state}
    expected = model.predict(signal, verbose=0)[:, -1]
    print(np.abs(result["readout"] - expected).max() < 1e-5)  # True
    ```
    """
    model = _functional(model)
    if window is not None:
        window = check_positive_integer("window", window)
    _check_inputs(model, window)
    return _twin(model, window, mask)


def step_of_window(model: keras.Model) -> keras.Model:
    """Return the twin that ends where a model of a window's end does.

    As `step_model(model, mask=False)`, also of windows of a fixed length: fed
    one of them, from states of zeros, it ends with what the model says of it.
    (Fed on, it says other things than the model of the next window.)
    """
    model = _functional(model)
    _check_names(model)
    return _twin(model, None, mask=False)


def _twin(model: keras.Model, window: int | None, mask: bool) -> keras.Model:
    given = [
        keras.Input(x.shape[2:], dtype=x.dtype, name=name_of(x))
        for x in model.inputs
    ]
    alive = keras.Input((), dtype="bool", name=MASK) if mask else None
    # Sequences to try: as long as the model's, or longer than it looks back.
    length = window or model.inputs[0].shape[1] or trial_length(model)
    twin = Twin(model, window, length)
    found = twin.run(model, [twin.begin(x, alive) for x in given])
    names = output_names(model)
    outputs = {
        name: twin.end(x, _has_time(model, whole), name)
        for name, x, whole in zip(names, found, model.outputs, strict=True)
    }
    outputs |= {NEXT + name: new for name, new in twin.new_states.items()}
    inputs = [*given, *twin.states, *[alive] * mask]
    step = keras.Model(
        {x.name: x for x in inputs}, outputs, name=f"{model.name}_step"
    )
    if window is not None:
        length += 5
    check_equal(model, step, [x.name for x in given], names, length, window)
    return step


def initial_state(step: keras.Model, batch: int = 1) -> dict[str, np.ndarray]:
    """Return the states before the first step: zeros.

    Args:
        step: From `step_model`, also loaded from a file.
        batch: Positive integer, number of independent streams.

    Returns:
        Arrays `(batch, width)` by the name of the state.

    Example:
    ```python
    import keras_seqattn as ks

    model = ks.models.build_memory_network("one_neuron")
    state = ks.streaming.initial_state(ks.streaming.step_model(model), batch=3)
    print(state["neurons_state_1"].shape)  # (3, 64)
    ```
    """
    batch = check_positive_integer("batch", batch)
    return {
        name: np.zeros((batch, *x.shape[1:]), numpy_type(x))
        for name, x in state_inputs(step).items()
    }


def _functional(model: keras.Model) -> keras.Model:
    if isinstance(model, keras.Sequential) and model.built:
        return keras.Model(model.inputs, model.outputs, name=model.name)
    if isinstance(model, BurstPropNetwork) and model.mode == "temporal":
        if not model.built:
            raise ValueError(
                "The network must be built: call it on data, or "
                "`build((None, None, features))`."
            )
        features = model.burst_layers[0].kernel.shape[0]
        inputs = keras.Input((None, features), name="input")
        return keras.Model(inputs, model(inputs), name=f"{model.name}_steps")
    if not isinstance(model, keras.Function):
        raise ValueError(
            "`model` must be a functional or a built Sequential model, or a "
            "`BurstPropNetwork` with `mode='temporal'`. "
            f"Received: {type(model).__name__} {model.name!r}"
        )
    return model


def _check_names(model: keras.Model) -> None:
    shapes = {name_of(x): tuple(x.shape) for x in model.inputs}
    if any(len(shape) < 3 for shape in shapes.values()):
        raise ValueError(
            "Every input of the model must be (batch, time, features). "
            f"Received: {shapes}"
        )
    if MASK in operation_names(model):
        raise ValueError(
            "An input or layer named 'mask' leaves no name for the mask of "
            f"missing steps: name it otherwise. Received: model {model.name!r}"
        )
    taken = [name for name in output_names(model) if name.startswith(NEXT)]
    if taken:
        raise ValueError(
            f"Names of outputs must not begin with {NEXT!r}: that is how a "
            f"step model names its new states. Received: {taken}"
        )


def _check_inputs(model: keras.Model, window: int | None) -> None:
    _check_names(model)
    lengths = {x.shape[1] for x in model.inputs} - {None}
    if window is None:
        whole = [not _has_time(model, x) for x in model.outputs]
        if lengths and any(whole):
            (length, *_) = lengths
            raise ValueError(
                f"The model says one thing about a window of {length} steps. "
                f"`step_model(model, window={length})` gives just that at "
                "each step. To let it run on without a window, which gives "
                "other numbers, build it with a free time axis (`timesteps="
                "None`) and `set_weights(model.get_weights())`."
            )
    elif lengths - {window}:
        raise ValueError(
            f"The model has windows of {sorted(lengths)} steps. "
            f"Received: window={window}"
        )


def _has_time(model: keras.Model, output: Any) -> bool:
    shape = output.shape
    return len(shape) > 2 and shape[1] == model.inputs[0].shape[1]
