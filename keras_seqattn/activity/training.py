"""One classifier a seed and a fold, on one compiled model."""

import dataclasses
import math
from collections.abc import Callable
from typing import Any

import keras
import numpy as np

from keras_seqattn._checks import check_positive_integer
from keras_seqattn._checks import check_positive_number
from keras_seqattn._checks import check_rate
from keras_seqattn._training.seeded_model import SeededModel
from keras_seqattn._training.weight_averages import average_callbacks
from keras_seqattn._training.weight_averages import averaging
from keras_seqattn._training.weight_averages import check_momentum
from keras_seqattn.activity.score import Score
from keras_seqattn.windows.activity_windows import ActivityWindows
from keras_seqattn.windows.batches import Augment
from keras_seqattn.windows.batches import WindowBatches
from keras_seqattn.windows.standardizer import Standardizer

# One shape of batch, one compilation, whatever the number of windows.
PREDICT_BATCH = 256


@dataclasses.dataclass(frozen=True)
class Recipe:
    """How a classifier is trained.

    Adam, each weight's gradient clipped to norm 1, the learning rate falling
    to 0 along a cosine from epoch to epoch, cross-entropy.

    Args:
        epochs: Passes over the training windows.
        batch_size: Windows in a gradient step. The last, smaller batch of
            each pass is left out; the windows are shuffled anew each time.
        learning_rate: The learning rate of the first epoch.
        weight_decay: Decoupled weight decay (AdamW).
        label_smoothing: Share of the target spread over all classes.
        ema_momentum: If given, weights are averaged over the steps with this
            momentum, and scores and the final model use the averages.
            `"epoch"`: over about the steps of one epoch.
        augment: Optional function `augment(x, y, rng)` that returns a changed
            copy of a training batch: windows `(batch, timesteps, channels)`
            in their own units, labels `(batch, classes)` one-hot, and a NumPy
            generator.

    Raises:
        ValueError: A number out of range.
    """

    epochs: int = 40
    batch_size: int = 64
    learning_rate: float = 3e-3
    weight_decay: float = 0.0
    label_smoothing: float = 0.0
    ema_momentum: float | str | None = None
    augment: Augment | None = None

    def __post_init__(self) -> None:
        check_positive_integer("epochs", self.epochs)
        check_positive_integer("batch_size", self.batch_size)
        check_positive_number("learning_rate", self.learning_rate)
        check_rate("weight_decay", self.weight_decay)
        check_rate("label_smoothing", self.label_smoothing)
        check_momentum(self.ema_momentum)

    def to_dict(self) -> dict[str, Any]:
        """Return the settings, ready for JSON."""
        name = getattr(self.augment, "__name__", repr(self.augment))
        settings = {
            field.name: getattr(self, field.name)
            for field in dataclasses.fields(self)
        }
        return {**settings, "augment": name if self.augment else None}


