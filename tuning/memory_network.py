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
from keras_seqattn.memory import LOSSES
from keras_seqattn.memory import RECIPES
from keras_seqattn.memory import FreshBatches
from keras_seqattn.memory import Recipe
from keras_seqattn.memory.recipe import STEPS_PER_EPOCH
from keras_seqattn.memory.training import HeldOut
from keras_seqattn.models import build_memory_network
from keras_seqattn.tasks import CueAssociation
from keras_seqattn.tasks import CueRecall
from keras_seqattn.tasks import additive_task
from keras_seqattn.tasks import factorial_task
from tuning.hypermodel import Configuration
from tuning.hypermodel import Space
from tuning.hypermodel import StemHyperModel
from tuning.training import searched_training

PRESET = "additive"


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
    return Configuration({}, RECIPES[preset])


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
    usual = RECIPES[preset]
    recipe = Recipe(
        epochs=usual.epochs,
        **searched_training(hp, (1e-3, 3e-2), [16, 32, 64]),
    )
    # As many sequences, in batches of any size.
    sequences = STEPS_PER_EPOCH * usual.batch_size
    others: dict[str, Any] = {
        "steps_per_epoch": max(sequences // recipe.batch_size, 1)
    }
    if LOSSES[preset].kind == "mse":
        others["response_share"] = hp.Float("response_share", 0.1, 0.8)
    return Configuration(model, recipe, others)


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
    def held_out(self) -> HeldOut:
        # The preset's own loss, whatever a trial has.
        return HeldOut(self.task, LOSSES[self.preset], seed=0)

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

    def batches(
        self, configuration: Configuration, seed: int
    ) -> dict[str, Any]:
        others = dict(configuration.others)
        steps = others.pop("steps_per_epoch", STEPS_PER_EPOCH)
        loss = dataclasses.replace(LOSSES[self.preset], **others)
        size = configuration.training.batch_size
        batches = FreshBatches(self.task, loss, size, steps, seed)
        return {"x": batches, "shuffle": False}

    def validation(self, configuration: Configuration) -> np.ndarray:
        return self.held_out.batch.x

    def measure(self, outputs: np.ndarray) -> dict[str, float]:
        return self.held_out.measure(outputs)

    def loss(self, configuration: Configuration) -> Any:
        return LOSSES[self.preset].keras_loss()


HYPERMODEL = MemoryHyperModel

if __name__ == "__main__":
    from tuning.command_line import main

    main("memory_network")
