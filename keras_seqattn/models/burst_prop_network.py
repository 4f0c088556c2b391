"""BurstPropNetwork: dense layers that learn by bursts, in `fit`.

Long because: one docstring has the equations and the arguments of both modes.
What each mode does is in `_burst_prop/in_rate.py` and `_burst_prop/in_time.py`.
"""

import inspect
import math
from collections.abc import Iterator
from collections.abc import Sequence
from typing import Any

import keras
from keras import ops

from keras_seqattn._backend.train_step import run_train_step
from keras_seqattn._backend.train_step import whole_loss
from keras_seqattn._checks import check_choice
from keras_seqattn._checks import check_flag
from keras_seqattn._checks import check_non_negative_integer
from keras_seqattn._checks import check_non_negative_number
from keras_seqattn._checks import check_positive_number
from keras_seqattn._checks import check_positive_rate
from keras_seqattn._checks import check_rate
from keras_seqattn.layers._initializers import own_initializer
from keras_seqattn.layers.burst_prop_dense import FEEDBACKS
from keras_seqattn.layers.burst_prop_dense import BurstPropDense
from keras_seqattn.models._burst_prop import as_coded
from keras_seqattn.models._burst_prop.arguments import check_mode
from keras_seqattn.models._burst_prop.arguments import check_multipliers
from keras_seqattn.models._burst_prop.arguments import check_teacher_probability
from keras_seqattn.models._burst_prop.arguments import check_units
from keras_seqattn.models._burst_prop.as_coded import AsCoded
from keras_seqattn.models._burst_prop.in_rate import InRate
from keras_seqattn.models._burst_prop.in_rate import LayerBursts
from keras_seqattn.models._burst_prop.in_rate import layer_gradients
from keras_seqattn.models._burst_prop.in_rate import send_bursts_down
from keras_seqattn.models._burst_prop.in_time import InTime
from keras_seqattn.models._burst_prop.moving_average import MovingAverage
from keras_seqattn.models._burst_prop.moving_average import greatest_strength
from keras_seqattn.models._burst_prop.rule import Change
from keras_seqattn.models._burst_prop.rule import Rule
from keras_seqattn.models._burst_prop.rule import State
from keras_seqattn.models._burst_prop.targets import check_sample_weight
from keras_seqattn.models._burst_prop.targets import check_targets

MODES = ("rate", "temporal")
VARIANTS = ("moving_average", *as_coded.VARIANTS)


