"""The whole comparison: search rates for each rule, train, score."""

from collections.abc import Callable
from collections.abc import Iterable
from collections.abc import Sequence

import keras

from keras_seqattn._checks import check_choice
from keras_seqattn._checks import check_positive_integer
from keras_seqattn._checks import check_seeds
from keras_seqattn._training.recipe import Recipe
from keras_seqattn.learning_rules.images.baseline import logistic_error
from keras_seqattn.learning_rules.images.data import LabelledImages
from keras_seqattn.learning_rules.images.methods import METHODS
from keras_seqattn.learning_rules.images.report import LearningReport
from keras_seqattn.learning_rules.images.report import MethodResult
from keras_seqattn.learning_rules.images.training import RuleTrainer
from keras_seqattn.learning_rules.recipe import RECIPE
from keras_seqattn.learning_rules.recipe import check_recipe
from keras_seqattn.learning_rules.search import Rates
from keras_seqattn.learning_rules.search import RateSearch
from keras_seqattn.learning_rules.search import Run
from keras_seqattn.learning_rules.search import Trial
from keras_seqattn.learning_rules.search import search_rates


def compare_learning_rules(
    images: LabelledImages,
    hidden_units: Sequence[int] = (100, 100),
    recipe: Recipe = RECIPE,
    *,
    methods: Iterable[str] = tuple(METHODS),
    search: RateSearch | None = None,
    seeds: Sequence[int] = (0, 1, 2, 3, 4),
    callbacks: Callable[[str], Sequence[keras.callbacks.Callback]] = (
        lambda name: ()
    ),
    verbose: int = 1,
) -> LearningReport:
    """Train one network by several rules, each with rates of its own.

    1. A validation part is cut from the training images, and each method is
       given the same search on it: as many trainings, the same ranges in the
       method's units, the same first weights. The lowest mean error wins, and
       among equals the lowest squared error.
    2. With the best rates, each method is trained from each seed on all
       training images, and scored once on the test images.

    Networks of all methods start from the same weights for a seed, and see the
    images in the same order. The test images take no part in any choice.

    Args:
        images: A `LabelledImages`.
        hidden_units: Widths of the hidden layers.
        recipe: A `Recipe` for each training of both steps: its `epochs`,
            `batch_size` and `momentum` may differ from `RECIPE`.
        methods: Keys of `METHODS`.
        search: A `RateSearch`. Default: `RateSearch()`.
        seeds: Integers, one training each.
        callbacks: Function of a method's name to the Keras callbacks of each
            of its last trainings. What they add to an epoch's logs comes into
            the histories.
        verbose: 0 is silent, 1 shows progress bars.

    Returns:
        A `LearningReport`.

    Raises:
        ValueError: Arguments out of range; every rate of a method, or a final
            training, ended in NaN.
        ImportError: scikit-learn, for the baseline, is not installed.

    Example:
    ```python
    import dataclasses
    import keras_seqattn.learning_rules as rules

    report = rules.compare_learning_rules(
        rules.load_digits(),
        hidden_units=[20],
        recipe=dataclasses.replace(rules.RECIPE, epochs=1),
        methods=["backpropagation", "burstprop"],
        search=rules.RateSearch(trials=1, repeats=0),
        seeds=[0],
        verbose=0,
    )
    print(report.table().count("burstprop"))  # 1
    ```
    """
    methods = [check_choice("methods", name, METHODS) for name in methods]
    seeds = check_seeds(seeds)
    search = RateSearch() if search is None else search
    check_recipe(recipe, RECIPE, ("epochs", "batch_size", "momentum"))
    units = [
        *(check_positive_integer("hidden_units", n) for n in hidden_units),
        images.classes,
    ]
    # Before minutes of training, not after: it may be that it cannot run.
    baselines = {"chance": images.chance, "logistic": logistic_error(images)}
    tuning = images.hold_out()
    results = {}
    for name in methods:
        trainer = RuleTrainer(METHODS[name], images.pixels, units, recipe)
        trials, best = _search(trainer, tuning, search, name, verbose)
        results[name] = _result(
            trainer, trials, best, images, name, seeds, callbacks, verbose
        )
    return LearningReport(
        name=images.name,
        units=(images.pixels, *units),
        images=(len(tuning.x_train), len(tuning.x_test), len(images.x_test)),
        settings={
            "seeds": list(seeds),
            "epochs": recipe.epochs,
            "batch_size": recipe.batch_size,
            "momentum": recipe.momentum,
        },
        search=search,
        baselines=baselines,
        results=results,
    )


def _search(
    trainer: RuleTrainer,
    tuning: LabelledImages,
    search: RateSearch,
    name: str,
    verbose: int,
) -> tuple[list[Trial], Trial]:
    """Search a method's rates: all trials, and the best."""

    def train(rates: Rates, seed: int) -> Run:
        history = trainer.fit(
            rates,
            seed,
            tuning.x_train,
            tuning.y_train,
            (tuning.x_test, tuning.y_test),
            title=name,
        )
        error = trainer.error(tuning.x_test, tuning.y_test)
        return Run(error, history["val_mse"][-1], history)

    return search_rates(name, search, train, 1.0, verbose)


def _result(
    trainer: RuleTrainer,
    trials: Sequence[Trial],
    best: Trial,
    images: LabelledImages,
    name: str,
    seeds: Sequence[int],
    callbacks: Callable[[str], Sequence[keras.callbacks.Callback]],
    verbose: int,
) -> MethodResult:
    """Train a method with its best rates, from each seed."""
    histories, errors = [], []
    for seed in seeds:
        histories.append(
            trainer.fit(
                best.rates,
                seed,
                images.x_train,
                images.y_train,
                title=f"{name}, seed {seed}",
                callbacks=callbacks(name),
                verbose=verbose,
            )
        )
        errors.append(trainer.error(images.x_test, images.y_test))
    return MethodResult(
        trials=tuple(trials),
        best=best,
        sgd=trainer.sgd_rates(best.rates),
        test_errors=tuple(errors),
        histories=tuple(histories),
        model=trainer.trained_model(),
    )
