"""The rules of 2017, as they were coded and as they were documented."""

from typing import Any

from keras import ops

from keras_seqattn.models._burst_prop.rule import Change
from keras_seqattn.models._burst_prop.rule import Rest
from keras_seqattn.models._burst_prop.rule import State
from keras_seqattn.models._burst_prop.rule import Weights
from keras_seqattn.models._burst_prop.rule import layer_events
from keras_seqattn.models._burst_prop.rule import layers_rest

VARIANTS = (
    "weighted_burst_rate_change",
    "burst_rate_change",
    "burst_probability_change",
)
# How files of before these names call them: the commits of
# github.com/jordan-g/Temporal-Deep-Learning that the rules come from.
VARIANTS_BY_COMMIT = dict(
    zip(("fd8336a", "7df5f65", "3cd91fb"), VARIANTS, strict=True)
)


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
        variant: One of `VARIANTS`, in the order of `d`.
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
        if self.variant == "weighted_burst_rate_change":
            return events * bursts
        return bursts if self.variant == "burst_rate_change" else probability

    def _feedback_change(
        self, events: Any, probability: Any, apical: Any, before: Any
    ) -> tuple[Any, Any]:
        """Descend `(e - b)^2`, so that feedback may regenerate events."""
        left = 1 - probability
        change = self.feedback_rate * events * probability * left * left
        if self.variant == "burst_probability_change":
            return change, apical
        return events * change, before
