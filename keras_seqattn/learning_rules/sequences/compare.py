"""Rules of learning in time, compared on one network and its sequences."""

import dataclasses
from collections.abc import Callable
from collections.abc import Iterable
from collections.abc import Mapping
from collections.abc import Sequence
from typing import Any
from typing import NamedTuple

import keras
import numpy as np
from keras import ops

from keras_seqattn._checks import check_choice
from keras_seqattn._checks import check_positive_integer
from keras_seqattn._checks import check_seeds
from keras_seqattn._training.epoch_bar import EpochBar
from keras_seqattn._training.markdown import markdown_table
from keras_seqattn._training.seeded_model import EndedInNaN
from keras_seqattn.learning_rules.search import FIRST_SEED
from keras_seqattn.learning_rules.search import Rates
from keras_seqattn.learning_rules.search import RateSearch
from keras_seqattn.models._burst_prop.rule import Change
from keras_seqattn.models._burst_prop.rule import Rule
from keras_seqattn.models._burst_prop.rule import State
from keras_seqattn.models._burst_prop.rule import Weights
from keras_seqattn.models._burst_prop.rule import layer_events
from keras_seqattn.models._burst_prop.rule import layers_rest
from keras_seqattn.models.burst_prop_network import BurstPropNetwork
from keras_seqattn.tasks.sinusoids import Sinusoids
from keras_seqattn.tasks.sinusoids import TaughtChunks
from keras_seqattn.tasks.xor_sequences import XorSequences


class TaughtSequences(NamedTuple):
    """Sequences to learn from, and to score on.

    Attributes:
        x_train: `(sequences, steps, features)`.
        y_train: `(sequences, steps, outputs)`, in [0, 1].
        x_test, y_test: The same, run from rest without a teacher.
        levels: Mean squared errors of simple predictors on the test part.
    """

    x_train: np.ndarray
    y_train: np.ndarray
    x_test: np.ndarray
    y_test: np.ndarray
    levels: Mapping[str, float] = {}


def draw_sinusoids(seed: int) -> TaughtSequences:
    """The sequence of `tasks.Sinusoids(seed=seed)`: can it be memorized?

    Nothing is held out. The test part is the same sequence, without a teacher.
    """
    task = Sinusoids(seed=seed)
    return TaughtSequences(
        *task.sample(), *task.sample(), task.reference_levels()
    )


def draw_xor_sequences(seed: int) -> TaughtSequences:
    """Fifty sequences of `tasks.XorSequences`, and a hundred for the test."""
    task = XorSequences(seed=seed)
    train = task.sample(50, seed=(seed, 0))
    test = task.sample(100, seed=(seed, 1))
    return TaughtSequences(*train, *test, task.reference_levels(train, test))


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


class SequenceMethod(NamedTuple):
    """A rule, and in which unit its learning rates are searched.

    As `Method`: in a unit of its own, 1 means for each rule as fast as
    gradient descent on half the sum of squares, to first order.
    """

    network: type[BurstPropNetwork] = BurstPropNetwork
    rate_unit: float = 1.0
    ratio_unit: float = 1.0
    trains_hidden: bool = True

    def sgd_rates(self, rates: Rates) -> Rates:
        """Return the rates as the optimizer has them."""
        return rates.times(self.rate_unit, self.ratio_unit * self.trains_hidden)


SEQUENCE_METHODS: dict[str, SequenceMethod] = {
    "backpropagation": SequenceMethod(SequenceBackpropagation),
    # Teacher strength 4 times burst probability 0.2; slope 1/4 on the way.
    "burstprop": SequenceMethod(rate_unit=1 / 0.8, ratio_unit=4.0),
    "feedback alignment": SequenceMethod(SequenceFeedbackAlignment),
    "output only": SequenceMethod(rate_unit=1 / 0.8, trains_hidden=False),
}
"""By name, in the order of the table; all from the same first weights."""


