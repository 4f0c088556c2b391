"""How a `BurstPropNetwork` learns from examples, one event rate a neuron."""

from collections.abc import Iterable
from collections.abc import Iterator
from collections.abc import Sequence
from typing import Any
from typing import NamedTuple

import keras
from keras import ops

from keras_seqattn._backend.train_step import add_changes
from keras_seqattn._backend.train_step import apply_gradients
from keras_seqattn._backend.train_step import computed
from keras_seqattn._backend.train_step import penalty_gradient
from keras_seqattn.layers.burst_prop_dense import BurstPropDense


class LayerBursts(NamedTuple):
    """What one layer's neurons know when they learn.

    Attributes:
        inputs: `(batch, features)`, the events of the layer below.
        events: `(batch, units)`.
        update: `(batch, units)`, burst rate without minus with a teacher.
        potential: `(batch, units)`, apical potential without a teacher.
            `None` in the output layer, which the teacher reaches directly.
        prior_burst_rate: `(batch, units)`, before inhibition. `None` in the
            output layer.
    """

    inputs: Any
    events: Any
    update: Any
    potential: Any = None
    prior_burst_rate: Any = None


class InRate:
    """Mode `"rate"`: what a batch does to the weights.

    Args:
        feedback: That of every layer but the first, which needs none.
        weight_decay: Share of each kernel that a batch removes.
        recurrent_learning_rate: Rate at which inhibition learns.
    """

    axes = ("batch", "features")
    seed_generator = None

    def __init__(
        self,
        feedback: str,
        weight_decay: float,
        recurrent_learning_rate: float,
    ) -> None:
        self.feedback = feedback
        self.weight_decay = weight_decay
        self.recurrent_learning_rate = recurrent_learning_rate

    def layer_feedback(self, number: int) -> str:
        """Return the kind of feedback of a layer, 0 being the lowest."""
        return self.feedback if number else "tied"

    def build(self, *_: Any) -> list[keras.Variable]:
        """Return feedback kernels beside those of the layers: none."""
        return []

    def check_optimizer(self, optimizer: Any) -> None:
        """Any will do."""

    def call(
        self, network: keras.Model, inputs: Any, training: bool | None
    ) -> Any:
        """Return the output's event rates."""
        return network.event_rates(inputs, training=training)[-1]

    def learn(
        self, network: keras.Model, x: Any, y: Any, sample_weight: Any
    ) -> tuple[Any, Any]:
        """Learn from one batch, and return outputs and loss before it."""
        rates = network.event_rates(x, training=True)
        outputs = rates[-1]
        loss = network.compute_loss(x, y, outputs, sample_weight)
        bursts = network.bursts(rates, y)
        column = _column(sample_weight, network.variable_dtype)
        pairs = list(network.gradients(bursts, column))
        loss, *gradients = computed([loss, *(g for _, g in pairs)])
        weights = [weight for weight, _ in pairs]
        self._update_weights(
            network.optimizer,
            network.trainable_variables,
            zip(weights, gradients, strict=True),
        )
        self._update_inhibition(network.burst_layers, bursts, column)
        return outputs, loss

    def _update_weights(
        self,
        optimizer: keras.optimizers.Optimizer,
        weights: Sequence[keras.Variable],
        gradients: Iterable[tuple[keras.Variable, Any]],
    ) -> None:
        """Take the optimizer's step, and the decay that it knows nothing of.

        `W <- W + step - decay W`, without the learning rate.
        """
        found = {id(weight): gradient for weight, gradient in gradients}
        decay = [
            (weight, self.weight_decay * ops.convert_to_tensor(weight))
            for weight in weights
            if self.weight_decay and len(weight.shape) == 2
        ]
        apply_gradients(
            optimizer, [found[id(weight)] for weight in weights], weights
        )
        for weight, lost in decay:
            weight.assign_sub(lost)

    def _update_inhibition(
        self,
        layers: Sequence[BurstPropDense],
        bursts: Sequence[LayerBursts],
        sample_weight: Any,
    ) -> None:
        """Change each `Z` by its own rule; no optimizer knows of it."""
        for layer, found in zip(layers, bursts, strict=True):
            if layer.recurrent and layer.trainable:
                change = layer.recurrent_update(
                    _weighted(found.potential, sample_weight),
                    found.prior_burst_rate,
                )
                add_changes(
                    layer.recurrent_kernel,
                    self.recurrent_learning_rate * change,
                )


def send_bursts_down(
    layers: Sequence[BurstPropDense],
    rates: Sequence[Any],
    targets: Any,
    dtype: str,
) -> list[LayerBursts]:
    """Return a `LayerBursts` for each layer, the lowest first.

    Args:
        layers: The layers, the lowest first.
        rates: The input and each layer's event rates.
        targets: `(batch, outputs)`, in [0, 1].
        dtype: That of the weights: float32 whatever the events are in.
    """
    *rates, targets = (ops.cast(values, dtype) for values in (*rates, targets))
    above, events = layers[-1], rates[-1]
    update = above.output_update(events, targets)
    rate = above.burst_rate(events, above.burst_probability)
    found = [LayerBursts(rates[-2], events, update)]
    for layer, inputs, events in zip(
        layers[-2::-1],
        rates[-3::-1],
        rates[-2::-1],
        strict=False,  # the first rates are the input's, of no layer
    ):
        # Together: reading the weights once is what takes the time.
        received, change = ops.split(
            above.send_down(ops.concatenate([rate, update])), 2
        )
        potential = layer.apical_potential(events, received)
        update = layer.hidden_update(events, potential, change)
        found.append(
            LayerBursts(
                inputs,
                events,
                update,
                potential,
                layer.prior_burst_rate(events, received),
            )
        )
        rate = layer.burst_rate(
            events, layer.hidden_burst_probability(potential)
        )
        above = layer
    return found[::-1]


def layer_gradients(
    layers: Sequence[BurstPropDense],
    bursts: Sequence[LayerBursts],
    factors: Sequence[float],
    sample_weight: Any,
) -> Iterator[tuple[keras.Variable, Any]]:
    """Yield `(weight, gradient)` pairs, the lowest layer's first.

    Args:
        layers: The layers.
        bursts: What each of them knows.
        factors: Of its gradients.
        sample_weight: `(batch, 1)` or `None`.
    """
    for layer, found, factor in zip(layers, bursts, factors, strict=True):
        update = _weighted(found.update, sample_weight)
        kernel = layer.kernel_update(found.inputs, update)
        pairs = [(layer.kernel, kernel), (layer.bias, ops.sum(update, 0))]
        if layer.feedback == "kolen_pollack":
            pairs.append((layer.feedback_kernel, kernel))
        for weight, gradient in pairs:
            penalty = penalty_gradient(weight)
            if penalty is not None:
                gradient = gradient + penalty
            yield weight, factor * gradient


def _weighted(values: Any, sample_weight: Any) -> Any:
    return values if sample_weight is None else sample_weight * values


def _column(sample_weight: Any, dtype: str) -> Any:
    if sample_weight is None:
        return None
    return ops.cast(ops.reshape(sample_weight, (-1, 1)), dtype)