@keras.saving.register_keras_serializable(package="keras_seqattn")
class BurstPropNetwork(keras.Model):
    """A network of `BurstPropDense` layers that learns by bursts.

    `compile` and `fit` it like any model. Nothing is differentiated through
    the network: a teacher changes how often the output's events are bursts,
    the bursts go down through feedback weights, and each weight learns from
    what arrives at its two ends. It learns where it is the outermost model:
    in another one it can be used frozen, and raises if it is not. With
    `gradient_accumulation_steps=n` of an optimizer Keras takes the mean of n
    batches' gradients, where one batch of n times the size has their sum.

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

    To read how it learns, begin at `learn`, one batch of `fit`. In mode
    `"rate"`, `_burst_prop/in_rate.py`: `event_rates` go up, `bursts` come
    down, `gradients` go to the optimizer. In mode `"temporal"`,
    `_burst_prop/in_time.py`: a rule's steps over time, which change the
    weights. The same lines run on every backend.

    Take it when learning by local signals is the subject, with one or two
    hidden layers; with more, `feedback="random"` learned and
    `"kolen_pollack"` did not (`docs/when_to_take_which.md`).

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
        kernel_initializer: Initializer of every layer.
        bias_initializer: Initializer of every layer. Default: zeros, but in
            mode `"rate"` an output begins at the share of a class, event rate
            `1 / units[-1]`. From 1/2, all outputs are first taught to fall,
            and with fixed feedback and Adam hidden layers learn little else.
        kernel_regularizer, bias_regularizer: Regularizers of every layer, in
            mode `"rate"`.
        variant: Rule of mode `"temporal"`: `"moving_average"` (default), or
            a published version of 2017, `"weighted_burst_rate_change"`,
            `"burst_rate_change"` or `"burst_probability_change"`. There
            `delta = d e' (1 - e')` one step after a teacher, `'` being one
            step ago, with d = `e (b - b')`, `b - b'` or `p - p'`, b the burst
            rate and p = sigmoid(trace_out Y^T). Layers wait for those below
            in the first steps after rest (there: in the first steps of every
            epoch).
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
        training: Python boolean. Changes no value; `True` is refused unless
            the network is frozen, since nothing but `fit` trains it by bursts.

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
        bias_initializer: Any = None,
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
        self.units = check_units(units)
        self.mode = check_choice("mode", mode, MODES)
        self.variant = check_choice("variant", variant, VARIANTS)
        self.teacher_probability = check_teacher_probability(
            teacher_probability
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
        self.stateful = check_flag("stateful", stateful)
        self.seed = seed
        self.recurrent_learning_rate = check_non_negative_number(
            "recurrent_learning_rate", recurrent_learning_rate
        )
        self.learning_rate_multipliers = check_multipliers(
            learning_rate_multipliers, len(self.units)
        )
        self.weight_decay = check_rate("weight_decay", weight_decay)
        self.burst_probability = check_positive_number(
            "burst_probability", burst_probability
        )
        self.feedback = check_choice("feedback", feedback, FEEDBACKS)
        self.feedback_stddev = feedback_stddev
        self.recurrent = check_flag("recurrent", recurrent)
        self.kernel_initializer = keras.initializers.get(kernel_initializer)
        self.bias_initializer = keras.initializers.get(bias_initializer)
        self.kernel_regularizer = keras.regularizers.get(kernel_regularizer)
        self.bias_regularizer = keras.regularizers.get(bias_regularizer)
        self._learning = self._make_learning()
        # Keras finds the stream here, which draws the teacher.
        self._seed_generator = self._learning.seed_generator
        self.burst_layers = self._make_layers()
        parameters = inspect.signature(BurstPropNetwork.__init__).parameters
        check_mode(
            settings=vars(self),
            defaults={name: p.default for name, p in parameters.items()},
        )

    def _make_learning(self) -> InRate | InTime:
        """What the mode is: all that differs is asked of it."""
        if self.mode == "rate":
            return InRate(
                feedback=self.feedback,
                weight_decay=self.weight_decay,
                recurrent_learning_rate=self.recurrent_learning_rate,
            )
        # A mixed policy would round inputs and weights of a call, but not
        # those of training, which Keras does not cast.
        self.dtype_policy = keras.dtype_policies.DTypePolicy(
            self.variable_dtype
        )
        return InTime(
            rule=self._make_rule(),
            units=self.units,
            feedback_stddev=self.feedback_stddev,
            factors=self._factors,
            weight_decay=self.weight_decay,
            teacher_probability=self.teacher_probability,
            stateful=self.stateful,
            seed=self.seed,
            dtype=self.variable_dtype,
        )

    def _make_rule(self) -> Rule:
        """The rule of mode `"temporal"`: override it for another."""
        if self.variant == "moving_average":
            return MovingAverage(
                burst_probability=self.burst_probability,
                teacher_strength=self.teacher_strength
                or greatest_strength(self.burst_probability),
                average_rate=self.average_rate,
            )
        return AsCoded(
            variant=self.variant,
            apical_delay=self.apical_delay,
            feedback_rate=self.feedback_learning_rate,
        )

    def _make_layers(self) -> list[BurstPropDense]:
        last = len(self.units) - 1
        return [
            BurstPropDense(
                units=width,
                burst_probability=self.burst_probability,
                feedback=self._learning.layer_feedback(number),
                feedback_stddev=self.feedback_stddev,
                recurrent=self.recurrent and number < last,
                kernel_initializer=own_initializer(self.kernel_initializer),
                bias_initializer=self._layer_bias(number),
                kernel_regularizer=self.kernel_regularizer,
                bias_regularizer=self.bias_regularizer,
                dtype=self.dtype_policy,
                name=f"layer_{number}",
            )
            for number, width in enumerate(self.units)
        ]

    def _layer_bias(self, number: int) -> Any:
        if self.bias_initializer is not None:
            return own_initializer(self.bias_initializer)
        others = self.units[-1] - 1
        if (
            self.mode == "temporal"
            or number < len(self.units) - 1
            or not others
        ):
            return "zeros"
        return keras.initializers.Constant(-math.log(others))

    @property
    def _factors(self) -> list[float]:
        return self.learning_rate_multipliers or [1.0] * len(self.units)

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        axes = self._learning.axes
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
        self.feedback_kernels = self._learning.build(
            self.burst_layers, input_shape, self.add_weight
        )
        self.built = True

    def call(self, inputs: Any, training: bool | None = None) -> Any:
        # `learn` does not call, so that somebody else would differentiate.
        if training and self.trainable:
            raise ValueError(
                "`BurstPropNetwork` learns in its own `fit` alone: within "
                "another model, or a training loop of one's own, it would be "
                "trained by backpropagation. Either `fit` the network itself, "
                "on data that went through what comes before it "
                "(`dataset.map(preprocess)` or `preprocess.predict(x)`, with "
                "`preprocess` a `keras.Sequential`); or set `network.trainable "
                "= False`, for fixed features. Received: a call with "
                f"training={training}"
            )
        return self._learning.call(self, inputs, training)

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
        return send_bursts_down(
            self.burst_layers, rates, targets, self.variable_dtype
        )

    def gradients(
        self, bursts: Sequence[LayerBursts], sample_weight: Any = None
    ) -> Iterator[tuple[keras.Variable, Any]]:
        """Turn what each layer knows into `(weight, gradient)` pairs.

        A sum over the batch, with `sample_weight`, `(batch, 1)`, as if each
        example came that many times; and the gradients of regularizers.
        """
        return layer_gradients(
            self.burst_layers, bursts, self._factors, sample_weight
        )

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
        outputs, loss = self._learning.learn(self, x, y, sample_weight)
        for metric in self.metrics:
            if metric.name == "loss":
                metric.update_state(
                    whole_loss(loss), sample_weight=ops.shape(y)[0]
                )
        return self.compute_metrics(x, y, outputs, sample_weight)

    def generate(self, inputs: Any, start: int = 0) -> Any:
        """Run without a teacher, and from a step on by bursts alone.

        From then on, hidden neurons' bursts take the place of their events:
        what feedback makes of the output drives the output. After feedback
        has been learned, with a `variant` of 2017.

        Args:
            inputs: `(batch, time, features)`.
            start: Integer >= 0, the first such step.

        Returns:
            Event rates of the output, `(batch, time, units[-1])`.
        """
        if self.variant == "moving_average":
            raise ValueError(
                "`generate` needs `mode='temporal'` and one of the variants "
                f"{VARIANTS[1:]}. Received: mode={self.mode!r}, "
                f"variant={self.variant!r}"
            )
        start = check_non_negative_integer("start", start)
        inputs = ops.convert_to_tensor(inputs, self.variable_dtype)
        if not self.built:
            self.build(inputs.shape)
        return self._in_time.generate(inputs, start)

    def frozen_run(
        self, x: Any, y: Any, taught: Any
    ) -> tuple[Any, list[Change], list[Any]]:
        """Run from rest with a teacher, but learn nothing. Mode `"temporal"`.

        Args:
            x: `(batch, time, features)`.
            y: `(batch, time, outputs)`.
            taught: `(batch, time, 1)`, 1 where there is a teacher, else 0.

        Returns:
            `(output, changes, events)`, with time first: the output's rates;
            for each layer its trace, what it would learn from it, and its
            apical potential; and the hidden layers' event rates.
        """
        return self._in_time.frozen_run(x, y, taught)

    def free_state(self, batch: Any) -> State:
        """Return the state before the first `free_step`: the network at rest.

        Mode `"temporal"`, built.

        Args:
            batch: Number of independent sequences.

        Returns:
            Dictionary of tensors and tuples of tensors, `(batch, width)`.
            `["events"][-1]` is the output of the last step.
        """
        return self._in_time.free_state(batch)

    def free_step(self, x: Any, state: State) -> tuple[Any, State]:
        """Take one step without a teacher, as a call does over a sequence.

        Args:
            x: `(batch, features)`.
            state: What `free_state` or the step before returned.

        Returns:
            `(output, state)`: the output's event rates, `(batch, units[-1])`,
            and the state after the step.
        """
        return self._in_time.free_step(x, state)

    def reset_state(self) -> None:
        """Let the next batch begin at rest."""
        if not self.stateful:
            raise ValueError(
                "Only a network with `mode='temporal'` and `stateful=True` "
                f"carries a state. Received: mode={self.mode!r}, "
                f"stateful={self.stateful}"
            )
        if self.built:
            self._in_time.reset_state()

    @property
    def _in_time(self) -> InTime:
        if isinstance(self._learning, InTime):
            return self._learning
        raise ValueError(
            "Only a network with `mode='temporal'` runs step by step. "
            f"Received: mode={self.mode!r}"
        )

    def compile(self, *args: Any, **kwargs: Any) -> None:
        """As in every Keras model; in time with plain SGD alone."""
        super().compile(*args, **kwargs)
        self._learning.check_optimizer(self.optimizer)

    def compile_from_config(self, config: dict[str, Any]) -> None:
        """What `load_model` calls, and Keras skips for an own `compile`."""
        self.compile(**keras.saving.deserialize_keras_object(config))
        if self.optimizer is not None and self.built:
            self.optimizer.build(self.trainable_variables)

    def save_own_variables(self, store: Any) -> None:
        """In time also where the stream is that draws the teacher."""
        super().save_own_variables(store)
        if self._seed_generator is not None:
            store["seed"] = self._seed_generator.state

    def load_own_variables(self, store: Any) -> None:
        if self._seed_generator is not None:
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

    @classmethod
    def from_config(
        cls, config: dict[str, Any], custom_objects: Any = None
    ) -> "BurstPropNetwork":
        """Early files name a variant of 2017 by the commit it comes from."""
        given = config.get("variant", "moving_average")
        variant = as_coded.VARIANTS_BY_COMMIT.get(given, given)
        return super().from_config(
            {**config, "variant": variant}, custom_objects
        )
