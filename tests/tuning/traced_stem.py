"""A small stem that leaves a trace of each run, and dies on demand.

`data` is a folder for the traces, and may hold a number to add to each score,
in a file `offset`. Grid search tries numbers 0, 1, 2 ...: the
first run of number 1 ends in SIGKILL, in the middle of its training; number 3
raises.
"""

import os
import pathlib
import signal
import time

import keras
import keras_tuner
import numpy as np

from keras_seqattn._training.recipe import Recipe
from keras_seqattn.windows.batches import WindowBatches
from tests.tuning.quick_hypermodel import QuickHyperModel
from tuning.hypermodel import Configuration

KILLED, RAISES = 1, 3
X = np.random.default_rng(0).normal(size=(24, 3)).astype("float32")
Y = X[:, :2] - X[:, 1:]


def numbers(hp):
    return Configuration(
        model={"number": hp.Int("number", 0, 7)},
        training=Recipe(epochs=2, batch_size=8, learning_rate=0.1),
    )


class TracedHyperModel(QuickHyperModel):
    objective = keras_tuner.Objective("val_mse", "min")
    spaces = {"modern": numbers, "defaults": numbers}  # noqa: RUF012

    def build_model(self, configuration):
        self.number = configuration.model["number"]
        inputs = keras.Input((3,))
        hidden = keras.layers.Dense(self.number + 1)(inputs)
        return keras.Model(inputs, keras.layers.Dense(2)(hidden))

    def batches(self, configuration, seed):
        self.epochs_seen = 0
        batches = WindowBatches(
            X[:16], Y[:16], 8, shuffle=True, seed=seed, drop_remainder=True
        )
        return {"x": batches, "shuffle": False}

    def validation(self, configuration):
        return X[16:]

    def measure(self, outputs):
        """After each epoch."""
        self.epochs_seen += 1
        if self.data is not None and self.epochs_seen == 1:
            first = not runs(self.data).get(self.number)
            trace = f"{self.number}_{os.getpid()}_{time.monotonic_ns()}"
            pathlib.Path(self.data, trace).touch()
            if self.number == KILLED and first:
                os.kill(os.getpid(), signal.SIGKILL)
        if self.number == RAISES:
            raise RuntimeError("Number 3 raises.")
        score = float(np.mean((outputs - Y[16:]) ** 2))
        offset = pathlib.Path(self.data or "", "offset")
        if offset.exists():
            score += float(offset.read_text())
        return {"val_mse": score}

    def loss(self, configuration):
        return "mse"


def runs(folder):
    """How often each number ran."""
    found = {}
    for path in pathlib.Path(folder).glob("*_*"):
        number = int(path.name.split("_")[0])
        found[number] = found.get(number, 0) + 1
    return found


HYPERMODEL = TracedHyperModel
