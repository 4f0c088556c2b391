"""The operations of a model of sequences, called anew on one step."""

import inspect
from typing import Any
from typing import NoReturn

import keras
from keras import ops

from keras_seqattn._keras_internals import name_of
from keras_seqattn._keras_internals import run_through_graph
from keras_seqattn.models.burst_prop_network import BurstPropNetwork
from keras_seqattn.streaming.names import operation_names
from keras_seqattn.streaming.names import unique
from keras_seqattn.streaming.per_step import find_timed_outputs
from keras_seqattn.streaming.step_layers import BurstPropStep
from keras_seqattn.streaming.step_layers import ConvolutionStep
from keras_seqattn.streaming.step_layers import Newest
from keras_seqattn.streaming.step_layers import OneStep
from keras_seqattn.streaming.step_layers import RecurrentStep
from keras_seqattn.streaming.step_layers import StepLayer
from keras_seqattn.streaming.step_layers import Window


class Twin:
    """Calls a model's operations anew, on one step.

    Sequences have a time axis of length 1 and are in `masks`, with the masks
    of the steps that count. All other tensors are of the newest step.
    """

    def __init__(
        self, model: keras.Model, window: int | None, length: int
    ) -> None:
        self.window = window
        self.length = length
        self.states: list[Any] = []
        self.new_states: dict[str, Any] = {}
        self.masks: dict[int, list[Any]] = {}
        self._windows: dict[int, Any] = {}
        self._steps: dict[int, StepLayer] = {}
        self._names = operation_names(model)
        self._called: dict[str, Any] = {}
        # An id says nothing once its tensor is gone.
        self._sequences: list[Any] = []

    def begin(self, given: Any, mask: Any) -> Any:
        """Return the input of one step as a sequence."""
        x = OneStep(name=self._name(f"{given.name}_step"))(given)
        if mask is None:
            return self._sequence(x, [])
        # In place of what is missing comes what was there before.
        name = self._name(f"{given.name}_held")
        x, *_ = self._step(Window(1, name=name), x, [mask], name)
        return self._sequence(x, [mask])

    def end(self, x: Any, has_time: bool, name: str) -> Any:
        """Return the newest step of an output."""
        if id(x) in self.masks or (self.window and has_time):
            return Newest(name=self._name(f"{name}_newest"))(x)
        return x

    def run(self, model: keras.Model, inputs: list[Any]) -> list[Any]:
        """Call the operations of a model in turn, and return its outputs."""
        return run_through_graph(model, inputs, self.call)

    def call(self, operation: Any, *args: Any, **kwargs: Any) -> Any:
        """Call an operation of the model on tensors of the twin."""
        if not isinstance(
            operation, (keras.Function, keras.Sequential)
        ) and not _step_class(operation):
            other = self._called.setdefault(operation.name, operation)
            if other is not operation:
                self._refuse(
                    operation,
                    "has the name of another layer, of another nested model: "
                    "name each its own way",
                )
        if not self._find_sequences((args, kwargs)):
            return operation(*args, **kwargs)
        if isinstance(operation, keras.Sequential):
            operation = keras.Model(operation.inputs, operation.outputs)
        if isinstance(operation, keras.Function) and not _options(kwargs):
            return self.run(operation, keras.tree.flatten(args))
        step_class = _step_class(operation)
        if step_class is None:
            outputs = self._call_per_step(operation, args, kwargs)
            if outputs is not None:
                return outputs
        if self.window is not None:
            args, kwargs = keras.tree.map_structure(
                self._last_steps, (args, kwargs)
            )
            return operation(*args, **kwargs)
        if step_class is None:
            self._refuse(operation, "does not treat each step alike")
        return self._call_step(operation, step_class, args, kwargs)

    def _call_per_step(self, operation: Any, args: Any, kwargs: Any) -> Any:
        """Call what treats each step alike. `None` if this does not."""
        sequences = self._find_sequences((args, kwargs))
        masks = self.masks[id(sequences[0])]
        if any(
            [*map(id, self.masks[id(x)])] != [*map(id, masks)]
            for x in sequences
        ):
            return None  # Of different lengths: behind strides and beside.
        has_time = find_timed_outputs(
            operation,
            (args, kwargs),
            lambda x: id(x) in self.masks,
            self.length,
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
        given = inspect.signature(layer.call).bind(*args, **kwargs).arguments
        x = given.pop(next(iter(given)))
        options = _options(given)
        own_mask = options.pop("mask", None)
        if options or id(x) not in self.masks:
            what = list(options) or "a mask of another sequence"
            self._refuse(layer, f"is called with {what}")
        if step_class is RecurrentStep and not _begins_with_zeros(layer):
            self._refuse(layer, "has states that do not begin as flat zeros")
        masks = self.masks[id(x)]
        # Two of them would each save the layer that they share.
        if id(layer) not in self._steps:
            self._steps[id(layer)] = step_class(
                layer, name=self._name(f"{layer.name}_step")
            )
        step = self._steps[id(layer)]
        own = {} if own_mask is None else {"own_mask": own_mask}
        output, *new = self._step(step, x, masks, layer.name, **own)
        if step.has_strides:
            masks = [new.pop()]
        if len(output.shape) > 2:
            self._sequence(output, masks)
        return [output, *new]

    def _step(
        self, step: Any, x: Any, masks: list[Any], name: str, **own: Any
    ) -> Any:
        """Call a layer of one step, with states of its own."""
        specs = step.state_specs(*[x] * isinstance(step, Window))
        states = [
            keras.Input(
                (width,), dtype=dtype, name=self._name(f"{name}_state_{i}")
            )
            for i, (width, dtype) in enumerate(specs)
        ]
        outputs = step(x, states, masks, **own)
        self.states += states
        for state, new in zip(states, outputs[1:], strict=False):
            self.new_states[state.name] = new
        return outputs

    def _last_steps(self, x: Any) -> Any:
        """Return a sequence's window."""
        if id(x) not in self.masks:
            return x
        if id(x) not in self._windows:
            name = self._name(f"{name_of(x)}_window")
            layer = Window(self.window or 1, name=name)
            found = self._step(layer, x, self.masks[id(x)], name)
            self._windows[id(x)] = found[0]
        return self._windows[id(x)]

    def _sequence(self, x: Any, masks: list[Any]) -> Any:
        self._sequences.append(x)
        self.masks[id(x)] = masks
        return x

    def _find_sequences(self, arguments: Any) -> list[Any]:
        return [x for x in _tensors(arguments) if id(x) in self.masks]

    def _name(self, name: str) -> str:
        name = unique(name, self._names)
        self._names.add(name)
        return name

    def _refuse(self, operation: Any, why: str) -> NoReturn:
        raise ValueError(
            f"The model cannot be run step by step: `{operation.name}` "
            f"({type(operation).__name__}) {why}. `step_model(model, "
            "window=k)` runs any model on the last k steps, begun anew."
        )


def _tensors(arguments: Any) -> list[Any]:
    return [
        x
        for x in keras.tree.flatten(arguments)
        if isinstance(x, keras.KerasTensor)
    ]


def _options(given: dict[str, Any]) -> dict[str, Any]:
    """Return the call arguments that change something."""
    return {k: v for k, v in given.items() if v is not None and v is not False}


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
