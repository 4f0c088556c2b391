"""One classifier a seed and a fold, on one compiled model."""

import dataclasses
from collections.abc import Callable
from typing import Any

import keras
import numpy as np

from keras_seqattn._training.recipe import Recipe
from keras_seqattn._training.seeded_model import SeededModel
from keras_seqattn.activity.augmentation import make_augmentation
from keras_seqattn.activity.score import Score
from keras_seqattn.export.preprocessing import Preprocessing
from keras_seqattn.export.preprocessing_tag import PreprocessingTag
from keras_seqattn.windows.activity_windows import ActivityWindows
from keras_seqattn.windows.batches import WindowBatches
from keras_seqattn.windows.standardizer import Standardizer

# The recipe of `classify_recordings` and of the `defaults` of a search. From
# epoch to epoch, since folds have unequal numbers of steps.
RECIPE = Recipe(
    epochs=40, batch_size=64, learning_rate=3e-3, schedule="cosine_by_epoch"
)
# One shape of batch, one compilation, whatever the number of windows.
PREDICT_BATCH = 256


class TrainingPart:
    """Windows to train on, and others to watch on the scale of the first.

    Args:
        windows: An `ActivityWindows`.
        train: Indices of the training windows, which alone set the scale.
        watched: Indices of windows that are scored after each epoch.
    """

    def __init__(
        self,
        windows: ActivityWindows,
        train: np.ndarray,
        watched: np.ndarray | None = None,
    ) -> None:
        self.windows = windows
        self.train = train
        self.watched = watched
        self.standardizer = Standardizer.fit(windows.x[train], axis=(0, 1))

    def batches(self, recipe: Recipe, seed: int) -> dict[str, Any]:
        """Return the training batches, as arguments of `fit`."""
        classes = len(self.windows.classes)
        y = self.windows.y[self.train]
        return {
            "x": WindowBatches(
                self.windows.x[self.train],
                np.eye(classes, dtype="float32")[y],
                min(recipe.batch_size, len(self.train)),
                shuffle=True,
                seed=seed,
                standardizer=self.standardizer,
                augment=make_augmentation(recipe.augmentation),
                drop_remainder=True,
            ),
            "shuffle": False,
            "class_weight": recipe.class_weight(y, classes),
        }

    def inputs(self) -> np.ndarray:
        """Return the watched windows, standardized."""
        return self.standardizer.transform(self.windows.x[self.watched])

    def measure(self, outputs: np.ndarray) -> dict[str, float]:
        """Return the metrics of the probabilities of the watched windows."""
        y = self.windows.y[self.watched]
        score = Score.of(y, outputs.argmax(axis=1), outputs.shape[1])
        # A NaN stays one.
        likelihood = np.maximum(outputs[np.arange(len(y)), y], 1e-7)
        return {
            "val_loss": float(-np.log(likelihood).mean()),
            "val_accuracy": score.accuracy,
            "val_macro_f1": score.macro_f1,
        }

    def deploy(self, model: keras.Model, name: str) -> keras.Model:
        """Return a trained model that takes raw windows.

        The standardization is part of it, and a `PreprocessingTag`, which
        tells whoever has the model which signal it takes.
        """
        signal = keras.Input(model.input_shape[1:], name="signal")
        tag = PreprocessingTag(
            Preprocessing(
                mean=self.standardizer.mean,
                scale=self.standardizer.scale,
                in_model=True,
                timesteps=self.windows.x.shape[1],
                rate=self.windows.rate,
                signal_options=None
                if self.windows.signal_options is None
                else self.windows.signal_options.to_dict(),
                channels=self.windows.channels,
                classes=self.windows.classes,
            ),
            dtype="float32",
            name="preprocessing",
        )
        standardized = self.standardizer.layer("standardize")(tag(signal))
        return keras.Model(signal, model(standardized), name=name)


