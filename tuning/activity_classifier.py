"""Search for a better activity classifier.

    python -m tuning.activity_classifier --data "UCI HAR Dataset"

Validation is by subject: the people of one fold of five are not trained on.
Of UCI HAR's folder the training part alone is read.
"""

import dataclasses
import functools
import math
from typing import Any
from typing import ClassVar

import keras
import keras_tuner
import numpy as np

from keras_seqattn.activity import RECIPE
from keras_seqattn.activity import ActivityWindows
from keras_seqattn.activity import Recipe
from keras_seqattn.activity import load_recordings
from keras_seqattn.activity import subject_folds
from keras_seqattn.activity.training import TrainingPart
from keras_seqattn.activity.training import classification_loss
from keras_seqattn.models import build_activity_classifier
from tuning.directory import SearchError
from tuning.hypermodel import Configuration
from tuning.hypermodel import Space
from tuning.hypermodel import StemHyperModel
from tuning.training import searched_training

EPOCHS = 20


def defaults(hp: keras_tuner.HyperParameters) -> Configuration:
    """The builder's own settings, trained as `classify_recordings` trains."""
    return Configuration({}, RECIPE)


def modern(hp: keras_tuner.HyperParameters) -> Configuration:
    """The whole model and its training."""
    # All head counts divide all widths.
    units = hp.Int("units", 32, 128, step=16, default=64)
    stem = (hp.Choice("stem_filters", [32, 64, 96], default=64),)
    stem *= hp.Choice("stem_layers", [1, 2, 3], default=2)
    training = searched_training(hp, (3e-4, 1e-2), [32, 64, 128])
    return Configuration(
        model={
            "units": units,
            "num_heads": hp.Choice("num_heads", [1, 2, 4, 8, 16], default=8),
            "window_size": hp.Int("window_size", 4, 32, default=10),
            "num_layers": hp.Choice("num_layers", [1, 2]),
            "residual": hp.Boolean("residual"),
            "use_positional_encoding": hp.Boolean(
                "use_positional_encoding", default=True
            ),
            "key_value_activation": _or_none(
                hp.Choice("key_value_activation", ["elu", "none"])
            ),
            "normalization": _or_none(
                hp.Choice("normalization", ["none", "layer"])
            ),
            "stem_filters": stem,
            "stem_kernel_size": hp.Choice(
                "stem_kernel_size", [3, 5, 7, 9], default=5
            ),
            "compression": hp.Choice(
                "compression", [0.0, 10.0, 20.0, 40.0], default=20.0
            )
            or None,
            "pooling": hp.Choice("pooling", ["last", "attention"]),
            "dropout": hp.Float("dropout", 0.0, 0.6, default=0.3),
            "recurrent_dropout": hp.Float("recurrent_dropout", 0.0, 0.3),
            "attention_dropout": hp.Float("attention_dropout", 0.0, 0.3),
        },
        training=Recipe(
            epochs=EPOCHS,
            **training,
            label_smoothing=hp.Float("label_smoothing", 0.0, 0.2),
            augmentation={
                "name": "rotate_and_scale",
                "degrees": hp.Float("degrees", 1.0, 40.0, default=15.0),
                "scale": hp.Float("scale", 0.01, 0.2, default=0.1),
            },
        ),
    )