class SequenceResult(NamedTuple):
    """What one rule learned.

    Attributes:
        rates: The `Rates` that were taken, in the method's unit.
        sgd: These as the optimizer has them: the output layer's learning rate,
            and how much faster the hidden layers learn.
        while_learning: Mean squared error of the last epoch of each seed, of
            each step's output before it learns.
        free_run: That of the test part, without a teacher.
        histories: Keras' histories.
        model: The network of the last seed.
    """

    rates: Rates
    sgd: Rates
    while_learning: tuple[float, ...]
    free_run: tuple[float, ...]
    histories: tuple[dict[str, list[float]], ...]
    model: keras.Model


@dataclasses.dataclass(frozen=True)
class SequenceReport:
    """What `compare_on_sequences` found.

    Args:
        units: Widths of the network, from inputs to outputs.
        levels: Mean squared errors of simple predictors, one a seed, by name.
        results: A `SequenceResult` for each method, by name.
    """

    units: tuple[int, ...]
    levels: dict[str, tuple[float, ...]]
    results: dict[str, SequenceResult]

    def table(self) -> str:
        """Return the errors as a markdown table."""
        rows = [
            [name, "", _mean(values), "", ""]
            for name, values in self.levels.items()
        ]
        for name, result in self.results.items():
            rows.append(
                [
                    name,
                    _mean(result.while_learning),
                    _mean(result.free_run),
                    f"{result.sgd.output:.3g}",
                    f"{result.sgd.ratio:.3g}",
                ]
            )
        return markdown_table(
            [
                f"MSE, {'-'.join(map(str, self.units))}",
                "while learning",
                "free run",
                "learning rate",
                "ratio",
            ],
            rows,
        )

    def to_dict(self) -> dict[str, Any]:
        """Return all numbers, for JSON."""
        return {
            "units": list(self.units),
            "levels": {name: [*found] for name, found in self.levels.items()},
            "results": {
                name: {
                    "rates": result.rates._asdict(),
                    "sgd": result.sgd._asdict(),
                    "while_learning": [*result.while_learning],
                    "free_run": [*result.free_run],
                    "histories": [*result.histories],
                }
                for name, result in self.results.items()
            },
        }


