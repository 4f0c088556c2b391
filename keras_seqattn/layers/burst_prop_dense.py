"""BurstPropDense: events go up, bursts come down, each layer learns alone."""

from typing import Any

import keras
from keras import ops

from keras_seqattn._checks import check_choice
from keras_seqattn._checks import check_flag
from keras_seqattn._checks import check_positive_integer
from keras_seqattn._checks import check_positive_number
from keras_seqattn.layers._initializers import own_initializer

FEEDBACKS = ("random", "tied", "kolen_pollack")


@keras.saving.register_keras_serializable(package="keras_seqattn")
class BurstPropDense(keras.layers.Layer):
    """A dense layer of neurons that fire events and bursts.

    The rate of events tells the layer above what a neuron saw. The share of
    events that are bursts, set by what comes down from above, tells the
    neuron how to change. Every method below is one equation of the rule, for
    `keras_seqattn.models.BurstPropNetwork` to call. Used alone, the layer is
    a `keras.layers.Dense` with a sigmoid, and `fit` trains its kernel and
    bias by backpropagation.

    With `x` what comes in, `e` the event rates, and `f` and `df` what the
    layer above sends down of its burst rates and of its update:

    ```
    e = sigmoid(x W + b)             kernel (in, units), bias (units,)
    u = f (1 - e) - c                apical potential
    c = (e sigmoid(f)) Z^T           inhibition, recurrent kernel (units, units)
    p = sigmoid(u)                   burst probability
    p = p0 (1 + (y - e) (1 - e))     the same in an output layer, target y
    burst rate = e p
    update = e (p - p')              p' with a teacher, p without
    sent down: (burst rate) Y^T      feedback kernel (in, units)
    ```

    Reference:
        [Payeur et al., Nature Neuroscience 24, 1010-1019, 2021](
        https://doi.org/10.1038/s41593-021-00857-x), the rate model of its
        networks for images, in which the two phases of an example, without
        and with a teacher, are computed in one sweep. Instead of the two
        phases' burst rates, one and their difference travel down here: the
        same numbers, but the difference of two nearly equal ones is never
        taken.

    Args:
        units: Positive integer, number of neurons.
        burst_probability: `p0`, the burst probability of an output layer
            without a teacher, above 0 and at most 0.5. Default: 0.2.
        feedback: What `Y` is. `"random"` (default): drawn once. `"tied"`: the
            kernel itself, no further weight. `"kolen_pollack"`: drawn, then
            given the kernel's own updates, by `BurstPropNetwork`.
        feedback_stddev: Standard deviation of the drawn `Y`, normal about 0.
            Default: 1.
        recurrent: Whether the neurons inhibit each other by `Z`, which
            `BurstPropNetwork` trains. Default: `False`.
        kernel_initializer, bias_initializer, recurrent_initializer:
            Initializers of `kernel`, `bias` and `recurrent_kernel`. Default of
            the last: uniform in [-0.01, 0.01].
        kernel_regularizer, bias_regularizer: Regularizers of `kernel` and
            `bias`. A Kolen-Pollack feedback kernel has the kernel's.
        kernel_constraint, bias_constraint: Constraints of the same weights.
        **kwargs: `name`, `dtype`, `trainable`, as in every Keras layer.

    Call arguments:
        inputs: Float tensor of shape `(..., features)`.
        training: Python boolean. Changes no value.

    Input shape:
        `(batch, ..., features)`, at least rank 2.

    Output shape:
        `(batch, ..., units)`, event rates in (0, 1).

    Masking:
        As in `keras.layers.Dense`: a mask passes and changes nothing.

    Raises:
        ValueError: An argument out of its range, an input of rank 1, or an
            unknown number of features.

    Example:
    ```python
    import numpy as np
    import keras_seqattn as ks

    layer = ks.layers.BurstPropDense(10)
    events = layer(np.random.default_rng(0).normal(size=(2, 64)))
    print(tuple(events.shape))  # (2, 10)
    ```
    """

    def __init__(
        self,
        units: int,
        burst_probability: float = 0.2,
        feedback: str = "random",
        feedback_stddev: float = 1.0,
        recurrent: bool = False,
        kernel_initializer: Any = "glorot_normal",
        bias_initializer: Any = "zeros",
        recurrent_initializer: Any = None,
        kernel_regularizer: Any = None,
        bias_regularizer: Any = None,
        kernel_constraint: Any = None,
        bias_constraint: Any = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.units = check_positive_integer("units", units)
        self.burst_probability = check_positive_number(
            "burst_probability", burst_probability
        )
        if self.burst_probability > 0.5:
            raise ValueError(
                "`burst_probability` must be at most 0.5: a teacher may double "
                f"it. Received: burst_probability={burst_probability!r}"
            )
        self.feedback = check_choice("feedback", feedback, FEEDBACKS)
        self.feedback_stddev = check_positive_number(
            "feedback_stddev", feedback_stddev
        )
        self.recurrent = check_flag("recurrent", recurrent)
        if recurrent_initializer is None:
            recurrent_initializer = keras.initializers.RandomUniform(
                -0.01, 0.01
            )
        self.kernel_initializer = keras.initializers.get(kernel_initializer)
        self.bias_initializer = keras.initializers.get(bias_initializer)
        self.recurrent_initializer = keras.initializers.get(
            recurrent_initializer
        )
        self.kernel_regularizer = keras.regularizers.get(kernel_regularizer)
        self.bias_regularizer = keras.regularizers.get(bias_regularizer)
        self.kernel_constraint = keras.constraints.get(kernel_constraint)
        self.bias_constraint = keras.constraints.get(bias_constraint)
        self.supports_masking = True

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        self._check_input_shape(input_shape)
        features = int(input_shape[-1] or 0)
        # Aggregation: constraints write under a tf.distribute strategy too.
        self.kernel = self.add_weight(
            name="kernel",
            shape=(features, self.units),
            initializer=own_initializer(self.kernel_initializer),
            regularizer=self.kernel_regularizer,
            constraint=self.kernel_constraint,
            aggregation="mean",
        )
        self.bias = self.add_weight(
            name="bias",
            shape=(self.units,),
            initializer=own_initializer(self.bias_initializer),
            regularizer=self.bias_regularizer,
            constraint=self.bias_constraint,
            aggregation="mean",
        )
        self.feedback_kernel = self.kernel
        if self.feedback != "tied":
            learned = self.feedback == "kolen_pollack"
            self.feedback_kernel = self.add_weight(
                name="feedback",
                shape=(features, self.units),
                initializer=keras.initializers.RandomNormal(
                    stddev=self.feedback_stddev
                ),
                regularizer=self.kernel_regularizer if learned else None,
                constraint=self.kernel_constraint if learned else None,
                trainable=learned,
                aggregation="mean",
            )
        if self.recurrent:
            self.recurrent_kernel = self.add_weight(
                name="recurrent_kernel",
                shape=(self.units, self.units),
                initializer=own_initializer(self.recurrent_initializer),
                trainable=False,
                aggregation="mean",
            )
        self.input_spec = keras.layers.InputSpec(
            min_ndim=2, axes={-1: features}
        )

    def call(self, inputs: Any, training: bool | None = None) -> Any:
        """Event rates `e = sigmoid(x W + b)`."""
        drive = ops.matmul(inputs, self.kernel) + self.bias
        if training and self.feedback == "kolen_pollack":
            # Adds 0: Keras warns of a trainable weight without a gradient.
            drive = drive + 0 * self.feedback_kernel[0]
        return ops.sigmoid(drive)

    def send_down(self, rates: Any) -> Any:
        """What the layer below receives of `rates`: `rates Y^T`."""
        return ops.matmul(
            rates, ops.transpose(ops.stop_gradient(self.feedback_kernel))
        )

    def prior_burst_rate(self, events: Any, received: Any) -> Any:
        """Burst rate before inhibition: `e sigmoid(f)`."""
        return events * ops.sigmoid(received)

    def apical_potential(self, events: Any, received: Any) -> Any:
        """Apical potential `u = f (1 - e) - (e sigmoid(f)) Z^T`."""
        potential = received * (1 - events)
        if self.recurrent:
            potential = potential - ops.matmul(
                self.prior_burst_rate(events, received),
                ops.transpose(self.recurrent_kernel),
            )
        return potential

    def hidden_burst_probability(self, potential: Any) -> Any:
        """Burst probability of a hidden layer: `p = sigmoid(u)`."""
        return ops.sigmoid(potential)

    def output_burst_probability(self, events: Any, targets: Any) -> Any:
        """Burst probability of an output layer with a teacher.

        `p' = p0 (1 + (y - e) (1 - e))`; without a teacher it is `p0`.
        """
        return self.burst_probability * (1 + (targets - events) * (1 - events))

    def burst_rate(self, events: Any, probability: Any) -> Any:
        """Burst rate `e p`."""
        return events * probability

    def output_update(self, events: Any, targets: Any) -> Any:
        """Update of an output layer: `e (p0 - p') = p0 e (1 - e) (e - y)`.

        `p0` times the gradient of half the squared error.
        """
        return (
            self.burst_probability * events * (1 - events) * (events - targets)
        )

    def hidden_update(self, events: Any, potential: Any, received: Any) -> Any:
        """Update of a hidden layer: `e (sigmoid(u) - sigmoid(u'))`.

        `u - u' = (1 - e) df`, since what inhibits is the same in both phases.
        By `sigmoid(u) - sigmoid(u') = tanh((u - u') / 2) (p (1 - p') +
        p' (1 - p))`, exact, no digits cancel.

        Args:
            events: Event rates `e`.
            potential: Apical potential `u`, without a teacher.
            received: `df`, what the layer above sends down of its update.
        """
        change = (1 - events) * received
        p = self.hidden_burst_probability(potential)
        taught = self.hidden_burst_probability(potential - change)
        return (
            events
            * ops.tanh(change / 2)
            * (p * (1 - taught) + taught * (1 - p))
        )

    def kernel_update(self, inputs: Any, update: Any) -> Any:
        """Gradient of the kernel, for an optimizer to descend: `x^T update`.

        A sum over the batch. The bias's is the sum of `update`.
        """
        return ops.matmul(ops.transpose(inputs), update)

    def recurrent_update(self, potential: Any, prior_burst_rate: Any) -> Any:
        """Change of `Z` that lowers `|u|^2 / 2`: `u^T (e sigmoid(f))`.

        A sum over the batch, to be multiplied by a rate and added.
        """
        return ops.matmul(ops.transpose(potential), prior_burst_rate)

    def _check_input_shape(self, input_shape: Any) -> None:
        shape = tuple(input_shape)
        if len(shape) < 2 or not shape[-1]:
            raise ValueError(
                "`BurstPropDense` expects an input (batch, ..., features) "
                "with a fixed number of features, at least one. "
                f"Received: input_shape={shape}"
            )

    def compute_output_shape(self, input_shape: Any) -> tuple[int | None, ...]:
        self._check_input_shape(input_shape)
        return (*tuple(input_shape)[:-1], self.units)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "units": self.units,
            "burst_probability": self.burst_probability,
            "feedback": self.feedback,
            "feedback_stddev": self.feedback_stddev,
            "recurrent": self.recurrent,
            "recurrent_initializer": keras.initializers.serialize(
                self.recurrent_initializer
            ),
            **{
                f"{weight}_{kind}": module.serialize(
                    getattr(self, f"{weight}_{kind}")
                )
                for kind, module in (
                    ("initializer", keras.initializers),
                    ("regularizer", keras.regularizers),
                    ("constraint", keras.constraints),
                )
                for weight in ("kernel", "bias")
            },
        }
