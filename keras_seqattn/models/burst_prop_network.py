"""BurstPropNetwork: dense layers that learn by bursts, in `fit`."""

import inspect
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
from keras_seqattn._backend.train_step import run_train_step
from keras_seqattn._backend.train_step import whole_loss
from keras_seqattn._checks import check_choice
from keras_seqattn._checks import check_non_negative_number
from keras_seqattn._checks import check_positive_integer
from keras_seqattn._checks import check_positive_number
from keras_seqattn._checks import check_positive_rate
from keras_seqattn._checks import check_rate
from keras_seqattn.layers._initializers import own_initializer
from keras_seqattn.layers.burst_prop_dense import FEEDBACKS
from keras_seqattn.layers.burst_prop_dense import BurstPropDense
from keras_seqattn.models._burst_prop.in_time import VARIANTS
from keras_seqattn.models._burst_prop.in_time import TemporalLearning
from keras_seqattn.models._burst_prop.in_time import check_one_replica
from keras_seqattn.models._burst_prop.in_time import check_plain_sgd
from keras_seqattn.models._burst_prop.in_time import greatest_strength
from keras_seqattn.models._burst_prop.targets import check_sample_weight
from keras_seqattn.models._burst_prop.targets import check_targets

MODES = ("rate", "temporal")
RATE_ONLY = (
    "feedback",
    "recurrent",
    "recurrent_learning_rate",
    "kernel_regularizer",
    "bias_regularizer",
)
AVERAGE_ONLY = ("burst_probability", "teacher_strength", "average_rate")
YEAR_2017_ONLY = ("apical_delay", "feedback_learning_rate")
TEMPORAL_ONLY = (
    "variant",
    "teacher_probability",
    *AVERAGE_ONLY[1:],
    *YEAR_2017_ONLY,
    "stateful",
    "seed",
)


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


