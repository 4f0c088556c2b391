"""How a `BurstPropNetwork` learns in time, step by step within a batch."""

import functools
from collections.abc import Callable
from collections.abc import Sequence
from typing import Any

import keras
from keras import ops

from keras_seqattn._backend.scan import compiled
from keras_seqattn._backend.train_step import ensure_shape
from keras_seqattn._backend.train_step import replicas
from keras_seqattn._checks import check_non_negative_integer
from keras_seqattn.layers.burst_prop_dense import BurstPropDense
from keras_seqattn.models._burst_prop.rule import AsCoded
from keras_seqattn.models._burst_prop.rule import Change
from keras_seqattn.models._burst_prop.rule import MovingAverage
from keras_seqattn.models._burst_prop.rule import Rule
from keras_seqattn.models._burst_prop.rule import State
from keras_seqattn.models._burst_prop.rule import Weights
from keras_seqattn.models._burst_prop.rule import at_rest
from keras_seqattn.models._burst_prop.rule import run_frozen
from keras_seqattn.models._burst_prop.rule import run_steps
from keras_seqattn.models._burst_prop.targets import check_sample_weight
from keras_seqattn.models._burst_prop.targets import check_targets

VARIANTS = ("moving_average", "fd8336a", "7df5f65", "3cd91fb")
OPTIMIZER_OPTIONS = (
    "momentum",
    "nesterov",
    "weight_decay",
    "clipnorm",
    "clipvalue",
    "global_clipnorm",
    "use_ema",
    "loss_scale_factor",
    "gradient_accumulation_steps",
)
GENERATE = {"generate": True}


