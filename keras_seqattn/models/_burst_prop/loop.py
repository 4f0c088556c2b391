"""A rule's step, repeated over time: with learning, or only looking on."""

from collections.abc import Sequence
from typing import Any

from keras import ops

from keras_seqattn._backend.scan import cond
from keras_seqattn._backend.scan import scan
from keras_seqattn.models._burst_prop.rule import Change
from keras_seqattn.models._burst_prop.rule import Rule
from keras_seqattn.models._burst_prop.rule import State
from keras_seqattn.models._burst_prop.rule import Weights

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

    def step(carry: Any, row: Any, window: Any) -> Any:
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

    def step(state: Any, row: Any, window: Any) -> Any:
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
    return cond(taught > 0, learn, lambda: (weights.kernels, weights.biases))
