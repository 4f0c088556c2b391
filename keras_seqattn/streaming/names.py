"""The names in a step model: of its steps, their mask and their states.

Everybody in this folder asks here; nobody is asked for names by another.
"""

from collections.abc import Container
from typing import Any
from typing import NamedTuple

import keras

from keras_seqattn._keras_internals import name_of

MASK = "mask"
NEXT = "next_"


class StepNames(NamedTuple):
    """The names in a step model, in the order of its dictionaries."""

    inputs: list[str]
    """Of the steps, and `mask` where there is one."""
    states: list[str]
    outputs: list[str]


def unique(name: str, taken: Container[str]) -> str:
    """Return a name that is not taken, like this one."""
    number, found = 0, name
    while found in taken:
        number += 1
        found = f"{name}_{number}"
    return found


def operation_names(model: keras.Model) -> set[str]:
    """Return the names of all operations, of nested models too."""
    names = set()
    for operation in model.operations:
        names.add(operation.name)
        if isinstance(operation, keras.Sequential):
            operation = keras.Model(operation.inputs, operation.outputs)
        if isinstance(operation, keras.Function):
            names |= operation_names(operation)
    return names


def output_names(model: keras.Model) -> list[str]:
    """Return what the outputs of a model's twin are called, in its order."""
    structure = getattr(model, "output", None)
    if isinstance(structure, dict):
        return sorted(structure)
    names: list[str] = []
    for name in model.output_names:
        names.append(unique(name, {*names, *map(name_of, model.inputs)}))
    return names


def state_inputs(step: keras.Model) -> dict[str, Any]:
    """Return the symbolic states of a step model, by name.

    Raises:
        ValueError: A model that is not one of `step_model`.
    """
    inputs, outputs = (
        getattr(step, name, None) if isinstance(step, keras.Function) else None
        for name in ("input", "output")
    )
    if not isinstance(inputs, dict) or not isinstance(outputs, dict):
        raise ValueError(
            "`step` must be a model of one step, as `streaming.step_model("
            f"model)` returns. Received: step={step!r}"
        )
    return {
        name: x
        for name, x in inputs.items()
        if NEXT + name in outputs
        and len(x.shape) == 2
        and outputs[NEXT + name].shape == x.shape
    }


def step_names(step: keras.Model) -> StepNames:
    """Return the names in a step model.

    Raises:
        ValueError: A model that is not one of `step_model`.
    """
    states = [*state_inputs(step)]
    new = [NEXT + name for name in states]
    return StepNames(
        [name for name in step.input if name not in states],
        states,
        [name for name in step.output if name not in new],
    )


def numpy_type(x: Any) -> str:
    """Return the type of a symbolic tensor for NumPy: it has no bfloat16."""
    dtype = keras.backend.standardize_dtype(x.dtype)
    return "float32" if dtype == "bfloat16" else dtype