class TemporalLearning:
    """The part of `models.BurstPropNetwork` that is its temporal mode."""

    mode: str
    units: list[int]
    variant: str
    feedback_stddev: float
    learning_rate_multipliers: list[float] | None
    weight_decay: float
    burst_probability: float
    teacher_probability: float
    teacher_strength: float | None
    average_rate: float
    apical_delay: int
    feedback_learning_rate: float
    stateful: bool
    seed: int | None
    burst_layers: list[BurstPropDense]
    add_weight: Callable[..., keras.Variable]
    optimizer: Any
    dtype_policy: keras.dtype_policies.DTypePolicy
    variable_dtype: str
    built: bool
    trainable: bool
    trainable_variables: list[keras.Variable]
    build: Callable[[Any], None]

    def _begin_in_time(self) -> None:
        # A mixed policy would round inputs and weights of a call, but not
        # those of training, which Keras does not cast.
        self.dtype_policy = keras.dtype_policies.DTypePolicy(
            self.variable_dtype
        )
        self._rule = self._make_rule()
        self._run_frozen = compiled(functools.partial(run_frozen, self._rule))
        self._seed_generator = keras.random.SeedGenerator(self.seed)

    def _make_rule(self) -> Rule:
        if self.variant == "moving_average":
            return MovingAverage(
                self.burst_probability,
                self.teacher_strength
                or greatest_strength(self.burst_probability),
                self.average_rate,
            )
        return AsCoded(
            self.variant, self.apical_delay, self.feedback_learning_rate
        )

    def _build_in_time(self, input_shape: Any) -> None:
        self.feedback_kernels = [
            self.add_weight(
                name=f"feedback_{number}",
                shape=(width, self.units[-1]),
                initializer=keras.initializers.RandomNormal(
                    stddev=self.feedback_stddev
                ),
                trainable=False,
            )
            for number, width in enumerate(self.units[:-1])
        ]
        if self.stateful:
            self._build_state(input_shape[0])

    @property
    def _rest(self) -> State:
        features = self.burst_layers[0].kernel.shape[0]
        return self._rule.rest(features, self.units)

    def _at_rest(self, x: Any) -> State:
        return at_rest(self._rest, ops.shape(x)[0], self.variable_dtype)

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
        if self.mode != "temporal" or self.variant == "moving_average":
            raise ValueError(
                "`generate` needs `mode='temporal'` and one of the variants "
                f"{VARIANTS[1:]}. Received: mode={self.mode!r}, "
                f"variant={self.variant!r}"
            )
        start = check_non_negative_integer("start", start)
        inputs = ops.convert_to_tensor(inputs, self.variable_dtype)
        if not self.built:
            self.build(inputs.shape)
        self._check_inputs(inputs)
        parts = [(inputs[:, :start], {}), (inputs[:, start:], GENERATE)]
        return self._run_free([part for part in parts if part[0].shape[1]])

    def reset_state(self) -> None:
        """Let the next batch begin at rest."""
        if self.mode != "temporal" or not self.stateful:
            raise ValueError(
                "Only a network with `mode='temporal'` and `stateful=True` "
                f"carries a state. Received: mode={self.mode!r}, "
                f"stateful={self.stateful}"
            )
        if self.built:
            for variable, part in zip(
                self._state, keras.tree.flatten(self._rest), strict=True
            ):
                variable.assign(ops.full(variable.shape, part.value))

    def frozen_run(
        self, x: Any, y: Any, taught: Any
    ) -> tuple[Any, list[Change], list[Any]]:
        """Run from rest with a teacher, but learn nothing.

        Args:
            x: `(batch, time, features)`.
            y: `(batch, time, outputs)`.
            taught: `(batch, time, 1)`, 1 where there is a teacher, else 0.

        Returns:
            `(output, changes, events)`, with time first: the output's rates;
            for each layer its trace, what it would learn from it, and its
            apical potential; and the hidden layers' event rates.
        """
        state = self._at_rest(x)
        rows = self._rows(x, y, taught)
        return self._run_frozen(self._weights(), state, rows)

    def _learn_in_time(self, x: Any, y: Any, sample_weight: Any) -> Any:
        """Learn in each step, and return the rates before it."""
        check_one_replica()  # compiled outside the strategy's scope
        self._check_inputs(x)
        check_targets(y, x, self.units[-1])
        rows = self._rows(x, y, self._teacher(y, sample_weight))
        rate = ops.cast(self.optimizer.learning_rate, self.variable_dtype)
        factors = self.learning_rate_multipliers or [1.0] * len(self.units)
        trainable = [id(weight) for weight in self.trainable_variables]

        def learns(weight: keras.Variable) -> float:
            return float(id(weight) in trainable)

        if self.stateful:
            state, rows = self._carried_state(x, rows)
        else:
            state = self._at_rest(x)
        weights, state, outputs = run_steps(
            self._rule,
            self._weights(),
            state,
            rows,
            [
                (
                    rate * factor * learns(layer.kernel),
                    rate * factor * learns(layer.bias),
                )
                for layer, factor in zip(
                    self.burst_layers, factors, strict=True
                )
            ]
            if self.trainable
            else None,
            [
                self.weight_decay * learns(layer.kernel)
                for layer in self.burst_layers
            ],
        )
        kernels, biases, feedback = self._weight_variables()
        for variable, value in zip(
            [*kernels, *biases, *feedback],
            [
                *weights.kernels,
                *weights.biases,
                *map(ops.transpose, weights.feedback),
            ],
            strict=True,
        ):
            variable.assign(value)
        if self.stateful:
            for variable, value in zip(
                self._state, keras.tree.flatten(state), strict=True
            ):
                variable.assign(value)
        self.optimizer.iterations.assign_add(1)
        return _batch_first(outputs)

    def _run_free(self, parts: Sequence[tuple[Any, dict[str, Any]]]) -> Any:
        """Run from rest over one part of the time after another."""
        inputs = parts[0][0]
        self._check_inputs(inputs)
        state = self._at_rest(inputs)
        outputs = []
        for x, options in parts:
            nobody = ops.zeros((*ops.shape(x)[:2], 1), self.variable_dtype)
            rows = self._rows(x, nobody, nobody)
            _, state, output = run_steps(
                self._rule, self._weights(), state, rows, **options
            )
            outputs.append(_batch_first(output))
        return ops.concatenate(outputs, axis=1)

    def _check_inputs(self, x: Any) -> None:
        features = self.burst_layers[0].kernel.shape[0]
        shape = tuple(x.shape)
        if len(shape) != 3 or shape[1] == 0 or shape[2] not in (None, features):
            raise ValueError(
                "`BurstPropNetwork` in mode 'temporal', once built, expects "
                f"inputs of shape (batch, time, {features}) and at least one "
                f"step. Received: inputs.shape={shape}"
            )

    def _rows(self, x: Any, target: Any, taught: Any) -> dict[str, Any]:
        """Time first, and as exact as the weights.

        Where there is no teacher the target may be anything, NaN too.
        """
        rows = {"x": x, "target": target, "taught": taught}
        rows = {
            name: ops.transpose(
                ops.cast(values, self.variable_dtype), (1, 0, 2)
            )
            for name, values in rows.items()
        }
        rows["target"] = ops.where(rows["taught"] > 0, rows["target"], 0.0)
        return rows

    def _teacher(self, y: Any, sample_weight: Any) -> Any:
        """1 where there is a teacher, `(batch, time, 1)`."""
        if sample_weight is not None:
            check_sample_weight(sample_weight, y)
            weight = ops.cast(sample_weight, self.variable_dtype)
            return ops.reshape(weight, (*ops.shape(y)[:2], 1)) > 0
        draws = keras.random.uniform(
            (*ops.shape(y)[:2], 1), seed=self._seed_generator
        )
        return draws < self.teacher_probability

    def _weight_variables(self) -> tuple[Any, Any, Any]:
        return (
            [layer.kernel for layer in self.burst_layers],
            [layer.bias for layer in self.burst_layers],
            self.feedback_kernels,
        )

    def _weights(self) -> Weights:
        kernels, biases, feedback = (
            tuple(ops.convert_to_tensor(v) for v in variables)
            for variables in self._weight_variables()
        )
        return Weights(kernels, biases, tuple(map(ops.transpose, feedback)))

    def _build_state(self, batch: int | None) -> None:
        if batch is None:
            raise ValueError(
                "`stateful=True` needs a fixed batch size: the state of one "
                "batch is where the next begins. Call the network on a batch, "
                "or build it with the whole shape. Received: a batch size of "
                "None"
            )
        self._state = [
            self.add_weight(
                name=f"state_{number}",
                shape=(batch, part.width),
                initializer=keras.initializers.Constant(part.value),
                trainable=False,
            )
            for number, part in enumerate(keras.tree.flatten(self._rest))
        ]

    def _carried_state(
        self, x: Any, rows: dict[str, Any]
    ) -> tuple[State, dict[str, Any]]:
        """The state, and the rows, of its batch size."""
        batch = self._state[0].shape[0]
        if x.shape[0] not in (None, batch):
            raise ValueError(
                "With `stateful=True` every batch must have the same number "
                f"of sequences, {batch}. Received: x.shape={tuple(x.shape)}"
            )
        state = [ops.convert_to_tensor(variable) for variable in self._state]
        rows = {
            name: ensure_shape(row, (None, batch, None))
            for name, row in rows.items()
        }
        return keras.tree.pack_sequence_as(self._rest, state), rows


