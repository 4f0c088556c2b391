"""A stem that trains in a moment, and whose trials fail on demand."""

from typing import ClassVar

import keras
import keras_tuner
import numpy as np

from keras_seqattn._training.recipe import Recipe
from keras_seqattn.windows.batches import WindowBatches
from tests.tuning.quick_hypermodel import QuickHyperModel
from tuning.hypermodel import Configuration
from tuning.hypermodel import Space

RANDOM = np.random.default_rng(0)
X = RANDOM.normal(size=(24, 3)).astype("float32")
Y = X @ RANDOM.normal(size=(3, 2)).astype("float32")


def rates(hp):
    return Configuration(
        model={"units": hp.Choice("units", [2, 3])},
        training=Recipe(
            epochs=2,
            batch_size=8,
            learning_rate=hp.Float("rate", 1e-3, 1e-1, sampling="log"),
            optimizer=hp.Choice("optimizer", ["adam", "sgd"]),
        ),
    )


def faults(hp):
    fault = hp.Choice("fault", ["none", "raise", "memory", "nan", "hopeless"])
    return Configuration(
        model={"fault": fault},
        training=Recipe(
            epochs=6,
            batch_size=8,
            learning_rate={"nan": 1e30, "hopeless": 1e-9}.get(fault, 0.01),
            optimizer="sgd",
            clipnorm=None,
        ),
    )


def only_faults(hp):
    hp.Int("number", 0, 9)
    return Configuration(
        model={"fault": "late"},
        training=Recipe(epochs=1, batch_size=8, learning_rate=0.1),
    )


def defaults(hp):
    return Configuration(
        model={},
        training=Recipe(epochs=2, batch_size=8, learning_rate=0.01),
    )


class SmallHyperModel(QuickHyperModel):
    objective = keras_tuner.Objective("val_mse", "min")
    folds = 2
    spaces: ClassVar[dict[str, Space]] = {
        "modern": rates,
        "faults": faults,
        "only_faults": only_faults,
        "defaults": defaults,
    }

    def build_model(self, configuration):
        fault = configuration.model.get("fault", "none")
        if fault == "raise":
            raise RuntimeError("This trial raises.")
        if fault == "memory":
            raise MemoryError("No memory.")
        inputs = keras.Input((3,))
        hidden = keras.layers.Dense(configuration.model.get("units", 2))(inputs)
        return keras.Model(inputs, keras.layers.Dense(2)(hidden))

    def batches(self, configuration, seed):
        batches = WindowBatches(
            X[:16], Y[:16], 8, shuffle=True, seed=seed, drop_remainder=True
        )
        return {"x": batches, "shuffle": False}

    def validation(self, configuration):
        if configuration.model.get("fault") == "late":
            raise RuntimeError("There is nothing to validate on.")
        return X[16:20] if self.fold else X[20:]

    def measure(self, outputs):
        y = Y[16:20] if self.fold else Y[20:]
        return {"val_mse": float(np.mean((outputs - y) ** 2))}

    def level(self):
        # Of a model that has learned nothing, and more.
        return 0.0 if self.space == "faults" else None

    def loss(self, configuration):
        return "mse"


HYPERMODEL = SmallHyperModel