def classification_loss(recipe: Recipe) -> keras.losses.Loss:
    """Return the loss of class probabilities, for `compile`."""
    return keras.losses.CategoricalCrossentropy(
        label_smoothing=recipe.label_smoothing
    )


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
        # One shape of batch in all folds.
        self.recipe = dataclasses.replace(
            recipe, batch_size=min(recipe.batch_size, smallest)
        )
        self.smallest = smallest
        self.verbose = verbose
        self._build = build
        self._seeded: dict[int, SeededModel] = {}

    def build(self) -> keras.Model:
        """Return a new, uncompiled model."""
        return self._build(*self.windows.x.shape[1:], len(self.windows.classes))

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
        recipe = self.recipe
        part = TrainingPart(self.windows, train, watched)
        epochs = _Epochs(part, patience)
        seeded = self._model(len(train))
        history = seeded.fit(
            seed,
            **part.batches(recipe, seed),
            title=title,
            verbose=self.verbose,
            callbacks=[*recipe.callbacks(), epochs],
            epochs=recipe.epochs,
        )
        return TrainedClassifier(
            build=self.build,
            model=seeded.model,
            part=part,
            history=history,
            weights={"final": epochs.final, "best": epochs.best},
            best_epoch=epochs.best_epoch,
        )

    def _model(self, count: int) -> SeededModel:
        """Return the compiled model for so many training windows.

        One serves all, unless the schedule is one of so many steps.
        """
        recipe, windows = self.recipe, self.windows
        size = recipe.batch_size
        steps = (count if recipe.counts_steps else self.smallest) // size
        if steps not in self._seeded:
            classes = np.eye(len(windows.classes), dtype="float32")
            self._seeded[steps] = SeededModel(
                lambda: recipe.add_l2(self.build()),
                recipe.make_optimizer(steps),
                classification_loss(recipe),
                (windows.x[:size], classes[windows.y[:size]]),
                metrics=["accuracy"],
            )
        return self._seeded[steps]


@dataclasses.dataclass(frozen=True)
class TrainedClassifier:
    """A trained model at its final and at its best epoch."""

    build: Callable[[], keras.Model]
    model: keras.Model
    part: TrainingPart
    history: dict[str, list[float]]
    weights: dict[str, list[np.ndarray]]
    best_epoch: int

    def probabilities(self, some: np.ndarray, when: str) -> np.ndarray:
        """Recognize some windows, at the `"final"` or the `"best"` epoch."""
        self.model.set_weights(self.weights[when])
        x = self.part.standardizer.transform(self.part.windows.x[some])
        return predict(self.model, x)

    def deploy(self, name: str) -> keras.Model:
        """Return the model of the final epoch, which takes raw windows."""
        model = self.build()  # Without an optimizer.
        model.set_weights(self.weights["final"])
        return self.part.deploy(model, name)


def predict(model: keras.Model, x: np.ndarray) -> np.ndarray:
    """Return `model.predict`, with batches of one shape."""
    fill = np.repeat(x[:1], -len(x) % PREDICT_BATCH, axis=0)
    return model.predict(
        np.concatenate([x, fill]), batch_size=PREDICT_BATCH, verbose=0
    )[: len(x)]


class _Epochs(keras.callbacks.Callback):
    """Scores and keeps weights after each epoch."""

    def __init__(self, part: TrainingPart, patience: int | None) -> None:
        super().__init__()
        self.part = part
        self.x = None if part.watched is None else part.inputs()
        self.patience = patience
        self.best_rank: tuple[float, float] | None = None

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        self.final = self.model.get_weights()
        rank = (float(epoch), 0.0)
        if self.x is not None:
            logs.update(self.part.measure(predict(self.model, self.x)))
            rank = (logs["val_accuracy"], -logs["val_loss"])
        if self.best_rank is None or rank > self.best_rank:
            self.best_rank, self.best = rank, self.final
            self.best_epoch = epoch + 1
        elif self.patience and epoch + 1 - self.best_epoch >= self.patience:
            self.model.stop_training = True
