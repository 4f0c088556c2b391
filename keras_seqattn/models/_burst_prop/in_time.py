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
from keras_seqattn.layers.burst_prop_dense import BurstPropDense
from keras_seqattn.models._burst_prop.loop import Rates
from keras_seqattn.models._burst_prop.loop import run_frozen
from keras_seqattn.models._burst_prop.loop import run_steps
from keras_seqattn.models._burst_prop.rule import Change
from keras_seqattn.models._burst_prop.rule import Rule
from keras_seqattn.models._burst_prop.rule import State
from keras_seqattn.models._burst_prop.rule import Weights
from keras_seqattn.models._burst_prop.rule import at_rest
from keras_seqattn.models._burst_prop.targets import check_sample_weight
from keras_seqattn.models._burst_prop.targets import check_targets

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
# The other parts of a state say how a network would learn.
SEEN_WITHOUT_TEACHER = ("trace", "events", "time")


class InTime:
    """Mode `"temporal"`: a rule's steps over sequences, and what they change.

    Args:
        rule: The `Rule`.
        units: Widths of the layers.
        feedback_stddev: Standard deviation of drawn feedback.
        factors: Of each layer's learning rate.
        weight_decay: Share of each kernel that a step with a teacher removes.
        teacher_probability: How often there is a teacher, if nobody says so.
        stateful: Whether a batch begins where the one before ended.
        seed: For drawing when there is a teacher.
        dtype: Type of all numbers: that of the weights.
    """

    axes = ("batch", "time", "features")

    def __init__(
        self,
        rule: Rule,
        units: list[int],
        feedback_stddev: float,
        factors: Sequence[float],
        weight_decay: float,
        teacher_probability: float,
        stateful: bool,
        seed: int | None,
        dtype: str,
    ) -> None:
        self.rule = rule
        self.units = units
        self.feedback_stddev = feedback_stddev
        self.factors = factors
        self.weight_decay = weight_decay
        self.teacher_probability = teacher_probability
        self.stateful = stateful
        self.dtype = dtype
        self.seed_generator = keras.random.SeedGenerator(seed)
        self._run_frozen = compiled(functools.partial(run_frozen, rule))

    def layer_feedback(self, number: int) -> str:
        """No layer has its own: the network's goes to each directly."""
        return "tied"

    def check_optimizer(
        self, optimizer: keras.optimizers.Optimizer | None
    ) -> None:
        """Raise unless it is plain SGD, on one replica."""
        check_plain_sgd(optimizer)
        check_one_replica()

    def build(
        self,
        layers: Sequence[BurstPropDense],
        input_shape: tuple[int | None, ...],
        add_weight: Callable[..., keras.Variable],
    ) -> list[keras.Variable]:
        """Make what is remembered, and return the feedback kernels.

        Args:
            layers: The network's, built.
            input_shape: `(batch, time, features)`.
            add_weight: The network's, which owns the variables.
        """
        self.layers = layers
        self.feedback_kernels = [
            add_weight(
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
            self._build_state(input_shape[0], add_weight)
        return self.feedback_kernels

    def call(self, network: keras.Model, inputs: Any, training: Any) -> Any:
        """Return the output's rates, from rest and without a teacher."""
        return self._run_free([(inputs, {})])

    def generate(self, inputs: Any, start: int) -> Any:
        """Run without a teacher, and from step `start` on by bursts alone."""
        self._check_inputs(inputs)
        parts = [(inputs[:, :start], {}), (inputs[:, start:], GENERATE)]
        return self._run_free([part for part in parts if part[0].shape[1]])

    def frozen_run(
        self, x: Any, y: Any, taught: Any
    ) -> tuple[Any, list[Change], list[Any]]:
        """Run from rest with a teacher, but learn nothing."""
        state = self._at_rest(x)
        rows = self._rows(x, y, taught)
        return self._run_frozen(self._weights(), state, rows)

    def free_state(self, batch: Any) -> State:
        """Return what `free_step` needs of a state, before the first step."""
        rest = self._rest
        seen = {k: rest[k] for k in SEEN_WITHOUT_TEACHER if k in rest}
        return at_rest(seen, batch, self.dtype)

    def free_step(self, x: Any, state: State) -> tuple[Any, State]:
        """Return the output and the state after one step without a teacher."""
        batch = ops.shape(x)[0]
        nobody = ops.zeros((batch, 1), self.dtype)
        after, output, *_ = self.rule.step(
            self._weights(),
            {**at_rest(self._rest, batch, self.dtype), **state},
            ops.cast(x, self.dtype),
            nobody,
            nobody,
        )
        seen = {name: after[name] for name in state}
        if "time" in seen:
            # Only the first steps matter, and float32 does not count forever.
            seen["time"] = ops.minimum(seen["time"], len(self.units) + 2)
        return output, seen

    def reset_state(self) -> None:
        """Let the next batch begin at rest."""
        for variable, part in zip(
            self._state, keras.tree.flatten(self._rest), strict=True
        ):
            variable.assign(ops.full(variable.shape, part.value))

    def learn(
        self, network: keras.Model, x: Any, y: Any, sample_weight: Any
    ) -> tuple[Any, Any]:
        """Learn in each step, and return outputs and loss before it."""
        check_one_replica()  # compiled outside the strategy's scope
        self._check_inputs(x)
        check_targets(y, x, self.units[-1])
        rows = self._rows(x, y, self.teacher(y, sample_weight))
        rates, decay = self._rates_and_decay(
            network.optimizer.learning_rate, network.trainable_variables
        )
        if self.stateful:
            state, rows = self._carried_state(x, rows)
        else:
            state = self._at_rest(x)
        weights, state, outputs = run_steps(
            self.rule,
            self._weights(),
            state,
            rows,
            rates if network.trainable else None,
            decay,
        )
        self._assign(weights)
        if self.stateful:
            for variable, value in zip(
                self._state, keras.tree.flatten(state), strict=True
            ):
                variable.assign(value)
        network.optimizer.iterations.assign_add(1)
        outputs = _batch_first(outputs)
        return outputs, network.compute_loss(x, y, outputs, sample_weight)

    def teacher(self, y: Any, sample_weight: Any) -> Any:
        """1 where there is a teacher, `(batch, time, 1)`."""
        if sample_weight is not None:
            check_sample_weight(sample_weight, y)
            weight = ops.cast(sample_weight, self.dtype)
            return ops.reshape(weight, (*ops.shape(y)[:2], 1)) > 0
        draws = keras.random.uniform(
            (*ops.shape(y)[:2], 1), seed=self.seed_generator
        )
        return draws < self.teacher_probability

    def _rates_and_decay(
        self, learning_rate: Any, trainable_variables: list[keras.Variable]
    ) -> tuple[Rates, list[float]]:
        """Of each layer; 0 of what is frozen."""
        rate = ops.cast(learning_rate, self.dtype)
        trainable = [id(weight) for weight in trainable_variables]

        def learns(weight: keras.Variable) -> float:
            return float(id(weight) in trainable)

        rates = [
            (
                rate * factor * learns(layer.kernel),
                rate * factor * learns(layer.bias),
            )
            for layer, factor in zip(self.layers, self.factors, strict=True)
        ]
        decay = [
            self.weight_decay * learns(layer.kernel) for layer in self.layers
        ]
        return rates, decay

    def _run_free(self, parts: Sequence[tuple[Any, dict[str, Any]]]) -> Any:
        """Run from rest over one part of the time after another."""
        inputs = parts[0][0]
        self._check_inputs(inputs)
        state = self._at_rest(inputs)
        outputs = []
        for x, options in parts:
            nobody = ops.zeros((*ops.shape(x)[:2], 1), self.dtype)
            rows = self._rows(x, nobody, nobody)
            _, state, output = run_steps(
                self.rule, self._weights(), state, rows, **options
            )
            outputs.append(_batch_first(output))
        return ops.concatenate(outputs, axis=1)

    @property
    def _features(self) -> int:
        return self.layers[0].kernel.shape[0]

    @property
    def _rest(self) -> State:
        return self.rule.rest(self._features, self.units)

    def _at_rest(self, x: Any) -> State:
        return at_rest(self._rest, ops.shape(x)[0], self.dtype)

    def _check_inputs(self, x: Any) -> None:
        features, shape = self._features, tuple(x.shape)
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
            name: ops.transpose(ops.cast(values, self.dtype), (1, 0, 2))
            for name, values in rows.items()
        }
        rows["target"] = ops.where(rows["taught"] > 0, rows["target"], 0.0)
        return rows

    def _variables(self) -> tuple[Any, Any, Any]:
        return (
            [layer.kernel for layer in self.layers],
            [layer.bias for layer in self.layers],
            self.feedback_kernels,
        )

    def _weights(self) -> Weights:
        kernels, biases, feedback = (
            tuple(ops.convert_to_tensor(v) for v in variables)
            for variables in self._variables()
        )
        return Weights(kernels, biases, tuple(map(ops.transpose, feedback)))

    def _assign(self, weights: Weights) -> None:
        kernels, biases, feedback = self._variables()
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

    def _build_state(
        self, batch: int | None, add_weight: Callable[..., keras.Variable]
    ) -> None:
        if batch is None:
            raise ValueError(
                "`stateful=True` needs a fixed batch size: the state of one "
                "batch is where the next begins. Call the network on a batch, "
                "or build it with the whole shape. Received: a batch size of "
                "None"
            )
        self._state = [
            add_weight(
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