def original(
    hp: keras_tuner.HyperParameters,
    *,
    rate: tuple[float, float],
    stairs: tuple[int, int],
    l2: tuple[float, float],
    hidden: tuple[float, float],
    heads: tuple[int, int],
    window: tuple[int, int],
    later: bool,
    epochs: int,
) -> Configuration:
    """The original's search, in one of its two rounds.

    Pairs of numbers: a middle and a deviation of the logarithm, or a range.
    Its third choice, how attention joins the gates, is not in the layer: the
    mode that its best results have is what there is.

    Reference: [Chevalier, arXiv:1808.05578](
    https://arxiv.org/abs/1808.05578). There, epochs were chosen on the test
    set.
    """

    def log_range(name: str, middle: float, deviation: float) -> float:
        low, high = (middle * math.exp(d) for d in (-deviation, deviation))
        return hp.Float(name, low, high, sampling="log", default=middle)

    num_heads = hp.Int("num_heads", *heads)
    # The original's rounding: its heads divide its units.
    units = max(round(log_range("hidden", *hidden) / num_heads), 1) * num_heads
    return Configuration(
        model={
            "units": units,
            "projection_units": units,
            "num_heads": num_heads,
            "window_size": hp.Int("window_size", *window),
            "num_layers": 3 if later else hp.Choice("num_layers", [2, 3]),
            "residual": later or hp.Boolean("residual"),
            "use_positional_encoding": hp.Boolean("use_positional_encoding"),
            "key_value_activation": "elu"
            if later
            else _or_none(hp.Choice("key_value_activation", ["elu", "none"])),
            "normalization": "batch",
            "stem_filters": (),
            "compression": None,
            "dropout": 0.0,
            "recurrent_dropout": hp.Float("recurrent_dropout", 0.05, 0.5),
            "attention_dropout": 0.1,
        },
        training=Recipe(
            epochs=epochs,
            batch_size=256,
            learning_rate=log_range("learning_rate", *rate),
            schedule="staircase",
            stair_epochs=hp.Int("stair_epochs", *stairs),
            l2=log_range("l2", *l2),
            clipnorm=None,
        ),
    )


class ActivityHyperModel(StemHyperModel):
    """`build_activity_classifier`, and how it is trained."""

    objective = keras_tuner.Objective("val_accuracy", "max")
    folds = 5
    spaces: ClassVar[dict[str, Space]] = {
        "modern": modern,
        "defaults": defaults,
        "round_1": functools.partial(
            original,
            rate=(0.005, 0.5),
            stairs=(3, 10),
            l2=(0.005, 1.3),
            hidden=(64, 0.6),
            heads=(6, 36),
            window=(10, 50),
            later=False,
            epochs=25,
        ),
        "round_2": functools.partial(
            original,
            rate=(0.006, 0.4),
            stairs=(6, 50),
            l2=(0.002, 1.3),
            hidden=(68, 0.3),
            heads=(20, 40),
            window=(25, 100),
            later=True,
            epochs=100,
        ),
    }

    @functools.cached_property
    def windows(self) -> ActivityWindows:
        return load_recordings(self.data, part="train")

    @functools.cached_property
    def parts(self) -> tuple[np.ndarray, np.ndarray]:
        """Indices that train, and that validate."""
        subjects = len(np.unique(self.windows.subject))
        folds = subject_folds(self.windows.subject, min(self.folds, subjects))
        if self.fold >= len(folds):
            raise SearchError(
                f"There are {subjects} subjects, so the folds are 0 .. "
                f"{len(folds) - 1}. Received: fold {self.fold}"
            )
        return folds[self.fold]

    @functools.cached_property
    def part(self) -> TrainingPart:
        return TrainingPart(self.windows, *self.parts)

    def recipe(self, configuration: Configuration) -> Recipe:
        recipe = configuration.training
        name = (recipe.augmentation or {}).get("name")
        # Channels that are no triads of axes cannot turn.
        if name == "rotate_and_scale" and self.windows.x.shape[2] % 3:
            return dataclasses.replace(recipe, augmentation=None)
        return recipe

    def build_model(self, configuration: Configuration) -> keras.Model:
        _, timesteps, channels = self.windows.x.shape
        return build_activity_classifier(
            timesteps,
            channels,
            len(self.windows.classes),
            **configuration.model,
        )

    def batches(
        self, configuration: Configuration, seed: int
    ) -> dict[str, Any]:
        return self.part.batches(self.recipe(configuration), seed)

    def validation(self, configuration: Configuration) -> np.ndarray:
        return self.part.inputs()

    def measure(self, outputs: np.ndarray) -> dict[str, float]:
        return self.part.measure(outputs)

    def level(self) -> float:
        counts = np.bincount(self.windows.y[self.parts[1]])
        return float(counts.max() / counts.sum())

    def loss(self, configuration: Configuration) -> Any:
        return classification_loss(configuration.training)

    def deploy(
        self, model: keras.Model, configuration: Configuration
    ) -> keras.Model:
        return self.part.deploy(model, "activity_classifier")


HYPERMODEL = ActivityHyperModel


def _or_none(choice: str) -> str | None:
    return None if choice == "none" else choice


if __name__ == "__main__":
    from tuning.command_line import main

    main("activity_classifier")
