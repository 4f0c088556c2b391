"""The whole comparison in time: search rates for each rule, train, score."""

from collections.abc import Callable
from collections.abc import Iterable
from collections.abc import Mapping
from collections.abc import Sequence
from typing import NamedTuple

import keras
import numpy as np

from keras_seqattn._checks import check_choice
from keras_seqattn._checks import check_positive_integer
from keras_seqattn._checks import check_seeds
from keras_seqattn._training.epoch_bar import EpochBar
from keras_seqattn._training.recipe import Recipe
from keras_seqattn._training.seeded_model import EndedInNaN
from keras_seqattn.learning_rules.recipe import SEQUENCE_RECIPE
from keras_seqattn.learning_rules.recipe import check_recipe
from keras_seqattn.learning_rules.search import FIRST_SEED
from keras_seqattn.learning_rules.search import Rates
from keras_seqattn.learning_rules.search import RateSearch
from keras_seqattn.learning_rules.search import Run
from keras_seqattn.learning_rules.search import Trial
from keras_seqattn.learning_rules.search import search_rates
from keras_seqattn.learning_rules.sequences.data import TaughtSequences
from keras_seqattn.learning_rules.sequences.methods import SEQUENCE_METHODS
from keras_seqattn.learning_rules.sequences.methods import SequenceMethod
from keras_seqattn.learning_rules.sequences.report import SequenceReport
from keras_seqattn.learning_rules.sequences.report import SequenceResult
from keras_seqattn.tasks.sinusoids import TaughtChunks


def compare_on_sequences(
    draw: Callable[[int], TaughtSequences],
    hidden_units: Sequence[int] = (200,),
    recipe: Recipe = SEQUENCE_RECIPE,
    *,
    methods: Iterable[str] = tuple(SEQUENCE_METHODS),
    search: RateSearch | None = None,
    seeds: Sequence[int] = (0, 1, 2),
    chunk_steps: int = 1000,
    callbacks: Callable[
        [str, TaughtSequences], Sequence[keras.callbacks.Callback]
    ] = (lambda name, sequences: ()),
    verbose: int = 1,
) -> SequenceReport:
    """Train one network in time by several rules, each with its own rates.

    1. Each method is given the same search, in its own unit, on sequences that
       no seed has. The lowest mean error of a free run wins.
    2. With these, each method is trained on the sequences of each seed, with a
       teacher in 5 % of the steps, and scored on the test part.

    Args:
        draw: Function of a seed to a `TaughtSequences`.
        hidden_units: Widths of the hidden layers.
        recipe: A `Recipe`: its `epochs` may differ from `SEQUENCE_RECIPE`.
        methods: Keys of `SEQUENCE_METHODS`.
        search: A `RateSearch`. Default: 8 trials, each of them one training
            (`repeats=0`), rates of 0.02 to 1, ratios of 0.5 to 16.
        seeds: Integers, one training each.
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
    import dataclasses
    import keras_seqattn as ks
    from keras_seqattn import learning_rules as rules

    def draw(seed):
        task = ks.tasks.Sinusoids(inputs=20, steps=200, seed=seed)
        return rules.TaughtSequences(*task.sample(), *task.sample())

    report = rules.compare_on_sequences(
        draw,
        [8],
        dataclasses.replace(rules.SEQUENCE_RECIPE, epochs=2),
        methods=["burstprop"],
        search=rules.RateSearch(trials=1, repeats=0),
        seeds=[0],
        chunk_steps=200,
        verbose=0,
    )
    print(report.table().count("burstprop"))  # 1
    ```
    """
    methods = [check_choice("methods", m, SEQUENCE_METHODS) for m in methods]
    seeds = check_seeds(seeds)
    check_recipe(recipe, SEQUENCE_RECIPE, ("epochs",))
    if search is None:
        search = RateSearch(
            trials=8, repeats=0, output=(0.02, 1.0), ratio=(0.5, 16.0)
        )
    tuning = {seed: draw(seed) for seed in search.seeds}
    data = {seed: draw(seed) for seed in seeds}
    first = tuning[FIRST_SEED]
    units = [
        *(check_positive_integer("hidden_units", n) for n in hidden_units),
        first.y_train.shape[-1],
    ]
    results = {}
    for name in methods:
        trainer = _Trainer(
            SEQUENCE_METHODS[name], units, recipe.epochs, chunk_steps
        )
        best = _search(trainer, tuning, search, name, verbose)
        results[name] = _result(
            trainer, best.rates, data, name, callbacks, verbose
        )
    return SequenceReport(
        units=(first.x_train.shape[-1], *units),
        levels={
            name: tuple(data[seed].levels[name] for seed in seeds)
            for name in first.levels
        },
        results=results,
    )


class _Trainer(NamedTuple):
    """Trains a network by one rule, at many rates and on many sequences."""

    method: SequenceMethod
    units: list[int]
    epochs: int
    chunk_steps: int

    def fit(
        self,
        rates: Rates,
        seed: int,
        sequences: TaughtSequences,
        callbacks: Sequence[keras.callbacks.Callback] = (),
    ) -> tuple[keras.Model, dict[str, list[float]], float]:
        """Return the network, Keras' history and the error of a free run."""
        model = self.method.build(
            self.units, rates, seed, sequences.x_train.shape
        )
        chunks = TaughtChunks(
            sequences.x_train, sequences.y_train, self.chunk_steps, seed=seed
        )
        history = model.fit(
            chunks,
            epochs=self.epochs,
            shuffle=False,
            verbose=0,
            callbacks=list(callbacks),
        ).history
        outputs = model.predict(sequences.x_test, verbose=0)
        error = np.mean((outputs - sequences.y_test) ** 2, dtype="float64")
        return model, history, float(error)


def _search(
    trainer: _Trainer,
    tuning: Mapping[int, TaughtSequences],
    search: RateSearch,
    name: str,
    verbose: int,
) -> Trial:
    """Search a method's rates, and return the best."""

    def train(rates: Rates, seed: int) -> Run:
        _, history, error = trainer.fit(rates, seed, tuning[seed])
        if not np.isfinite(error):
            raise EndedInNaN(f"{name} ended in NaN. Received: {rates}")
        return Run(error, error, history)

    # Outputs may lie anywhere, if targets do: no error is the largest.
    _, best = search_rates(name, search, train, np.inf, verbose)
    return best


def _result(
    trainer: _Trainer,
    rates: Rates,
    data: Mapping[int, TaughtSequences],
    name: str,
    callbacks: Callable[
        [str, TaughtSequences], Sequence[keras.callbacks.Callback]
    ],
    verbose: int,
) -> SequenceResult:
    """Train a method with its best rates, on the sequences of each seed."""
    found = [
        trainer.fit(
            rates,
            seed,
            sequences,
            [
                *callbacks(name, sequences),
                *([EpochBar(f"{name}, seed {seed}")] if verbose else []),
            ],
        )
        for seed, sequences in data.items()
    ]
    models, histories, errors = zip(*found, strict=True)
    if not np.isfinite(errors).all():
        raise EndedInNaN(
            f"{name} ended in NaN with the best rates of its search: lower "
            f"the range. Received: {rates}, errors {errors} of seeds "
            f"{tuple(data)}"
        )
    return SequenceResult(
        rates=rates,
        sgd=trainer.method.sgd_rates(rates),
        while_learning=tuple(history["mse"][-1] for history in histories),
        free_run=errors,
        histories=histories,
        model=models[-1],
    )
