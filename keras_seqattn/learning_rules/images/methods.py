"""The learning rules that are compared, on one network."""

import dataclasses
from collections.abc import Callable
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np

from keras_seqattn.layers.burst_prop_dense import BurstPropDense
from keras_seqattn.learning_rules.search import Rates
from keras_seqattn.models.burst_prop_network import BurstPropNetwork

_BURST_PROBABILITY = 0.2
_FEEDBACK_STDDEV = 0.1
# Of every method, so that none has an advantage. Kolen-Pollack feedback needs
# it: the difference to the kernel shrinks by it alone.
_WEIGHT_DECAY = 1e-4


@keras.saving.register_keras_serializable(package="keras_seqattn")
class HalfSumOfSquares(keras.losses.Loss):
    """Half the sum of squares over outputs and batch, what burstprop descends.

    Keras' `"mse"` is the mean over both: `outputs * batch / 2` times less.
    """

    def __init__(
        self, reduction: str = "sum", name: str = "half_sum_of_squares"
    ) -> None:
        super().__init__(name=name, reduction=reduction)

    def call(self, y_true: Any, y_pred: Any) -> Any:
        return keras.ops.sum(keras.ops.square(y_pred - y_true), axis=-1) / 2


@keras.saving.register_keras_serializable(package="keras_seqattn")
class Shrink(keras.constraints.Constraint):
    """Weight decay like `BurstPropNetwork`'s, for a network that has none.

    Args:
        share: Share of a weight that every step removes.
    """

    def __init__(self, share: float) -> None:
        self.share = share

    def __call__(self, w: Any) -> Any:
        return (1 - self.share) * w

    def get_config(self) -> dict[str, float]:
        return {"share": self.share}


@keras.saving.register_keras_serializable(package="keras_seqattn")
class FeedbackAlignmentNetwork(BurstPropNetwork):
    """Backpropagation through fixed random weights instead of the kernels.

    ```
    output layer     update = p0 e (1 - e) (e - y)
    hidden layers    update = e (1 - e) (update Y^T of the layer above)
    ```

    Everything else is `models.BurstPropNetwork`'s.

    Reference:
        [Lillicrap et al., Nature Communications 7, 13276, 2016](
        https://doi.org/10.1038/ncomms13276).
    """

    def bursts(self, rates: Sequence[Any], targets: Any) -> list[Any]:
        *hidden, output = super().bursts(rates, targets)
        found = [output]
        for above, layer in zip(
            self.burst_layers[:0:-1], hidden[::-1], strict=True
        ):
            received = above.send_down(found[-1].update)
            update = layer.events * (1 - layer.events) * received
            found.append(layer._replace(update=update))
        return found[::-1]


@dataclasses.dataclass(frozen=True)
class Method:
    """A rule, and in which unit its learning rates are searched.

    Rules scale their updates differently: by burst probability in the output
    layer, and down each layer by the slope of the burst probability, at most
    1/4. In a unit of its own, 1 means for each rule: as fast as gradient
    descent on half the sum of squares, in all layers.

    Args:
        network: Function of the widths of all layers to an unbuilt model of
            `BurstPropDense` layers.
        loss: As for `keras.Model.compile`.
        rate_unit: The optimizer's learning rate for which the output layer
            descends the gradient of half the sum of squares at rate 1.
        ratio_unit: How much faster than the layer above a layer must learn
            for equal steps, to first order.
        trains_hidden: Whether hidden layers learn at all. If not, only the
            output layer's rate is searched, with as many trials.
    """

    network: Callable[[Sequence[int]], keras.Model]
    loss: Any = "mse"
    rate_unit: float = 1 / _BURST_PROBABILITY
    ratio_unit: float = 4.0
    trains_hidden: bool = True

    def sgd_rates(self, rates: Rates) -> Rates:
        """Return the rates as the optimizer has them."""
        return rates.times(self.rate_unit, self.ratio_unit * self.trains_hidden)

    def build(self, units: Sequence[int], pixels: int) -> keras.Model:
        """Build the network, with weights that depend on NumPy's seed alone.

        After `keras.utils.set_random_seed`, networks of all methods start
        from the same weights, on all backends.
        """
        model = self.network(units)
        model.build((None, pixels))
        layers = [
            layer for layer in model.layers if isinstance(layer, BurstPropDense)
        ]
        for stddev, name in ((None, "kernel"), (_FEEDBACK_STDDEV, "feedback")):
            for layer in layers:
                shape = layer.kernel.shape
                # Glorot's for the kernels.
                width = stddev or np.sqrt(2 / sum(shape))
                values = np.random.normal(scale=width, size=shape)
                if name == "kernel":
                    layer.kernel.assign(values)
                elif layer.feedback_kernel is not layer.kernel:
                    layer.feedback_kernel.assign(values)
        # An output begins at the share of a class. From 1/2 the first steps
        # push all outputs down together, and some lost a class for good.
        layers[-1].bias.assign(np.full(units[-1], -np.log(units[-1] - 1)))
        return model


def _burst_network(
    kind: type[BurstPropNetwork] = BurstPropNetwork, **arguments: Any
) -> Callable[[Sequence[int]], keras.Model]:
    return lambda units: kind(
        list(units),
        burst_probability=_BURST_PROBABILITY,
        feedback_stddev=_FEEDBACK_STDDEV,
        weight_decay=_WEIGHT_DECAY,
        **arguments,
    )


def _plain_network(units: Sequence[int]) -> keras.Model:
    return keras.Sequential(
        [
            BurstPropDense(
                width,
                feedback="tied",
                kernel_constraint=Shrink(_WEIGHT_DECAY),
                name=f"layer_{number}",
            )
            for number, width in enumerate(units)
        ]
    )


METHODS: dict[str, Method] = {
    "backpropagation": Method(
        _plain_network,
        HalfSumOfSquares(),
        rate_unit=1.0,
        ratio_unit=1.0,
    ),
    "burstprop": Method(_burst_network(feedback="kolen_pollack")),
    "burstprop, recurrent": Method(
        _burst_network(feedback="kolen_pollack", recurrent=True)
    ),
    "burstprop, fixed feedback": Method(_burst_network(feedback="random")),
    "feedback alignment": Method(
        _burst_network(FeedbackAlignmentNetwork, feedback="random"),
        ratio_unit=1.0,
    ),
    "output only": Method(
        _burst_network(feedback="random"), trains_hidden=False
    ),
}
"""By name, in the order of the table.

All are sigmoid layers that begin with Glorot's normal kernels, and outputs at
the share of a class. Each step takes 1e-4 of each kernel away. Feedback kernels
begin with a standard deviation of 0.1, about that of the kernels.
"""
