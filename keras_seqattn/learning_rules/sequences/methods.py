"""The rules of learning in time that are compared, on one network."""

import dataclasses
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

from keras_seqattn.learning_rules.search import Rates
from keras_seqattn.models._burst_prop.rule import Change
from keras_seqattn.models._burst_prop.rule import Rule
from keras_seqattn.models._burst_prop.rule import State
from keras_seqattn.models._burst_prop.rule import Weights
from keras_seqattn.models._burst_prop.rule import layer_events
from keras_seqattn.models._burst_prop.rule import layers_rest
from keras_seqattn.models.burst_prop_network import BurstPropNetwork


class OutputError:
    """Send the output's error itself down, in each step with a teacher.

    ```
    output   delta = (y - e) e (1 - e)
    hidden   delta = (delta W^T of the layer above) e (1 - e)    exact
             delta = (delta Y^T of the output) e (1 - e)         aligned
    ```

    Nothing goes back through the traces to earlier steps.

    Args:
        aligned: Whether the way down is random feedback, as in feedback
            alignment, or the kernels, as in backpropagation.
    """

    def __init__(self, aligned: bool) -> None:
        self.aligned = aligned

    def rest(self, features: int, units: list[int]) -> State:
        """Return the state before the first step."""
        return layers_rest(features, units)

    def step(
        self, weights: Weights, state: State, x: Any, target: Any, taught: Any
    ) -> tuple[State, Any, list[Change], tuple[Any, ...]]:
        """Advance by one step, as every rule does."""
        trace, events = layer_events(weights, state, x)
        output = events[-1]
        delta = taught * (target - output) * output * (1 - output)
        deltas, error = [delta], delta
        for m in range(len(events) - 2, -1, -1):
            way = weights.feedback[m]
            if not self.aligned:
                way = ops.transpose(weights.kernels[m + 1])
            e = events[m]
            delta = (error @ way) * e * (1 - e)
            deltas.insert(0, delta)
            error = error if self.aligned else delta
        changes = [
            Change(seen, delta, taught)
            for seen, delta in zip(trace, deltas, strict=True)
        ]
        state = {"trace": trace, "events": events}
        return state, output, changes, weights.feedback


@keras.saving.register_keras_serializable(package="keras_seqattn")
class SequenceBackpropagation(BurstPropNetwork):
    """A temporal `BurstPropNetwork` that learns by backpropagation instead."""

    def _make_rule(self) -> Rule:
        return OutputError(aligned=False)


@keras.saving.register_keras_serializable(package="keras_seqattn")
class SequenceFeedbackAlignment(BurstPropNetwork):
    """A temporal `BurstPropNetwork` that learns by feedback alignment."""

    def _make_rule(self) -> Rule:
        return OutputError(aligned=True)


@dataclasses.dataclass(frozen=True)
class SequenceMethod:
    """A rule, and in which unit its learning rates are searched.

    As `Method`: in a unit of its own, 1 means for each rule as fast as
    gradient descent on half the sum of squares, to first order.

    Args:
        network: A class of networks in time.
        rate_unit: As in `Method`.
        ratio_unit: As in `Method`, of all hidden layers alike.
        trains_hidden: As in `Method`.
    """

    network: type[BurstPropNetwork] = BurstPropNetwork
    rate_unit: float = 1.0
    ratio_unit: float = 1.0
    trains_hidden: bool = True

    def sgd_rates(self, rates: Rates) -> Rates:
        """Return the rates as the optimizer has them."""
        return rates.times(self.rate_unit, self.ratio_unit * self.trains_hidden)

    def build(
        self,
        units: Sequence[int],
        rates: Rates,
        seed: int,
        input_shape: tuple[int, ...],
    ) -> BurstPropNetwork:
        """Build the network, compiled, with weights that depend on the seed.

        For a seed all methods have the same weights, on all backends.

        Args:
            units: Widths of all layers.
            rates: `Rates` in the method's unit.
            seed: Integer, not negative.
            input_shape: `(sequences, steps, features)`.
        """
        sgd = self.sgd_rates(rates)
        model = self.network(
            units,
            mode="temporal",
            stateful=True,
            learning_rate_multipliers=[sgd.ratio] * (len(units) - 1) + [1],
        )
        count, _, features = input_shape
        model.build((count, None, features))
        random = np.random.default_rng(seed)
        for layer in model.burst_layers:
            shape = layer.kernel.shape
            width = (2 / sum(shape)) ** 0.5
            layer.kernel.assign(random.normal(0, width, shape))
        for kernel in model.feedback_kernels:
            kernel.assign(random.normal(size=kernel.shape))
        model.compile(keras.optimizers.SGD(sgd.output), "mse", metrics=["mse"])
        return model


SEQUENCE_METHODS: dict[str, SequenceMethod] = {
    "backpropagation": SequenceMethod(SequenceBackpropagation),
    # Teacher strength 4 times burst probability 0.2; slope 1/4 on the way.
    "burstprop": SequenceMethod(rate_unit=1 / 0.8, ratio_unit=4.0),
    "feedback alignment": SequenceMethod(SequenceFeedbackAlignment),
    "output only": SequenceMethod(rate_unit=1 / 0.8, trains_hidden=False),
}
"""By name, in the order of the table; all from the same first weights."""