class ActivityTrainer:
    """Trains a classifier once a seed and a fold, from raw windows.

    Args:
        windows: An `ActivityWindows`.
        build: Function `build(timesteps, channels, classes)` to an uncompiled
            model from standardized windows to class probabilities.
        recipe: A `Recipe`.
        smallest: Number of windows of the smallest training set.
        verbose: 0 is silent, 1 shows one progress bar a training.
    """

    def __init__(
        self,
        windows: ActivityWindows,
        build: Callable[..., keras.Model],
        recipe: Recipe,
        smallest: int,
        verbose: int,
    ) -> None:
        self.windows = windows
        self.recipe = recipe
        self.verbose = verbose
        self.batch_size = min(recipe.batch_size, smallest)
        self.targets = np.eye(len(windows.classes), dtype="float32")[windows.y]
        self.seeded = SeededModel(
            lambda: build(*windows.x.shape[1:], len(windows.classes)),
            keras.optimizers.Adam(
                recipe.learning_rate,
                weight_decay=recipe.weight_decay or None,
                clipnorm=1.0,
                **averaging(recipe.ema_momentum, smallest // self.batch_size),
            ),
            keras.losses.CategoricalCrossentropy(
                label_smoothing=recipe.label_smoothing
            ),
            (windows.x[: self.batch_size], self.targets[: self.batch_size]),
            metrics=["accuracy"],
        )

    def train(
        self,
        seed: int,
        train: np.ndarray,
        watched: np.ndarray | None = None,
        patience: int | None = None,
        title: str = "",
    ) -> "TrainedClassifier":
        """Train on some windows and watch others.

        Args:
            seed: Integer, what the training depends on.
            train: Indices of the training windows, which alone set the scale.
            watched: Indices of windows scored after each epoch. They choose
                the best epoch, and with `patience` when to stop.
            patience: Epochs without a better one before the training stops.
            title: What is trained, above the progress bar.
        """
        recipe, windows = self.recipe, self.windows
        standardizer = Standardizer.fit(windows.x[train], axis=(0, 1))
        batches = WindowBatches(
            windows.x[train],
            self.targets[train],
            self.batch_size,
            shuffle=True,
            seed=seed,
            standardizer=standardizer,
            augment=recipe.augment,
            drop_remainder=True,
        )
        epochs = _Epochs(
            None
            if watched is None
            else (
                standardizer.transform(windows.x[watched]),
                windows.y[watched],
            ),
            patience,
        )
        history = self.seeded.fit(
            seed,
            batches,
            title=title,
            verbose=self.verbose,
            callbacks=[
                keras.callbacks.LearningRateScheduler(
                    lambda epoch: (
                        recipe.learning_rate
                        * (1 + math.cos(math.pi * epoch / recipe.epochs))
                        / 2
                    )
                ),
                *average_callbacks(recipe.ema_momentum),
                epochs,
            ],
            epochs=recipe.epochs,
            shuffle=False,
        )
        return TrainedClassifier(
            model=self.seeded.model,
            standardizer=standardizer,
            history=history,
            weights={"final": epochs.final, "best": epochs.best},
            best_epoch=epochs.best_epoch,
        )


@dataclasses.dataclass(frozen=True)
class TrainedClassifier:
    """A trained model at its final and at its best epoch."""

    model: keras.Model
    standardizer: Standardizer
    history: dict[str, list[float]]
    weights: dict[str, list[np.ndarray]]
    best_epoch: int

    def score(
        self, windows: ActivityWindows, scored: np.ndarray, when: str
    ) -> Score:
        """Score on some windows, at the `"final"` or the `"best"` epoch."""
        self.model.set_weights(self.weights[when])
        x = self.standardizer.transform(windows.x[scored])
        return Score.of(
            windows.y[scored],
            predict(self.model, x).argmax(axis=1),
            len(windows.classes),
        )

    def deploy(self, name: str) -> keras.Model:
        """Return the model of the final epoch, which takes raw windows."""
        self.model.set_weights(self.weights["final"])
        signal = keras.Input(self.model.input_shape[1:], name="signal")
        standardized = self.standardizer.layer("standardize")(signal)
        return keras.Model(signal, self.model(standardized), name=name)


def predict(model: keras.Model, x: np.ndarray) -> np.ndarray:
    """Return `model.predict`, with batches of one shape."""
    fill = np.repeat(x[:1], -len(x) % PREDICT_BATCH, axis=0)
    return model.predict(
        np.concatenate([x, fill]), batch_size=PREDICT_BATCH, verbose=0
    )[: len(x)]


class _Epochs(keras.callbacks.Callback):
    """Scores and keeps weights after each epoch."""

    def __init__(
        self,
        watched: tuple[np.ndarray, np.ndarray] | None,
        patience: int | None,
    ) -> None:
        super().__init__()
        self.watched = watched
        self.patience = patience
        self.best_rank: tuple[float, float] | None = None

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        self.final = self.model.get_weights()
        rank = (float(epoch), 0.0)
        if self.watched is not None:
            x, y = self.watched
            probabilities = predict(self.model, x)
            likelihood = np.maximum(probabilities[np.arange(len(y)), y], 1e-7)
            logs["val_loss"] = float(-np.log(likelihood).mean())
            logs["val_accuracy"] = float(
                (probabilities.argmax(axis=1) == y).mean()
            )
            rank = (logs["val_accuracy"], -logs["val_loss"])
        if self.best_rank is None or rank > self.best_rank:
            self.best_rank, self.best = rank, self.final
            self.best_epoch = epoch + 1
        elif self.patience and epoch + 1 - self.best_epoch >= self.patience:
            self.model.stop_training = True
