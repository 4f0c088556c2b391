"""From a model of sequences to a model of one step."""

import inspect
from typing import Any
from typing import NoReturn

import keras
import numpy as np
from keras import ops

from keras_seqattn.argument_checks import check_positive_integer
from keras_seqattn.models.burst_prop_network import BurstPropNetwork
from keras_seqattn.streaming.per_step import find_timed_outputs
from keras_seqattn.streaming.step_layers import BurstPropStep
from keras_seqattn.streaming.step_layers import ConvolutionStep
from keras_seqattn.streaming.step_layers import Newest
from keras_seqattn.streaming.step_layers import RecurrentStep
from keras_seqattn.streaming.step_layers import StepLayer
from keras_seqattn.streaming.step_layers import Window

MASK = "mask"
NEXT = "next_"


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
            the one before. Default: `True`.

    Returns:
        A functional `keras.Model`, from a dictionary to a dictionary. Inputs:
        those of the model without the time axis, `mask`, and the states,
        `(batch, width)`. Outputs: those of the model, by the names of their
        layers, and for each state `s` the new one, `next_s`.

    Raises:
        ValueError: A model of another kind; a layer that looks at other steps
            than its own, by name; a window that is not the model's.

    Example:
    ```python
    import numpy as np
    import keras_seqattn as ks

    model = ks.models.build_memory_network("additive")
    step = ks.streaming.step_model(model)
    print(sorted(step.output)[:3])
    # ['next_input_held_state_0', 'next_neurons_state_0', 'next_neurons_state_1']

    signal = np.random.default_rng(0).normal(size=(1, 10, 7))
    state = ks.streaming.initial_state(step)
    for x in signal.swapaxes(0, 1):
        result = step({"input": x, "mask": np.array([True]), **state})
        state = {name: result[f"next_{name}"] for name in state}
    expected = model.predict(signal, verbose=0)[:, -1]
    print(np.abs(np.array(result["readout"]) - expected).max() < 1e-5)  # True
    ```
    """
    model = _functional(model)
    if window is not None:
        window = check_positive_integer("window", window)
    _check_time_axis(model, window)
    given = [
        keras.Input(x.shape[2:], dtype=x.dtype, name=_name_of(x))
        for x in model.inputs
    ]
    alive = keras.Input((), dtype="bool", name=MASK) if mask else None
    twin = _Twin(model, window)
    found = twin.run(model, [twin.begin(x, alive) for x in given])
    outputs = {
        name: twin.end(x, _has_time(model, whole), name)
        for name, x, whole in zip(
            _output_names(model), found, model.outputs, strict=True
        )
    }
    outputs |= {NEXT + name: new for name, new in twin.new_states.items()}
    given += [*twin.states, *[alive] * mask]
    return keras.Model(
        {x.name: x for x in given}, outputs, name=f"{model.name}_step"
    )


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
        name: np.zeros((batch, *x.shape[1:]), _numpy_type(x))
        for name, x in state_inputs(step).items()
    }


def state_inputs(step: keras.Model) -> dict[str, Any]:
    """Return the symbolic states of a step model, by name."""
    inputs, outputs = (
        getattr(step, name, None) if isinstance(step, keras.Function) else None
        for name in ("input", "output")
    )
    if not isinstance(inputs, dict) or not isinstance(outputs, dict):
        raise ValueError(
            "`step` must be a model of one step, as `streaming.step_model("
            f"model)` returns. Received: step={step!r}"
        )
    return {name: x for name, x in inputs.items() if NEXT + name in outputs}


def _numpy_type(x: Any) -> str:
    # NumPy has no bfloat16.
    dtype = keras.backend.standardize_dtype(x.dtype)
    return "float32" if dtype == "bfloat16" else dtype


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


def _check_time_axis(model: keras.Model, window: int | None) -> None:
    shapes = {_name_of(x): tuple(x.shape) for x in model.inputs}
    if any(len(shape) < 3 for shape in shapes.values()):
        raise ValueError(
            "Every input of the model must be (batch, time, features). "
            f"Received: {shapes}"
        )
    lengths = {shape[1] for shape in shapes.values()} - {None}
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


def _output_names(model: keras.Model) -> list[str]:
    structure = getattr(model, "output", None)
    if isinstance(structure, dict):
        return sorted(structure)
    names: list[str] = []
    for name in model.output_names:
        names.append(_unique(name, {*names, *map(_name_of, model.inputs)}))
    return names


def _unique(name: str, taken: Any) -> str:
    number, found = 0, name
    while found in taken:
        number += 1
        found = f"{name}_{number}"
    return found


class _Twin:
    """Calls a model's operations anew, on one step.

    Sequences have a time axis of length 1 and are in `masks`, with the masks
    of the steps that count. All other tensors are of the newest step.
    """

    def __init__(self, model: keras.Model, window: int | None) -> None:
        self.window = window
        self.states: list[Any] = []
        self.new_states: dict[str, Any] = {}
        self.masks: dict[int, list[Any]] = {}
        self._windows: dict[int, Any] = {}
        self._names = {operation.name for operation in model.operations}
        # An id says nothing once its tensor is gone.
        self._sequences: list[Any] = []

    def begin(self, given: Any, mask: Any) -> Any:
        """Return the input of one step as a sequence."""
        name = self._name(f"{given.name}_step")
        x = keras.layers.Reshape((1, *given.shape[1:]), name=name)(given)
        if mask is None:
            return self._sequence(x, [])
        # In place of what is missing comes what was there before.
        name = self._name(f"{given.name}_held")
        held = self._step(Window(1, name=name, dtype=x.dtype), x, [mask], name)
        return self._sequence(held[0], [mask])

    def end(self, x: Any, has_time: bool, name: str) -> Any:
        """Return the newest step of an output."""
        if id(x) in self.masks or (self.window and has_time):
            return Newest(name=self._name(f"{name}_newest"), dtype=x.dtype)(x)
        return x

    def run(self, model: keras.Model, inputs: list[Any]) -> list[Any]:
        # Not public. `clone_model`, which is, takes no further inputs.
        outputs = model._run_through_graph(inputs, call_fn=self.call)
        return keras.tree.flatten(outputs)

    def call(self, operation: Any, *args: Any, **kwargs: Any) -> Any:
        """Call an operation of the model on tensors of the twin."""
        if not self._find_sequences((args, kwargs)):
            return operation(*args, **kwargs)
        step_class = _step_class(operation)
        if step_class is None:
            outputs = self._call_per_step(operation, args, kwargs)
            if outputs is not None:
                return outputs
        if isinstance(operation, keras.Sequential):
            operation = keras.Model(operation.inputs, operation.outputs)
        if isinstance(operation, keras.Function):
            return self.run(operation, keras.tree.flatten(args))
        if self.window is not None:
            args, kwargs = keras.tree.map_structure(
                self._last_steps, (args, kwargs)
            )
            return operation(*args, **kwargs)
        if step_class is None:
            self._refuse(operation, "looks at other steps than the newest")
        return self._call_step(operation, step_class, args, kwargs)

    def _call_per_step(self, operation: Any, args: Any, kwargs: Any) -> Any:
        """Call what treats each step alike. `None` if this does not."""
        sequences = self._find_sequences((args, kwargs))
        masks = self.masks[id(sequences[0])]
        if any(self.masks[id(x)] is not masks for x in sequences):
            return None
        has_time = find_timed_outputs(
            operation, (args, kwargs), lambda x: id(x) in self.masks
        )
        mixed = len(sequences) < len(_tensors((args, kwargs)))
        if has_time is None or (mixed and any(has_time)):
            # The latter is a sequence that each step changes as a whole.
            return None
        outputs = operation(*args, **kwargs)
        for x, timed in zip(keras.tree.flatten(outputs), has_time, strict=True):
            if timed:
                self._sequence(x, masks)
        return outputs

    def _call_step(
        self, layer: Any, step_class: type[StepLayer], args: Any, kwargs: Any
    ) -> Any:
        arguments = inspect.signature(layer.call).bind(*args, **kwargs)
        (_, x), *options = arguments.arguments.items()
        options = {k: v for k, v in options if v is not None and v is not False}
        own_mask = options.pop("mask", None)
        if options or id(x) not in self.masks:
            what = list(options) or "a mask of another sequence"
            self._refuse(layer, f"is called with {what}")
        if step_class is RecurrentStep and not _begins_with_zeros(layer):
            self._refuse(layer, "has states that do not begin as flat zeros")
        masks = self.masks[id(x)]
        step = step_class(layer, name=self._name(f"{layer.name}_step"))
        own_masks = [] if own_mask is None else [own_mask]
        output, *new = self._step(step, x, masks + own_masks, layer.name)
        if step.has_strides:
            masks = [new.pop()]
        if len(output.shape) > 2:
            self._sequence(output, masks)
        return [output, *new]

    def _step(self, step: Any, x: Any, masks: list[Any], name: str) -> Any:
        """Call a layer of one step, with states of its own."""
        specs = step.state_specs(*[x] * isinstance(step, Window))
        states = [
            keras.Input((width,), dtype=dtype, name=self._name(f"{name}_state_{i}"))
            for i, (width, dtype) in enumerate(specs)
        ]
        outputs = step(x, states, masks)
        self.states += states
        for state, new in zip(states, outputs[1:], strict=False):
            self.new_states[state.name] = new
        return outputs

    def _last_steps(self, x: Any) -> Any:
        """Return a sequence's window."""
        if id(x) not in self.masks:
            return x
        if id(x) not in self._windows:
            name = self._name(f"{_name_of(x)}_window")
            layer = Window(self.window, name=name, dtype=x.dtype)
            self._windows[id(x)] = self._step(
                layer, x, self.masks[id(x)], name
            )[0]
        return self._windows[id(x)]

    def _sequence(self, x: Any, masks: list[Any]) -> Any:
        self._sequences.append(x)
        self.masks[id(x)] = masks
        return x

    def _find_sequences(self, arguments: Any) -> list[Any]:
        return [x for x in _tensors(arguments) if id(x) in self.masks]

    def _name(self, name: str) -> str:
        name = _unique(name, self._names)
        self._names.add(name)
        return name

    def _refuse(self, operation: Any, why: str) -> NoReturn:
        raise ValueError(
            f"The model cannot be run step by step: `{operation.name}` "
            f"({type(operation).__name__}) {why}. `step_model(model, "
            "window=k)` runs any model on the last k steps, begun anew."
        )


def _name_of(x: Any) -> str:
    """Return the name of the layer that a symbolic tensor comes from."""
    return x._keras_history.operation.name


def _tensors(arguments: Any) -> list[Any]:
    return [
        x
        for x in keras.tree.flatten(arguments)
        if isinstance(x, keras.KerasTensor)
    ]


def _step_class(operation: Any) -> type[StepLayer] | None:
    if isinstance(operation, BurstPropNetwork):
        return BurstPropStep if operation.mode == "temporal" else None
    if isinstance(operation, keras.layers.Conv1D):
        causal = operation.padding == "causal"
        first = operation.data_format == "channels_first"
        return ConvolutionStep if causal and not first else None
    if isinstance(operation, keras.layers.RNN) and not operation.go_backwards:
        return RecurrentStep
    return None


def _begins_with_zeros(layer: keras.layers.RNN) -> bool:
    return all(
        len(state.shape) == 2 and not ops.any(state)
        for state in keras.tree.flatten(layer.get_initial_state(1))
    )