@keras.saving.register_keras_serializable(package="keras_seqattn")
class BurstPropNetwork(TemporalLearning, keras.Model):
    """A network of `BurstPropDense` layers that learns by bursts.

    `compile` and `fit` it like any model. Nothing is differentiated through
    the network: a teacher changes how often the output's events are bursts,
    the bursts go down through feedback weights, and each weight learns from
    what arrives at its two ends.

    Mode `"rate"`: every example is one event rate a neuron.

    ```
    output layer     update = p0 e (1 - e) (e - y)
    hidden layers    u = f (1 - e) - (e sigmoid(f)) Z^T
                     update = e (sigmoid(u) - sigmoid(u - (1 - e) df))
                     f, df: burst rate Y^T and update Y^T of the layer above
    every layer      kernel gradient  x^T update,  bias gradient  sum(update)
                     Z <- Z + recurrent_learning_rate u^T (e sigmoid(f))
    ```

    Mode `"temporal"`: sequences, and a teacher that is there only now and
    then. Each layer reads the one below through a trace, the output's bursts
    reach every hidden layer directly, and the weights change within a batch,
    in every step with a teacher.

    ```
    every layer      trace <- (trace + below) / 2    e = sigmoid(trace W + b)
                     W <- W + rate trace^T delta,  b <- b + rate sum(delta)
    output layer     p = p0 (1 + k (y - e) (1 - e)),  k = 0 without a teacher
                     delta = (p - p0) e
    hidden layers    p = sigmoid((1 - e) (p_out e_out Y^T))
                     delta = (p - mean(p e) / mean(e)) e
    ```

    The means are moving averages over the steps without a teacher. The rules
    of 2017, which such networks came from, are `variant`s: there a neuron
    compares its burst probability with that of one step ago, and the teacher
    pulls the output's events halfway to the target.

    Either way the rule has its own teacher, the squared error: the loss given
    to `compile` is reported and watched by callbacks, but teaches nothing. Use
    `"mse"`. Gradients are sums over the batch, not means, so plain SGD's rate
    depends on the batch size.

    In mode `"temporal"` the optimizer is plain SGD, since it acts within a
    batch; the outputs of training are each step's before it learns; and
    all is computed in the weights' own type, float32 under a mixed policy.
    `sample_weight`, `(batch, time)`, says where there is a teacher: where it
    is above 0. Every sequence needs steps without one, all along: in those the
    means are formed, without which hidden layers learn nothing of use. With
    the loss `"mse"`, Keras multiplies by `sample_weight` and divides by all
    steps; unweighted `metrics` are means over all steps. Targets that are NaN
    where there is no teacher harm no weight, but make these numbers NaN.
    `class_weight` is not for sequences.

    To read how it learns, begin at `learn`, one batch of `fit`:
    `event_rates` go up, `bursts` come down, `gradients` go to the optimizer.
    The same lines run on every backend.

    Reference:
        [Payeur et al., Nature Neuroscience 24, 1010-1019, 2021](
        https://doi.org/10.1038/s41593-021-00857-x): mode `"rate"` is that of
        its networks for images, mode `"temporal"` has its plasticity, B -
        mean(P) E times a presynaptic trace. What differs there: the averages
        are fast (`average_rate`) and stop while there is a teacher, who would
        hide a part of the next teaching in them; `teacher_strength` is 4
        instead of 1, so that teaching is larger than the drift of what the
        averages follow; teachers come in single steps, not in phases; feedback
        is direct; no rate is capped. Weight alignment after Kolen and Pollack
        (1994).

    Args:
        units: Sequence of positive integers, the width of every layer; the
            last is the number of outputs. In mode `"temporal"` at least two.
        mode: `"rate"` (default) or `"temporal"`.
        burst_probability: `p0`, burst probability of the output without a
            teacher, above 0 and at most 0.5. Default: 0.2.
        feedback: Feedback weights: `"random"` (default), `"tied"` or
            `"kolen_pollack"`, as in `layers.BurstPropDense`. Random in mode
            `"temporal"`.
        feedback_stddev: Standard deviation of drawn feedback. Default: 1.
        recurrent: Whether hidden layers inhibit themselves, and learn to, so
            that bursts without a teacher say nothing. Default: `False`. Mode
            `"rate"`.
        recurrent_learning_rate: Rate of that learning, not negative, without
            the optimizer. Default: 1e-4.
        learning_rate_multipliers: One number a layer, not negative: factors
            of its gradients. With SGD they are factors of the learning rate;
            Adam divides most of a factor out. Default: all 1.
        weight_decay: Share of each kernel (and Kolen-Pollack feedback
            kernel) that a batch removes, or in time a step with a teacher, in
            [0, 1). Not multiplied by the learning rate, unlike a Keras
            optimizer's. Default: 0.
        kernel_initializer, bias_initializer: Initializers of every layer.
        kernel_regularizer, bias_regularizer: Regularizers of every layer, in
            mode `"rate"`.
        variant: Rule of mode `"temporal"`: `"moving_average"` (default), or
            the published version of 2017 `"fd8336a"`, `"7df5f65"` or
            `"3cd91fb"`. There `delta = d e' (1 - e')` one step after a
            teacher, `'` being one step ago, with d = `e (b - b')`, `b - b'` or
            `p - p'`, b the burst rate and p = sigmoid(trace_out Y^T). Layers
            wait for those below in the first steps after rest (there: in the
            first steps of every epoch).
        teacher_probability: How often there is a teacher, in (0, 1), when
            `fit` is given no `sample_weight`. Default: 0.05.
        teacher_strength: `k`, above 0, at most 4 and at most `1 /
            burst_probability - 1`, so that `p` stays in [0, 1]. Default: as
            much as that allows.
        average_rate: Share of each new value in a moving average, in (0, 1].
            Default: 0.5.
        apical_delay: Steps that feedback takes, in the variants of 2017: 1
            (default), as was documented, or 0, as was coded. With 0, what a
            hidden neuron sees one step after a teacher is the output's way
            back, and it learns with the wrong sign.
        feedback_learning_rate: Rate at which feedback learns to regenerate
            the hidden events, in the variants of 2017. Default: 0.
        stateful: Whether a batch of training begins where the one before
            ended, sequence by sequence, until `reset_state`. It needs a fixed
            batch size: `build((batch, None, features))`. Mode `"temporal"`.
            Default: `False`.
        seed: Integer or `None`, for drawing when there is a teacher.
        **kwargs: `name`, `dtype`, `trainable`, as in every Keras model.

    Call arguments:
        inputs: Float tensor of shape `(batch, features)`, or in time `(batch,
            time, features)`. A call begins at rest, `stateful` or not.
        training: Python boolean. Changes no value.

    Input shape:
        `(batch, features)` or `(batch, time, features)`.

    Output shape:
        `(batch, units[-1])` or `(batch, time, units[-1])`, event rates in (0,
        1). Targets have the same shape, and lie in [0, 1]: classes are
        one-hot.

    Raises:
        ValueError: An argument out of its range or of no meaning in its mode;
            an input of the wrong rank; in training targets not of the
            output's shape or sample weights that are not one number an
            example or step; in time another optimizer than plain SGD.

    Example:
    ```python
    import keras
    import numpy as np
    import keras_seqattn as ks

    x = np.random.default_rng(0).normal(size=(64, 8))
    y = keras.utils.to_categorical(x[:, 0] > 0, 2)
    model = ks.models.BurstPropNetwork([16, 2], feedback="kolen_pollack")
    model.compile(keras.optimizers.SGD(1.0), "mse", metrics=["accuracy"])
    model.fit(x, y, epochs=20, verbose=0)
    print(model.predict(x, verbose=0).shape)  # (64, 2)

    task = ks.tasks.Sinusoids(inputs=20, steps=200)
    x, y = task.sample()
    model = ks.models.BurstPropNetwork([16, 3], mode="temporal", stateful=True)
    model.build((1, None, 20))
    model.compile(keras.optimizers.SGD(0.1), "mse")
    model.fit(ks.tasks.TaughtChunks(x, y, 100), shuffle=False, verbose=0)
    print(model.predict(x, verbose=0).shape)  # (1, 200, 3)
    ```
    """

    def __init__(
        self,
        units: Sequence[int],
        mode: str = "rate",
        burst_probability: float = 0.2,
        feedback: str = "random",
        feedback_stddev: float = 1.0,
        recurrent: bool = False,
        recurrent_learning_rate: float = 1e-4,
        learning_rate_multipliers: Sequence[float] | None = None,
        weight_decay: float = 0.0,
        kernel_initializer: Any = "glorot_normal",
        bias_initializer: Any = "zeros",
        kernel_regularizer: Any = None,
        bias_regularizer: Any = None,
        variant: str = "moving_average",
        teacher_probability: float = 0.05,
        teacher_strength: float | None = None,
        average_rate: float = 0.5,
        apical_delay: int = 1,
        feedback_learning_rate: float = 0.0,
        stateful: bool = False,
        seed: int | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.units = _check_units(units)
        self.mode = check_choice("mode", mode, MODES)
        self.variant = check_choice("variant", variant, VARIANTS)
        self.teacher_probability = check_positive_number(
            "teacher_probability", teacher_probability
        )
        if self.teacher_probability >= 1:
            raise ValueError(
                "`teacher_probability` must be below 1: steps without a "
                "teacher are what teaching is compared with. "
                f"Received: teacher_probability={teacher_probability!r}"
            )
        self.teacher_strength = teacher_strength
        if teacher_strength is not None:
            self.teacher_strength = check_positive_number(
                "teacher_strength", teacher_strength
            )
        self.average_rate = check_positive_rate("average_rate", average_rate)
        self.apical_delay = check_choice("apical_delay", apical_delay, (0, 1))
        self.feedback_learning_rate = check_non_negative_number(
            "feedback_learning_rate", feedback_learning_rate
        )
        self.stateful = bool(stateful)
        self.seed = seed
        self.recurrent_learning_rate = check_non_negative_number(
            "recurrent_learning_rate", recurrent_learning_rate
        )
        self.learning_rate_multipliers = _check_multipliers(
            learning_rate_multipliers, len(self.units)
        )
        self.weight_decay = check_rate("weight_decay", weight_decay)
        self.burst_probability = check_positive_number(
            "burst_probability", burst_probability
        )
        self.feedback = check_choice("feedback", feedback, FEEDBACKS)
        self.feedback_stddev = feedback_stddev
        self.recurrent = bool(recurrent)
        self.kernel_initializer = keras.initializers.get(kernel_initializer)
        self.bias_initializer = keras.initializers.get(bias_initializer)
        self.kernel_regularizer = keras.regularizers.get(kernel_regularizer)
        self.bias_regularizer = keras.regularizers.get(bias_regularizer)
        if self.mode == "temporal":
            self._begin_in_time()
        last = len(self.units) - 1
        self.burst_layers = [
            BurstPropDense(
                width,
                burst_probability=burst_probability,
                # Nothing is below the first layer: it needs no feedback. In
                # time, the network's own goes to each layer directly.
                feedback=(feedback if number and mode == "rate" else "tied"),
                feedback_stddev=feedback_stddev,
                recurrent=self.recurrent and number < last,
                kernel_initializer=own_initializer(self.kernel_initializer),
                bias_initializer=own_initializer(self.bias_initializer),
                kernel_regularizer=self.kernel_regularizer,
                bias_regularizer=self.bias_regularizer,
                dtype=self.dtype_policy,
                name=f"layer_{number}",
            )
            for number, width in enumerate(self.units)
        ]
        self._check_mode()

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        axes = ["batch", "time", "features"]
        if self.mode == "rate":
            axes.remove("time")
        if len(input_shape) != len(axes):
            raise ValueError(
                f"`BurstPropNetwork` in mode '{self.mode}' expects an input "
                f"of rank {len(axes)}, ({', '.join(axes)}). "
                f"Received: input_shape={tuple(input_shape)}"
            )
        shape: Any = (input_shape[0], input_shape[-1])
        for layer in self.burst_layers:
            layer.build(shape)
            shape = layer.compute_output_shape(shape)
        if self.mode == "temporal":
            self._build_in_time(input_shape)
        self.built = True

    def call(self, inputs: Any, training: bool | None = None) -> Any:
        if self.mode == "temporal":
            return self._run_free([(inputs, {})])
        return self.event_rates(inputs, training=training)[-1]

    def event_rates(
        self, inputs: Any, training: bool | None = None
    ) -> list[Any]:
        """Return the input and each layer's event rates, the lowest first.

        Mode `"rate"`.
        """
        if self.mode != "rate":
            raise ValueError(
                "`event_rates` are of mode 'rate': in time call the network. "
                f"Received: mode={self.mode!r}"
            )
        rates = [inputs]
        for layer in self.burst_layers:
            rates.append(layer(rates[-1], training=training))
        return rates

    def bursts(self, rates: Sequence[Any], targets: Any) -> list[LayerBursts]:
        """Send bursts down.

        Args:
            rates: What `event_rates` returns.
            targets: `(batch, outputs)`, in [0, 1].

        Returns:
            A `LayerBursts` for each layer, the lowest first.
        """
        # In float32 whatever the events were computed in.
        *rates, targets = (
            ops.cast(values, self.variable_dtype)
            for values in (*rates, targets)
        )
        above, events = self.burst_layers[-1], rates[-1]
        update = above.output_update(events, targets)
        rate = above.burst_rate(events, above.burst_probability)
        found = [LayerBursts(rates[-2], events, update)]
        for layer, inputs, events in zip(
            self.burst_layers[-2::-1],
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

    def gradients(
        self, bursts: Sequence[LayerBursts], sample_weight: Any = None
    ) -> Iterator[tuple[keras.Variable, Any]]:
        """Turn what each layer knows into `(weight, gradient)` pairs.

        A sum over the batch, with `sample_weight`, `(batch, 1)`, as if each
        example came that many times; and the gradients of regularizers.
        """
        for layer, found, factor in zip(
            self.burst_layers,
            bursts,
            self.learning_rate_multipliers or [1.0] * len(self.units),
            strict=True,
        ):
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

    def train_step(self, *arguments: Any) -> Any:
        """What `fit` calls for each batch: `learn`, as the backend needs it."""
        return run_train_step(self, self.learn, arguments)

    def learn(self, data: Any) -> dict[str, Any]:
        """Learn from one batch by bursts; nothing is differentiated.

        Args:
            data: `(inputs, targets)` or `(inputs, targets, sample_weight)`.

        Returns:
            The loss and the metrics.
        """
        x, y, sample_weight = keras.utils.unpack_x_y_sample_weight(data)
        if not self.built:
            self.build(x.shape)
        if self.mode == "temporal":
            outputs = self._learn_in_time(x, y, sample_weight)
            loss = self.compute_loss(x, y, outputs, sample_weight)
        else:
            rates = self.event_rates(x, training=True)
            outputs = rates[-1]
            loss = self.compute_loss(x, y, outputs, sample_weight)
            bursts = self.bursts(rates, y)
            column = _column(sample_weight, self.variable_dtype)
            pairs = list(self.gradients(bursts, column))
            loss, *gradients = computed([loss, *(g for _, g in pairs)])
            weights = [weight for weight, _ in pairs]
            self._update_weights(zip(weights, gradients, strict=True))
            self._update_inhibition(bursts, column)
        for metric in self.metrics:
            if metric.name == "loss":
                metric.update_state(
                    whole_loss(loss), sample_weight=ops.shape(y)[0]
                )
        return self.compute_metrics(x, y, outputs, sample_weight)

    def _update_weights(
        self, gradients: Iterable[tuple[keras.Variable, Any]]
    ) -> None:
        """Take the optimizer's step, and the decay that it knows nothing of.

        `W <- W + step - decay W`, without the learning rate.
        """
        found = {id(weight): gradient for weight, gradient in gradients}
        weights = self.trainable_variables
        decay = [
            (weight, self.weight_decay * ops.convert_to_tensor(weight))
            for weight in weights
            if self.weight_decay and len(weight.shape) == 2
        ]
        apply_gradients(
            self.optimizer, [found[id(weight)] for weight in weights], weights
        )
        for weight, lost in decay:
            weight.assign_sub(lost)

    def _update_inhibition(
        self, bursts: Sequence[LayerBursts], sample_weight: Any
    ) -> None:
        """Change each `Z` by its own rule; no optimizer knows of it."""
        for layer, found in zip(self.burst_layers, bursts, strict=True):
            if layer.recurrent and layer.trainable:
                change = layer.recurrent_update(
                    _weighted(found.potential, sample_weight),
                    found.prior_burst_rate,
                )
                add_changes(
                    layer.recurrent_kernel,
                    self.recurrent_learning_rate * change,
                )

    def compile(self, *args: Any, **kwargs: Any) -> None:
        """As in every Keras model; in time with plain SGD alone."""
        super().compile(*args, **kwargs)
        if self.mode == "temporal":
            check_plain_sgd(self.optimizer)
            check_one_replica()

    def compile_from_config(self, config: dict[str, Any]) -> None:
        """What `load_model` calls, and Keras skips for an own `compile`."""
        self.compile(**keras.saving.deserialize_keras_object(config))
        if self.optimizer is not None and self.built:
            self.optimizer.build(self.trainable_variables)

    def save_own_variables(self, store: Any) -> None:
        """In time also where the stream is that draws the teacher."""
        super().save_own_variables(store)
        if self.mode == "temporal":
            store["seed"] = self._seed_generator.state

    def load_own_variables(self, store: Any) -> None:
        if self.mode == "temporal":
            store = {name: store[name] for name in list(store.keys())}
            self._seed_generator.state.assign(store.pop("seed"))
        super().load_own_variables(store)

    def compute_loss(
        self,
        x: Any = None,
        y: Any = None,
        y_pred: Any = None,
        sample_weight: Any = None,
        training: bool = True,
    ) -> Any:
        """Return the loss, for people and callbacks to watch."""
        check_targets(y, y_pred)
        check_sample_weight(sample_weight, y_pred)
        return super().compute_loss(x, y, y_pred, sample_weight, training)

    def compute_output_shape(self, input_shape: Any) -> tuple[int | None, ...]:
        return (*tuple(input_shape)[:-1], self.units[-1])

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "units": self.units,
            "mode": self.mode,
            "burst_probability": self.burst_probability,
            "feedback": self.feedback,
            "feedback_stddev": self.feedback_stddev,
            "recurrent": self.recurrent,
            "recurrent_learning_rate": self.recurrent_learning_rate,
            "learning_rate_multipliers": self.learning_rate_multipliers,
            "weight_decay": self.weight_decay,
            "kernel_initializer": keras.initializers.serialize(
                self.kernel_initializer
            ),
            "bias_initializer": keras.initializers.serialize(
                self.bias_initializer
            ),
            "kernel_regularizer": keras.regularizers.serialize(
                self.kernel_regularizer
            ),
            "bias_regularizer": keras.regularizers.serialize(
                self.bias_regularizer
            ),
            "variant": self.variant,
            "teacher_probability": self.teacher_probability,
            "teacher_strength": self.teacher_strength,
            "average_rate": self.average_rate,
            "apical_delay": self.apical_delay,
            "feedback_learning_rate": self.feedback_learning_rate,
            "stateful": self.stateful,
            "seed": self.seed,
        }

    def _check_mode(self) -> None:
        """Refuse what the other mode has, instead of not doing it."""
        parameters = inspect.signature(BurstPropNetwork.__init__).parameters
        unused: tuple[str, ...] = TEMPORAL_ONLY
        where = "mode 'rate'"
        if self.mode == "temporal":
            where = f"mode 'temporal' with variant '{self.variant}'"
            average = self.variant == "moving_average"
            unused = RATE_ONLY + (YEAR_2017_ONLY if average else AVERAGE_ONLY)
        for name in unused:
            value, default = getattr(self, name), parameters[name].default
            if value != default:
                raise ValueError(
                    f"`{name}` says nothing in {where}: leave it at "
                    f"{default!r}. Received: {name}={value!r}"
                )
        most = greatest_strength(self.burst_probability)
        if (self.teacher_strength or 0) > most:
            raise ValueError(
                "`teacher_strength` must be at most 4 and at most 1 / "
                f"burst_probability - 1, here {most:.4g}: a burst probability "
                "would leave [0, 1]. "
                f"Received: teacher_strength={self.teacher_strength}"
            )
        if self.mode == "temporal" and len(self.units) < 2:
            raise ValueError(
                "`mode='temporal'` needs a hidden layer: `units` of at least "
                f"two layers. Received: units={self.units}"
            )


def _weighted(values: Any, sample_weight: Any) -> Any:
    return values if sample_weight is None else sample_weight * values


def _column(sample_weight: Any, dtype: str) -> Any:
    if sample_weight is None:
        return None
    return ops.cast(ops.reshape(sample_weight, (-1, 1)), dtype)


def _check_units(units: Any) -> list[int]:
    if not isinstance(units, Sequence) or isinstance(units, str) or not units:
        raise ValueError(
            "`units` must be a list of positive integers, one a layer. "
            f"Received: units={units!r}"
        )
    return [check_positive_integer("units", width) for width in units]


def _check_multipliers(multipliers: Any, layers: int) -> list[float] | None:
    if multipliers is None:
        return None
    if not isinstance(multipliers, Sequence) or len(multipliers) != layers:
        raise ValueError(
            "`learning_rate_multipliers` must hold one number for each of "
            f"the {layers} layers. "
            f"Received: learning_rate_multipliers={multipliers!r}"
        )
    return [
        check_non_negative_number("learning_rate_multipliers", number)
        for number in multipliers
    ]
