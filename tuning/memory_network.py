"""Search for a better memory network.

    python -m tuning.memory_network --data additive

The data are generated, so no sequence is trained on twice: `--data` names a
preset of `build_memory_network`, and with it its task. Held-out sequences
validate; those that the example scores in the end are others.
"""

import dataclasses
import functools
from typing import Any
from typing import ClassVar

import keras
import keras_tuner
import numpy as np

from keras_seqattn._checks import check_choice
from keras_seqattn.memory import RECIPES
from keras_seqattn.memory import FreshBatches
from keras_seqattn.memory import MemoryRecipe
from keras_seqattn.models import build_memory_network
from keras_seqattn.tasks import CueAssociation
from keras_seqattn.tasks import CueRecall
from keras_seqattn.tasks import additive_task
from keras_seqattn.tasks import factorial_task
from keras_seqattn.tasks.memory_batch import MemoryBatch
from tuning.hypermodel import Configuration
from tuning.hypermodel import Space
from tuning.hypermodel import StemHyperModel
from tuning.training import Training
from tuning.training import searched_training

PRESET = "additive"
HELD_OUT = 500
# Of the held-out sequences: as `memory.MemoryTrainer` draws its own.
HELD_OUT_SEED = (0, 1)


def make_task(preset: str) -> CueRecall | CueAssociation:
    """Return the task of a preset."""
    if preset == "factorial":
        return factorial_task()
    if preset == "additive":
        return additive_task()
    if preset == "association":
        return CueAssociation(num_keys=8, num_values=9, num_pairs=4)
    return CueRecall()


def defaults(
    hp: keras_tuner.HyperParameters, preset: str = PRESET
) -> Configuration:
    """The preset as it is, and its recipe."""
    recipe = RECIPES[preset]
    return Configuration(
        model={},
        training=Training(
            epochs=recipe.epochs,
            batch_size=recipe.batch_size,
            learning_rate=recipe.learning_rate,
            floor=0.05,
        ),
    )


def modern(
    hp: keras_tuner.HyperParameters, preset: str = PRESET
) -> Configuration:
    """The controllers, the neurons, what drives them, and the training."""
    model: dict[str, Any] = {
        "controller": hp.Choice("controller", ["lstm", "gru"]),
        "controller_units": hp.Choice(
            "controller_units", [16, 32, 64], default=64
        ),
        "controller_input": hp.Choice(
            "controller_input", ["preactivation", "input_and_output"]
        ),
    }
    if preset != "one_neuron_adaptive":
        parameters = hp.Choice("modulated", ["gain", "all"])
        model["modulated"] = ("gain", "threshold", "softness")
        if parameters == "gain":
            model["modulated"] = ("gain",)
    if preset in ("additive", "association"):
        model["units"] = hp.Int("units", 12, 48, step=12, default=24)
        scale = hp.Float("kernel_scale", 1.0, 128.0, sampling="log")
        model["kernel_initializer"] = {
            "class_name": "VarianceScaling",
            "config": {
                "scale": scale,
                "mode": "fan_avg",
                "distribution": "uniform",
            },
        }
    training = searched_training(hp, (1e-3, 3e-2), [16, 32, 64])
    data = {}
    if RECIPES[preset].loss == "mse":
        data["response_share"] = hp.Float("response_share", 0.1, 0.8)
    return Configuration(
        model=model,
        training=Training(epochs=RECIPES[preset].epochs, **training),
        data=data,
    )


class MemoryHyperModel(StemHyperModel):
    """`build_memory_network`, and how it is trained.

    The loss of the held-out answers is what is searched for: all good
    networks answer all of them right, but not all as surely.
    """

    objective = keras_tuner.Objective("val_loss", "min")
    spaces: ClassVar[dict[str, Space]] = {
        "modern": modern,
        "defaults": defaults,
    }

    def __init__(self, *arguments: Any, **keywords: Any) -> None:
        super().__init__(*arguments, **keywords)
        self.preset = check_choice("data", self.data or PRESET, RECIPES)

    @functools.cached_property
    def task(self) -> CueRecall | CueAssociation:
        return make_task(self.preset)

    @functools.cached_property
    def held_out(self) -> MemoryBatch:
        return self.task.sample(HELD_OUT, HELD_OUT_SEED)

    def point(self, hp: keras_tuner.HyperParameters) -> Configuration:
        return self.spaces[self.space](hp, self.preset)

    def build_model(self, configuration: Configuration) -> keras.Model:
        sizes = {}
        if self.preset == "association":
            sizes = {
                "features": self.task.features,
                "outputs": self.task.outputs,
            }
        return build_memory_network(self.preset, **sizes, **configuration.model)

    def batches(self, configuration: Configuration, seed: int) -> FreshBatches:
        training, recipe = configuration.training, RECIPES[self.preset]
        return FreshBatches(
            self.task,
            dataclasses.replace(
                recipe,
                # As many sequences, in batches of any size.
                steps=training.epochs * self._steps(configuration),
                steps_per_epoch=self._steps(configuration),
                batch_size=training.batch_size,
                **configuration.data,
            ),
            seed,
        )

    def _steps(self, configuration: Configuration) -> int:
        recipe = RECIPES[self.preset]
        sequences = recipe.epoch_steps * recipe.batch_size
        return max(sequences // configuration.training.batch_size, 1)

    def validation(self, configuration: Configuration) -> np.ndarray:
        return self.held_out.x

    def measure(self, outputs: np.ndarray) -> dict[str, float]:
        # The preset's own weights of the steps, whatever a trial has.
        _, y, weights = self.recipe.data(self.held_out)
        loss = self.recipe.keras_loss()(y, outputs, weights)
        correct = self.task.correct(outputs, self.held_out)
        return {
            "val_loss": float(loss),
            "val_accuracy": float(np.mean(correct)),
        }

    @property
    def recipe(self) -> MemoryRecipe:
        """The preset's."""
        return RECIPES[self.preset]

    def loss(self, configuration: Configuration) -> Any:
        return self.recipe.keras_loss()


HYPERMODEL = MemoryHyperModel

if __name__ == "__main__":
    from tuning.command_line import main

    main("memory_network")
