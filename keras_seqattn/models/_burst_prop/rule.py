"""What every rule of learning by bursts in time has: state, weights, layers.

A batch holds independent sequences. A layer reads, through a trace, the rate
that the layer below had in the previous step; the lowest reads the present
input. The output's bursts reach every hidden layer directly.

```
trace <- (trace + below) / 2        e <- sigmoid(trace W + b)
```
"""

import dataclasses
from typing import Any
from typing import NamedTuple
from typing import Protocol

import keras
from keras import ops

State = dict[str, Any]


class Weights(NamedTuple):
    """Tuples with one tensor a layer; `feedback` has the hidden ones only.

    Attributes:
        kernels: `(features, units)`.
        biases: `(units,)`.
        feedback: `(outputs, units)`, the kernel's transpose.
    """

    kernels: tuple[Any, ...]
    biases: tuple[Any, ...]
    feedback: tuple[Any, ...]


class Change(NamedTuple):
    """What a layer learns in a step: kernel by `trace^T delta`, bias by it.

    Attributes:
        trace: `(batch, features)`.
        delta: `(batch, units)`, 0 where nothing is to be learned.
        where: `(batch, 1)`, 1 where something is, else 0.
        potential: `(batch, units)`, apical potential, whose sigmoid is the
            burst probability. Hidden layers.
    """

    trace: Any
    delta: Any
    where: Any
    potential: Any = None


@dataclasses.dataclass(frozen=True)
class Rest:
    """A part of a state before the first step: `(batch, width)` of a value."""

    width: int
    value: float = 0.0


def at_rest(parts: State, batch: Any, dtype: str = "float32") -> State:
    """Return a state whose parts are `Rest` as tensors."""
    return keras.tree.map_structure(
        lambda part: part.value * ops.ones((batch, part.width), dtype), parts
    )


class Rule(Protocol):
    """How a network learns, one step at a time."""

    def rest(self, features: int, units: list[int]) -> State:
        """Return the state before the first step, a `Rest` for each part."""

    def step(
        self, weights: Weights, state: State, x: Any, target: Any, taught: Any
    ) -> tuple[State, Any, list[Change], tuple[Any, ...]]:
        """Advance by one step.

        Args:
            weights: `Weights`.
            state: The state before.
            x: `(batch, features)`.
            target: `(batch, outputs)`, a number even where it is not taught.
            taught: `(batch, 1)`, 1 where there is a teacher, else 0.

        Returns:
            `(state, output, changes, feedback)`: the output's event rates
            before any teaching, a `Change` for each layer, and the feedback
            kernels.
        """


def layers_rest(features: int, units: list[int]) -> State:
    """The part of a state that every rule has."""
    return {
        "trace": tuple(map(Rest, (features, *units[:-1]))),
        "events": tuple(map(Rest, units)),
    }


def layer_events(
    weights: Weights, state: State, x: Any
) -> tuple[tuple[Any, ...], tuple[Any, ...]]:
    """Each layer's trace and event rates."""
    below = (x, *state["events"][:-1])
    trace = tuple(
        (old + new) / 2 for old, new in zip(state["trace"], below, strict=True)
    )
    events = tuple(
        ops.sigmoid(seen @ kernel + bias)
        for seen, kernel, bias in zip(
            trace, weights.kernels, weights.biases, strict=True
        )
    )
    return trace, events
