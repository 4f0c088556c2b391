"""The rule of 2021 in time: bursts beyond a moving average of bursts."""

from typing import Any

from keras import ops

from keras_seqattn.models._burst_prop.rule import Change
from keras_seqattn.models._burst_prop.rule import Rest
from keras_seqattn.models._burst_prop.rule import State
from keras_seqattn.models._burst_prop.rule import Weights
from keras_seqattn.models._burst_prop.rule import layer_events
from keras_seqattn.models._burst_prop.rule import layers_rest


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


def greatest_strength(burst_probability: float) -> float:
    """For which `p0 (1 + k (y - e) (1 - e))` stays in [0, 1]."""
    return min(4.0, 1 / burst_probability - 1)