def compare_on_sequences(
    draw: Callable[[int], TaughtSequences],
    hidden_units: Sequence[int] = (200,),
    *,
    methods: Iterable[str] = tuple(SEQUENCE_METHODS),
    search: RateSearch | None = None,
    seeds: Sequence[int] = (0, 1, 2),
    epochs: int = 40,
    chunk_steps: int = 1000,
    callbacks: Callable[
        [str, TaughtSequences], Sequence[keras.callbacks.Callback]
    ] = (lambda name, sequences: ()),
    verbose: int = 1,
) -> SequenceReport:
    """Train one network in time by several rules, each with its own rates.

    1. Each method tries the same rates, in its own unit, on sequences that no
       seed has. The lowest error of a free run wins.
    2. With these, each method is trained on the sequences of each seed, with a
       teacher in 5 % of the steps, and scored on the test part.

    Args:
        draw: Function of a seed to a `TaughtSequences`.
        hidden_units: Widths of the hidden layers.
        methods: Keys of `SEQUENCE_METHODS`.
        search: A `RateSearch`, of which each trial is one training: finalists
            and repeats are not used. Default: 8 trials, rates of 0.02 to 1,
            ratios of 0.5 to 16.
        seeds: Integers, one training each.
        epochs: Positive integer.
        chunk_steps: Steps that one batch has, a divisor of all.
        callbacks: Function of a method's name and its sequences to Keras
            callbacks of each last training.
        verbose: 0 is silent, 1 shows progress bars.

    Returns:
        A `SequenceReport`.

    Raises:
        ValueError: Arguments out of range, or every rate of a method ended in
            NaN.

    Example:
    ```python
    import keras_seqattn as ks
    from keras_seqattn import learning_rules as rules

    def draw(seed):
        task = ks.tasks.Sinusoids(inputs=20, steps=200, seed=seed)
        return rules.TaughtSequences(*task.sample(), *task.sample())

    report = rules.compare_on_sequences(
        draw,
        [8],
        methods=["burstprop"],
        search=rules.RateSearch(trials=1),
        seeds=[0],
        epochs=2,
        chunk_steps=200,
        verbose=0,
    )
    print(report.table().count("burstprop"))  # 1
    ```
    """
    methods = [check_choice("methods", m, SEQUENCE_METHODS) for m in methods]
    seeds = check_seeds(seeds)
    check_positive_integer("epochs", epochs)
    if search is None:
        search = RateSearch(trials=8, output=(0.02, 1.0), ratio=(0.5, 16.0))
    tuning = draw(FIRST_SEED)
    data = {seed: draw(seed) for seed in seeds}
    units = [
        *(check_positive_integer("hidden_units", n) for n in hidden_units),
        tuning.y_train.shape[-1],
    ]

    def train(
        name: str,
        rates: Rates,
        seed: int,
        sequences: TaughtSequences,
        **kwargs: Any,
    ) -> tuple[keras.Model, dict[str, list[float]], float]:
        model = _network(SEQUENCE_METHODS[name], units, rates, seed, sequences)
        chunks = TaughtChunks(
            sequences.x_train, sequences.y_train, chunk_steps, seed=seed
        )
        history = model.fit(
            chunks, epochs=epochs, shuffle=False, verbose=0, **kwargs
        ).history
        outputs = model.predict(sequences.x_test, verbose=0)
        error = np.mean((outputs - sequences.y_test) ** 2, dtype="float64")
        return model, history, float(error)

    results = {}
    for name in methods:
        bar = keras.utils.Progbar(
            len(search), unit_name="trial", verbose=verbose
        )
        if verbose:
            print(f"{name}, learning rates", flush=True)
        trials = []
        for rates in search:
            *_, error = train(name, rates, FIRST_SEED, tuning)
            trials.append((error if np.isfinite(error) else np.inf, rates))
            bar.add(1, [("error", error)])
        lowest, best = min(trials)
        if lowest == np.inf:
            raise ValueError(
                f"With every rate that was tried, {name} ended in NaN: lower "
                f"the range. Received: search={search}"
            )
        found = [
            train(
                name,
                best,
                seed,
                data[seed],
                callbacks=[
                    *callbacks(name, data[seed]),
                    *([EpochBar(f"{name}, seed {seed}")] if verbose else []),
                ],
            )
            for seed in seeds
        ]
        models, histories, errors = zip(*found, strict=True)
        if not np.isfinite(errors).all():
            raise EndedInNaN(
                f"{name} ended in NaN with the best rates of its search: lower "
                f"the range. Received: {best}, errors {errors} of seeds {seeds}"
            )
        results[name] = SequenceResult(
            rates=best,
            sgd=SEQUENCE_METHODS[name].sgd_rates(best),
            while_learning=tuple(history["mse"][-1] for history in histories),
            free_run=errors,
            histories=histories,
            model=models[-1],
        )
    return SequenceReport(
        units=(tuning.x_train.shape[-1], *units),
        levels={
            name: tuple(data[seed].levels[name] for seed in seeds)
            for name in tuning.levels
        },
        results=results,
    )


def _network(
    method: SequenceMethod,
    units: Sequence[int],
    rates: Rates,
    seed: int,
    sequences: TaughtSequences,
) -> BurstPropNetwork:
    """A compiled network; for a seed all methods have the same weights."""
    sgd = method.sgd_rates(rates)
    model = method.network(
        units,
        mode="temporal",
        stateful=True,
        learning_rate_multipliers=[sgd.ratio] * (len(units) - 1) + [1],
    )
    count, _, features = sequences.x_train.shape
    model.build((count, None, features))
    random = np.random.default_rng(seed)
    for layer in model.burst_layers:
        shape = layer.kernel.shape
        layer.kernel.assign(random.normal(0, (2 / sum(shape)) ** 0.5, shape))
    for kernel in model.feedback_kernels:
        kernel.assign(random.normal(size=kernel.shape))
    model.compile(keras.optimizers.SGD(sgd.output), "mse", metrics=["mse"])
    return model


def _mean(values: Sequence[float]) -> str:
    if len(values) == 1:
        return f"{values[0]:.5f}"
    return f"{np.mean(values):.5f} ± {np.std(values, ddof=1):.5f}"
