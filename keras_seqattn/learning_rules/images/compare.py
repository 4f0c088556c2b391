"""The whole comparison: search rates for each rule, train, score."""

from collections.abc import Callable
from collections.abc import Iterable
from collections.abc import Sequence

import keras
import numpy as np

from keras_seqattn._checks import check_choice
from keras_seqattn._checks import check_positive_integer
from keras_seqattn._checks import check_rate
from keras_seqattn._checks import check_seeds
from keras_seqattn._training.seeded_model import EndedInNaN
from keras_seqattn.learning_rules.images.baseline import logistic_error
from keras_seqattn.learning_rules.images.data import LabelledImages
from keras_seqattn.learning_rules.images.methods import METHODS
from keras_seqattn.learning_rules.images.report import LearningReport
from keras_seqattn.learning_rules.images.report import MethodResult
from keras_seqattn.learning_rules.images.report import Trial
from keras_seqattn.learning_rules.images.training import RuleTrainer
from keras_seqattn.learning_rules.search import FIRST_SEED
from keras_seqattn.learning_rules.search import Rates
from keras_seqattn.learning_rules.search import RateSearch


def compare_learning_rules(
    images: LabelledImages,
    hidden_units: Sequence[int] = (100, 100),
    *,
    methods: Iterable[str] = tuple(METHODS),
    search: RateSearch | None = None,
    seeds: Sequence[int] = (0, 1, 2, 3, 4),
    epochs: int = 40,
    batch_size: int = 32,
    momentum: float = 0.9,
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
        methods: Keys of `METHODS`.
        search: A `RateSearch`. Default: `RateSearch()`.
        seeds: Integers, one training each.
        epochs: Positive integer, of each training of both steps.
        batch_size: Positive integer.
        momentum: Number in [0, 1).
        callbacks: Function of a method's name to the Keras callbacks of each
            of its last trainings. What they add to an epoch's logs comes into
            the histories.
        verbose: 0 is silent, 1 shows progress bars.

    Returns:
        A `LearningReport`.

    Raises:
        ValueError: Arguments out of range; a final training ended in NaN.
        ImportError: scikit-learn, for the baseline, is not installed.

    Example:
    ```python
    import keras_seqattn.learning_rules as rules

    report = rules.compare_learning_rules(
        rules.load_digits(),
        hidden_units=[20],
        methods=["backpropagation", "burstprop"],
        search=rules.RateSearch(trials=1, repeats=0),
        seeds=[0],
        epochs=1,
        verbose=0,
    )
    print(report.table().count("burstprop"))  # 1
    ```
    """
    methods = [check_choice("methods", name, METHODS) for name in methods]
    seeds = check_seeds(seeds)
    search = RateSearch() if search is None else search
    check_positive_integer("epochs", epochs)
    check_positive_integer("batch_size", batch_size)
    check_rate("momentum", momentum)
    units = [
        *(check_positive_integer("hidden_units", n) for n in hidden_units),
        images.classes,
    ]
    # Before minutes of training, not after: it may be that it cannot run.
    baselines = {"chance": images.chance, "logistic": logistic_error(images)}
    tuning = images.hold_out()
    results = {}
    for name in methods:
        trainer = RuleTrainer(
            METHODS[name], images.pixels, units, epochs, batch_size, momentum
        )
        trials = _search(trainer, tuning, search, name, verbose)
        # Of the finalists: the others have one training to speak for them.
        best = min(
            (trial for trial in trials if len(trial.errors) > search.repeats),
            key=lambda trial: trial.score,
        )
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
        results[name] = MethodResult(
            trials=tuple(trials),
            best=best,
            sgd=trainer.sgd_rates(best.rates),
            test_errors=tuple(errors),
            histories=tuple(histories),
            model=trainer.trained_model(),
        )
    return LearningReport(
        name=images.name,
        units=(images.pixels, *units),
        images=(len(tuning.x_train), len(tuning.x_test), len(images.x_test)),
        settings={
            "seeds": list(seeds),
            "epochs": epochs,
            "batch_size": batch_size,
            "momentum": momentum,
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
) -> list[Trial]:
    """Try all rates once, then the best ones from other seeds."""
    total = len(search) + search.repeats * min(search.finalists, len(search))
    bar = keras.utils.Progbar(total, unit_name="trial", verbose=verbose)
    if verbose:
        print(f"{name}, learning rates", flush=True)

    def train(rates: Rates, seed: int) -> Trial:
        try:
            history = trainer.fit(
                rates,
                seed,
                tuning.x_train,
                tuning.y_train,
                (tuning.x_test, tuning.y_test),
                title=name,
            )
        except EndedInNaN:  # rates too high, and the trial is lost
            trial = Trial(rates, (1.0,), (np.inf,), ({},))
        else:
            error = trainer.error(tuning.x_test, tuning.y_test)
            mse = history["val_mse"][-1]
            trial = Trial(rates, (error,), (mse,), (history,))
        bar.add(1, [("error", trial.errors[0])])
        return trial

    first, *others = range(FIRST_SEED, FIRST_SEED + 1 + search.repeats)
    trials = sorted(
        (train(rates, first) for rates in search),
        key=lambda trial: trial.score,
    )
    for index, trial in enumerate(trials[: search.finalists]):
        runs = [trial, *(train(trial.rates, seed) for seed in others)]
        trials[index] = Trial(
            trial.rates,
            tuple(run.errors[0] for run in runs),
            tuple(run.mses[0] for run in runs),
            tuple(run.histories[0] for run in runs),
        )
    return trials
