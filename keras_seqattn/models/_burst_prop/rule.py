"""Learning by bursts in time: one step of each rule, for a loop to repeat.

A batch holds independent sequences. A layer reads, through a trace, the rate
that the layer below had in the previous step; the lowest reads the present
input. The output's bursts reach every hidden layer directly.

```
trace <- (trace + below) / 2        e <- sigmoid(trace W + b)
```
"""

import dataclasses
from collections.abc import Sequence
from typing import Any
from typing import NamedTuple
from typing import Protocol

import keras
from keras import ops

from keras_seqattn._backend.scan import scan

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


class MovingAverage:
    """Bursts beyond the average burst probability: the rule of 2021.

    ```
    output   p = p0 (1 + k (y - e) (1 - e))      k with a teacher, else 0
             delta = (p - p0) e
    hidden   u = (1 - e) (p_out e_out Y^T)       p = sigmoid(u)
             delta = (p - burst_mean / event_mean) e
    without a teacher
             event_mean <- event_mean + a (e - event_mean)
             burst_mean <- burst_mean + a (p e - burst_mean)
    ```

    Args:
        burst_probability: `p0`.
        teacher_strength: `k`, 1 in the paper.
        average_rate: `a`, in (0, 1].
    """

    def __init__(
        self,
        burst_probability: float,
        teacher_strength: float,
        average_rate: float,
    ) -> None:
        self.burst_probability = burst_probability
        self.teacher_strength = teacher_strength
        self.average_rate = average_rate

    def rest(self, features: int, units: list[int]) -> State:
        """Return the state before the first step.

        A neuron without input has event rate 1/2, and bursts half the time.
        """
        return {
            **layers_rest(features, units),
            "event_mean": tuple(Rest(n, 0.5) for n in units[:-1]),
            "burst_mean": tuple(Rest(n, 0.25) for n in units[:-1]),
        }

    def step(
        self, weights: Weights, state: State, x: Any, target: Any, taught: Any
    ) -> tuple[State, Any, list[Change], tuple[Any, ...]]:
        """Advance by one step, as a `Rule`."""
        trace, events = layer_events(weights, state, x)
        *hidden, output = events
        excess = self.burst_probability * self.teacher_strength * taught
        excess = excess * (target - output) * (1 - output)
        bursts = (self.burst_probability + excess) * output
        event_means, burst_means, changes = [], [], []
        rate = self.average_rate * (1 - taught)
        for e, kernel, event_mean, burst_mean, seen in zip(
            hidden,
            weights.feedback,
            state["event_mean"],
            state["burst_mean"],
            trace,
            strict=False,  # the last trace is the output's
        ):
            potential = (1 - e) * (bursts @ kernel)
            p = ops.sigmoid(potential)
            event_mean = event_mean + rate * (e - event_mean)
            burst_mean = burst_mean + rate * (p * e - burst_mean)
            p_mean = burst_mean / ops.maximum(event_mean, 1e-7)
            delta = taught * (p - p_mean) * e
            changes.append(Change(seen, delta, taught, potential))
            event_means.append(event_mean)
            burst_means.append(burst_mean)
        changes.append(Change(trace[-1], excess * output, taught))
        state = {
            "trace": trace,
            "events": events,
            "event_mean": tuple(event_means),
            "burst_mean": tuple(burst_means),
        }
        return state, output, changes, weights.feedback


class AsCoded:
    """The rules of 2017: what a burst probability was one step ago.

    ```
    output   e <- (e + y) / 2                    with a teacher
             delta = (e - e') e' (1 - e')        ' is one step ago
    hidden   apical <- (apical + e_out) / 2
             p = sigmoid(apical Y^T)             b = p e
             delta = d e' (1 - e')               one step after a teacher
             d = e (b - b'), (b - b') or (p - p')   by variant
    ```

    In the first steps, layer m waits for step m + 1 and feedback for step
    M + 2, M the number of layers.

    Args:
        variant: `"fd8336a"`, `"7df5f65"` or `"3cd91fb"`, in the order of `d`.
        apical_delay: 0: feedback carries the present output, so that what a
            hidden layer learns from is the output's way back, of the wrong
            sign. 1: that of one step ago, as it was documented.
        feedback_rate: Learning rate of the feedback kernels.
    """

    def __init__(
        self, variant: str, apical_delay: int, feedback_rate: float
    ) -> None:
        self.variant = variant
        self.apical_delay = apical_delay
        self.feedback_rate = feedback_rate

    def rest(self, features: int, units: list[int]) -> State:
        """Return the state before the first step: nothing has been."""
        hidden = tuple(map(Rest, units[:-1]))
        return {
            **layers_rest(features, units),
            "apical": Rest(units[-1]),
            "probability": hidden,
            "bursts": hidden,
            "taught": Rest(1),
            "time": Rest(1),
        }

    def step(
        self,
        weights: Weights,
        state: State,
        x: Any,
        target: Any,
        taught: Any,
        generate: bool = False,
    ) -> tuple[State, Any, list[Change], tuple[Any, ...]]:
        """Advance by one step, as a `Rule`.

        With `generate`, hidden layers' bursts take the place of their events.
        """
        last = len(weights.kernels) - 1
        time, old = state["time"], state["events"]

        def opened(start: int, new: Any, before: Any) -> Any:
            return ops.where(time > start, new, before)

        trace, events = layer_events(weights, state, x)
        trace = tuple(map(opened, range(last + 1), trace, state["trace"]))
        *hidden, output = map(opened, range(last + 1), events, old)
        now = opened(last, taught, 0.0)
        nudged = output + now * (target - output) / 2
        delta = (nudged - old[-1]) * old[-1] * (1 - old[-1])

        back = last + 2
        apical = (
            state["apical"] + (old[-1] if self.apical_delay else nudged)
        ) / 2
        apical = opened(back, apical, state["apical"])
        where = opened(back, state["taught"], 0.0)
        feedback, probabilities, bursts, changes = [], [], [], []
        for m, (e, kernel) in enumerate(
            zip(hidden, weights.feedback, strict=True)
        ):
            potential = apical @ kernel
            p = ops.sigmoid(potential)
            p = opened(back, p, state["probability"][m])
            b = p * e
            surprise = self._surprise(
                e, b - state["bursts"][m], p - state["probability"][m]
            )
            change = where * surprise * old[m] * (1 - old[m])
            changes.append(Change(trace[m], change, where, potential))
            if self.feedback_rate:
                change, seen = self._feedback_change(
                    e, p, apical, state["apical"]
                )
                change = opened(back, change, 0.0)
                kernel = kernel + ops.transpose(seen) @ change
            feedback.append(kernel)
            probabilities.append(p)
            bursts.append(b)
            if generate:
                hidden[m] = opened(back, b, e)
        changes.append(Change(trace[-1], now * delta, now))
        state = {
            "trace": trace,
            "events": (*hidden, nudged),
            "apical": apical,
            "probability": tuple(probabilities),
            "bursts": tuple(bursts),
            "taught": taught,
            "time": time + 1,
        }
        return state, output, changes, tuple(feedback)

    def _surprise(self, events: Any, bursts: Any, probability: Any) -> Any:
        if self.variant == "fd8336a":
            return events * bursts
        return bursts if self.variant == "7df5f65" else probability

    def _feedback_change(
        self, events: Any, probability: Any, apical: Any, before: Any
    ) -> tuple[Any, Any]:
        """Descend `(e - b)^2`, so that feedback may regenerate events."""
        left = 1 - probability
        change = self.feedback_rate * events * probability * left * left
        if self.variant == "3cd91fb":
            return change, apical
        return events * change, before


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


