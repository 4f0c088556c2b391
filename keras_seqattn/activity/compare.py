"""The whole comparison over folds."""

import functools
from collections.abc import Callable
from collections.abc import Sequence

import keras
import numpy as np

from keras_seqattn._checks import check_seeds
from keras_seqattn._training.recipe import Recipe
from keras_seqattn.activity.augmentation import make_augmentation
from keras_seqattn.activity.baselines import import_linear_model
from keras_seqattn.activity.baselines import logistic_baseline
from keras_seqattn.activity.baselines import majority_baseline
from keras_seqattn.activity.fold_result import FoldResult
from keras_seqattn.activity.report import ActivityReport
from keras_seqattn.activity.score import Score
from keras_seqattn.activity.training import RECIPE
from keras_seqattn.activity.training import ActivityTrainer
from keras_seqattn.windows.activity_windows import ActivityWindows
from keras_seqattn.windows.activity_windows import subject_folds

# Indices of the windows that train, are watched and are scored.
Part = tuple[np.ndarray, np.ndarray, np.ndarray]

_BASELINES: dict[str, Callable[..., Score]] = {
    "most frequent class": majority_baseline,
    "logistic regression, samples": logistic_baseline,
    "logistic regression, statistics": functools.partial(
        logistic_baseline, features="statistics"
    ),
}


def classify_recordings(
    windows: ActivityWindows,
    build: Callable[..., keras.Model],
    recipe: Recipe | None = None,
    *,
    cells: Sequence[str] = ("larnn", "lstm"),
    folds: int = 5,
    seeds: Sequence[int] = (0, 1, 2),
    verbose: int = 1,
) -> ActivityReport:
    """Train classifiers on some subjects, score them on others, compare.

    Each fold's subjects are scored by classifiers trained on the others, one
    a cell and a seed, beside the most frequent class and logistic
    regression. Training windows alone set the scale of the channels.

    If the recipe has no `patience`, all other subjects train, for all epochs:
    the way `train_final` trains. The final epoch is the score to quote; the
    best epoch is chosen on the scored subjects and flatters. If it has one,
    the subjects of the next fold do not train but choose the epoch: both
    scores are then on subjects that chose nothing. (The baselines, which
    choose nothing, train on these subjects too.)

    Args:
        windows: An `ActivityWindows`.
        build: Function `build(timesteps, channels, classes, cell=...)` to an
            uncompiled model from windows to class probabilities, such as
            `functools.partial` of `build_activity_classifier`.
        recipe: A `Recipe`, such as one that a search has found. Its
            `patience` is epochs without a higher validation accuracy (of
            equals a lower loss) before a training stops, and needs three
            folds. Default: `activity.RECIPE`: 40 epochs of batches of 64,
            Adam from 3e-3 along a cosine, no patience. The last, smaller
            batch of an epoch is left out.
        cells: Values of `cell`, one classifier each.
        folds: Number of folds by subject.
        seeds: Integers, one classifier each. Three or more for any claim.
        verbose: 0 is silent, 1 shows one progress bar a training.

    Returns:
        An `ActivityReport`.

    Raises:
        ValueError: Arguments out of range, or a training that ended in NaN.
        ImportError: scikit-learn is not installed.

    Example:
    ```python
    import keras
    import numpy as np
    from keras_seqattn.activity import ActivityWindows
    from keras_seqattn.activity import Recipe
    from keras_seqattn.activity import classify_recordings

    rng = np.random.default_rng(0)
    y = np.arange(120) % 2
    windows = ActivityWindows(
        x=rng.normal(size=(120, 10, 3)) + 2 * y[:, None, None],
        y=y,
        subject=np.arange(120) // 20,
        classes=("REST", "WALK"),
        channels=("x", "y", "z"),
        rate=50,
    )

    def build(timesteps, channels, classes, cell):
        return keras.Sequential(
            [
                keras.Input((timesteps, channels)),
                keras.layers.GRU(4),
                keras.layers.Dense(classes, "softmax"),
            ]
        )

    report = classify_recordings(
        windows,
        build,
        Recipe(epochs=3, batch_size=16, learning_rate=0.05),
        cells=("gru",),
        folds=3,
        seeds=(0,),
        verbose=0,
    )
    print(report.scores("gru")[0].accuracy > 0.9)  # True
    ```
    """
    recipe = RECIPE if recipe is None else recipe
    seeds = check_seeds(seeds)
    if not cells or len(set(cells)) != len(cells):
        raise ValueError(
            "`cells` must name at least one, and none twice. "
            f"Received: cells={cells}"
        )
    # Before a training, not in it, nor after it.
    import_linear_model()
    make_augmentation(recipe.augmentation)
    recipe.class_weight(windows.y, len(windows.classes))
    split = subject_folds(windows.subject, folds)
    parts = _parts(split, recipe.patience)
    results, parameters = {}, {}
    for cell in cells:
        trainer = ActivityTrainer(
            windows,
            functools.partial(build, cell=cell),
            recipe,
            smallest=min(len(train) for train, _, _ in parts),
            verbose=verbose,
        )
        parameters[cell] = trainer.build().count_params()
        results[cell] = tuple(
            tuple(
                _fold_result(
                    trainer,
                    seed,
                    part,
                    f"{cell}, seed {seed}, fold {number + 1} of {folds}",
                )
                for number, part in enumerate(parts)
            )
            for seed in seeds
        )
    return ActivityReport(
        settings={
            **recipe.to_dict(),
            "cells": list(cells),
            "seeds": list(seeds),
            "windows": list(windows.x.shape),
            "backend": keras.backend.backend(),
        },
        classes=windows.classes,
        y=windows.y,
        subject=windows.subject,
        folds=tuple(
            tuple(np.unique(windows.subject[own]).tolist()) for _, own in split
        ),
        results=results,
        baselines={
            name: tuple(baseline(windows, train, own) for train, own in split)
            for name, baseline in _BASELINES.items()
        },
        parameters=parameters,
        chosen_by_validation=recipe.patience is not None,
    )


def _parts(
    split: Sequence[tuple[np.ndarray, np.ndarray]], patience: int | None
) -> list[Part]:
    """Return for each fold who trains, who is watched, who is scored."""
    if patience is None:
        return [(others, own, own) for others, own in split]
    if len(split) < 3:
        raise ValueError(
            "With `patience` there must be three folds or more, to train, "
            f"to choose the epoch and to score. Received: folds={len(split)}"
        )
    following = [own for _, own in [*split[1:], split[0]]]
    return [
        (np.setdiff1d(others, watched), watched, own)
        for (others, own), watched in zip(split, following, strict=True)
    ]


def _fold_result(
    trainer: ActivityTrainer, seed: int, part: Part, title: str
) -> FoldResult:
    train, watched, scored = part
    patience = trainer.recipe.patience
    trained = trainer.train(seed, train, watched, patience, title)
    final, best = (
        trained.probabilities(scored, when) for when in ("final", "best")
    )
    y, classes = trainer.windows.y[scored], final.shape[1]
    return FoldResult(
        final=Score.of(y, final.argmax(axis=1), classes),
        best=Score.of(y, best.argmax(axis=1), classes),
        probabilities=final,
        best_epoch=trained.best_epoch,
        history={
            name: [float(value) for value in values]
            for name, values in trained.history.items()
        },
    )
