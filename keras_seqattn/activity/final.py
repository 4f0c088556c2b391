"""The final classifier: trained on all subjects, scored on others."""

import functools
from collections.abc import Callable
from typing import Any

import keras
import numpy as np

from keras_seqattn._training.recipe import Recipe
from keras_seqattn.activity.score import Score
from keras_seqattn.activity.training import RECIPE
from keras_seqattn.activity.training import ActivityTrainer
from keras_seqattn.activity.training import predict
from keras_seqattn.export.preprocessing_tag import preprocessing_of
from keras_seqattn.windows.activity_windows import ActivityWindows


def train_final(
    windows: ActivityWindows,
    build: Callable[..., keras.Model],
    recipe: Recipe | None = None,
    *,
    cell: str = "larnn",
    seed: int = 0,
    verbose: int = 1,
) -> keras.Model:
    """Train one classifier on all subjects, for all epochs.

    Args:
        windows: An `ActivityWindows`.
        build: As for `classify_recordings`.
        recipe: A `Recipe`, whose `patience` waits for nothing here. Default:
            `activity.RECIPE`.
        cell: The recurrent layer, handed to `build` as `cell`: `"larnn"`,
            `"lstm"` or `"gru"` for `models.build_activity_classifier`.
        seed: Integer, what the training depends on.
        verbose: 0 is silent, 1 shows a progress bar.

    Returns:
        A `keras.Model` from raw windows `(batch, timesteps, channels)` to
        class probabilities `(batch, classes)`. The standardization is part
        of it, and what `predict_recording` asks for: the names of classes and
        channels, the rate, the length of a window. All of it is in its
        `.keras` file and in what is exported from it.

    Raises:
        ValueError: A training that ended in NaN.
    """
    trainer = ActivityTrainer(
        windows,
        functools.partial(build, cell=cell),
        RECIPE if recipe is None else recipe,
        smallest=len(windows.x),
        verbose=verbose,
    )
    everything = np.arange(len(windows.x))
    return trainer.train(
        seed, everything, title=f"{cell}, all subjects, seed {seed}"
    ).deploy(f"activity_{cell}")


def score_model(
    model: keras.Model,
    windows: ActivityWindows,
    trained_on: ActivityWindows | None = None,
) -> Score:
    """Score a model that takes raw windows, as `train_final` returns.

    Args:
        model: A `keras.Model` from raw windows to class probabilities.
        windows: The windows to score.
        trained_on: The windows it was trained on, to compare with.

    Raises:
        ValueError: Classes, channels, rate or length of the windows are not
            those that the model was trained on, as far as it says, nor those
            of `trained_on`; or a subject is in both.
    """
    said = preprocessing_of(model)
    if said is not None:
        _check_same(
            windows,
            classes=said.classes,
            channels=said.channels,
            rate=said.rate,
            length=said.timesteps,
        )
    if trained_on is not None:
        _check_comparable(trained_on, windows)
    predicted = predict(model, windows.x).argmax(axis=1)
    return Score.of(windows.y, predicted, len(windows.classes))


def _check_same(windows: ActivityWindows, **trained_on: Any) -> None:
    """Raise where windows are not as they must be. `None` says nothing."""
    have = {
        "classes": windows.classes,
        "channels": windows.channels,
        "rate": windows.rate,
        "length": windows.x.shape[1],
    }
    for name, want in trained_on.items():
        if want is not None and have[name] != want:
            raise ValueError(
                f"The windows to score must have the {name} of those trained "
                f"on, {want}. Received: {have[name]}"
            )


def _check_comparable(train: ActivityWindows, test: ActivityWindows) -> None:
    _check_same(
        test,
        classes=train.classes,
        channels=train.channels,
        rate=train.rate,
        length=train.x.shape[1],
    )
    shared = np.intersect1d(train.subject, test.subject)
    if len(shared):
        raise ValueError(
            "No subject may be trained on and scored. Received: the subjects "
            f"{shared.tolist()} in both"
        )