Rates = list[tuple[Any, Any]]


def run_steps(
    rule: Rule,
    weights: Weights,
    state: State,
    rows: dict[str, Any],
    rates: Rates | None = None,
    decay: Sequence[float] = (),
    **options: Any,
) -> tuple[Weights, State, Any]:
    """Repeat a rule's step, and learn in each.

    Args:
        rule: The rule.
        weights: `Weights`.
        state: Where it begins.
        rows: `x`, `target` and `taught` as `step` takes them, `(time, ...)`.
        rates: Learning rates of each layer's kernel and bias. `None`: no
            learning.
        decay: Share of each kernel that is lost in a step in which its layer
            learns.
        **options: Further arguments of `step`.

    Returns:
        `(weights, state, output)`, the output's rates `(time, batch,
        outputs)`.
    """

    def step(_: Any, carry: Any, row: Any, window: Any) -> Any:
        weights, state = carry
        state, output, changes, feedback = rule.step(
            weights, state, **row, **options
        )
        if rates is not None:
            learned = _learned(weights, changes, rates, decay)
            weights = Weights(*learned, feedback)
        return (weights, state), {"output": output}, {}

    (weights, state), outputs, _ = scan(step, (weights, state), rows, {})
    return weights, state, outputs["output"]


def run_frozen(
    rule: Rule,
    weights: Weights,
    state: State,
    rows: dict[str, Any],
) -> tuple[Any, list[Change], list[Any]]:
    """Repeat a rule's step, and see what would be learned.

    Returns:
        `(output, changes, events)`: the output's rates, and for each layer a
        `Change` and the hidden layers' rates, all `(time, batch, ...)`.
    """

    def step(_: Any, state: Any, row: Any, window: Any) -> Any:
        state, output, changes, _ = rule.step(weights, state, **row)
        found = {"output": output}
        for m, change in enumerate(changes):
            for name, value in change._asdict().items():
                if value is not None:
                    found[f"{name}_{m}"] = value
        for m, e in enumerate(state["events"][:-1]):
            found[f"events_{m}"] = e
        return state, found, {}

    _, found, _ = scan(step, state, rows, {})
    layers = range(len(weights.kernels))
    changes = [
        Change(*(found.get(f"{name}_{m}") for name in Change._fields))
        for m in layers
    ]
    return found["output"], changes, [found[f"events_{m}"] for m in layers[:-1]]


def _learned(
    weights: Weights,
    changes: list[Change],
    rates: Rates,
    decay: Sequence[float],
) -> tuple[Any, Any]:
    """Kernels and biases after a step, each sequence's changes added up."""

    def learn() -> tuple[Any, Any]:
        kernels, biases = [], []
        for kernel, bias, change, (kernel_rate, bias_rate), lost in zip(
            weights.kernels, weights.biases, changes, rates, decay, strict=True
        ):
            step = ops.transpose(change.trace) @ (kernel_rate * change.delta)
            if lost:
                learned = ops.max(change.where, initial=0)
                step = step - lost * learned * kernel
            kernels.append(kernel + step)
            biases.append(bias + bias_rate * ops.sum(change.delta, axis=0))
        return tuple(kernels), tuple(biases)

    # Most steps have no teacher, and a kernel is large.
    where = {id(change.where): change.where for change in changes}
    taught = sum(ops.sum(steps) for steps in where.values())
    return ops.cond(
        taught > 0, learn, lambda: (weights.kernels, weights.biases)
    )