def _batch_first(values: Any) -> Any:
    return ops.transpose(values, (1, 0, 2))


def greatest_strength(burst_probability: float) -> float:
    """For which `p0 (1 + k (y - e) (1 - e))` stays in [0, 1]."""
    return min(4.0, 1 / burst_probability - 1)


def check_plain_sgd(optimizer: keras.optimizers.Optimizer | None) -> None:
    """Raise unless all that an optimizer has is a learning rate."""
    if optimizer is None:  # to evaluate only
        return
    more = {
        name: value
        for name in OPTIMIZER_OPTIONS
        if (value := getattr(optimizer, name, None))
    }
    # By name: each backend has a subclass of the same name.
    if optimizer.__class__.__name__ != "SGD" or more:
        raise ValueError(
            "In mode 'temporal' the network learns within a batch, step by "
            "step, so it must be compiled with plain "
            "`keras.optimizers.SGD(learning_rate)`: no momentum, decay, "
            "clipping, averaging, accumulation or loss scaling. "
            f"Received: optimizer={optimizer.__class__.__name__} with {more}"
        )


def check_one_replica() -> None:
    """Raise under a strategy that spreads a batch over several devices."""
    if replicas() > 1:
        raise ValueError(
            "In mode 'temporal' the network learns step by step, so it cannot "
            "be spread over replicas: put more sequences into a batch. "
            f"Received: a strategy of {replicas()} replicas"
        )
