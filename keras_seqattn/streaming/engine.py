"""What runs a step for a session, and keeps its states."""

from collections.abc import Sequence
from typing import Any
from typing import Protocol

import keras
import numpy as np

from keras_seqattn._backend import step_engine
from keras_seqattn._backend.compiled import frozen
from keras_seqattn.streaming.names import NEXT
from keras_seqattn.streaming.names import step_names


class Engine(Protocol):
    """Runs a step, and keeps its states.

    All lists are in the order of `step_names`. A step that fails, or that
    Ctrl-C interrupts, is taken as a whole or not at all.
    """

    def place(self, x: np.ndarray) -> Any:
        """Return an input that will be given again and again, as is best."""

    def step(self, inputs: Sequence[Any]) -> list[np.ndarray]:
        """Take a step: arrays, or what `place` returned, to new arrays."""

    def get_states(self) -> list[np.ndarray]:
        """Return the states as new arrays."""

    def set_states(self, states: Sequence[np.ndarray]) -> None:
        """Copy the states from arrays, of the types of `initial_state`."""


def compiled_engine(
    step: keras.Model,
    inputs: Sequence[np.ndarray],
    states: Sequence[np.ndarray],
) -> Engine:
    """Return the step model as one program, on this backend.

    Args:
        step: From `step_model`.
        inputs: Arrays as they will come, for a fixed number of streams.
        states: The first.
    """
    names = step_names(step)
    run = frozen(step)

    def call(inputs: Sequence[Any], states: Sequence[Any]) -> Any:
        given = zip(
            [*names.inputs, *names.states], [*inputs, *states], strict=True
        )
        found = run(dict(given))
        return (
            [found[name] for name in names.outputs],
            [found[NEXT + name] for name in names.states],
        )

    types = [step.input[name].dtype for name in names.states]
    return step_engine.compiled_engine(call, inputs, states, types)
