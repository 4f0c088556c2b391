"""Search for a better network that learns by bursts.

    python -m tuning.burst_prop_network --data mnist.npz

A fixed fifth of the training images validates. The test images are not looked
at.
"""

import functools
from typing import Any
from typing import ClassVar

import keras
import keras_tuner
import numpy as np

from keras_seqattn._training.recipe import Recipe
from keras_seqattn.learning_rules import LabelledImages
from keras_seqattn.learning_rules import load_digits
from keras_seqattn.learning_rules import load_mnist
from keras_seqattn.models import BurstPropNetwork
from keras_seqattn.windows.batches import WindowBatches
from tuning.hypermodel import Configuration
from tuning.hypermodel import Space
from tuning.hypermodel import StemHyperModel

EPOCHS = 20


def defaults(hp: keras_tuner.HyperParameters) -> Configuration:
    """The network's own settings, two hidden layers of 100."""
    return Configuration(
        model={"hidden": (100, 100)},
        training=Recipe(
            epochs=EPOCHS, batch_size=32, learning_rate=3e-3, clipnorm=None
        ),
    )


def modern(hp: keras_tuner.HyperParameters) -> Configuration:
    """Widths, feedback, bursts, and the optimizer with its rates."""
    layers = hp.Int("hidden_layers", 1, 3, default=2)
    hidden = (hp.Int("hidden_units", 50, 300, step=50, default=100),) * layers
    ratio = hp.Float("learning_rate_ratio", 1.0, 8.0, sampling="log")
    optimizer = hp.Choice("optimizer", ["adam", "sgd"])
    # Gradients are sums over the batch, which Adam does not see and SGD does.
    with hp.conditional_scope("optimizer", ["adam"]):
        adam_rate = hp.Float("adam_rate", 3e-4, 3e-2, sampling="log")
    with hp.conditional_scope("optimizer", ["sgd"]):
        sgd_rate = hp.Float("sgd_rate", 1e-3, 3e-1, sampling="log")
    return Configuration(
        model={
            "hidden": hidden,
            "burst_probability": hp.Float(
                "burst_probability", 0.05, 0.5, default=0.2
            ),
            "feedback": hp.Choice(
                "feedback", ["kolen_pollack", "random", "tied"]
            ),
            "feedback_stddev": hp.Float(
                "feedback_stddev", 0.03, 1.0, sampling="log"
            ),
            "recurrent": hp.Boolean("recurrent"),
            "weight_decay": hp.Float(
                "weight_decay", 1e-6, 1e-3, sampling="log"
            ),
            "learning_rate_multipliers": [
                ratio ** (layers - depth) for depth in range(layers + 1)
            ],
        },
        training=Recipe(
            epochs=EPOCHS,
            batch_size=hp.Choice("batch_size", [16, 32, 64]),
            learning_rate=adam_rate if optimizer == "adam" else sgd_rate,
            optimizer=optimizer,
            momentum=hp.Choice("momentum", [0.0, 0.9], default=0.9),
            schedule=hp.Choice("schedule", ["cosine", "constant"]),
            clipnorm=None,
        ),
    )


class BurstPropHyperModel(StemHyperModel):
    """`BurstPropNetwork` on labelled images, and its optimizer."""

    objective = keras_tuner.Objective("val_accuracy", "max")
    spaces: ClassVar[dict[str, Space]] = {
        "modern": modern,
        "defaults": defaults,
    }

    @functools.cached_property
    def images(self) -> LabelledImages:
        """Their test part is cut from the training images."""
        images = load_digits() if self.data is None else load_mnist(self.data)
        return images.hold_out()

    def build_model(self, configuration: Configuration) -> keras.Model:
        settings = dict(configuration.model)
        units = [*settings.pop("hidden"), self.images.classes]
        model = BurstPropNetwork(units, **settings)
        model.build((None, self.images.pixels))
        return model

    def batches(
        self, configuration: Configuration, seed: int
    ) -> dict[str, Any]:
        y = keras.utils.to_categorical(self.images.y_train, self.images.classes)
        size = min(configuration.training.batch_size, len(y))
        batches = WindowBatches(
            self.images.x_train,
            y,
            size,
            shuffle=True,
            seed=seed,
            drop_remainder=True,
        )
        return {"x": batches, "shuffle": False}

    def validation(self, configuration: Configuration) -> np.ndarray:
        return self.images.x_test

    def measure(self, outputs: np.ndarray) -> dict[str, float]:
        right = outputs.argmax(axis=1) == self.images.y_test
        y = np.eye(self.images.classes)[self.images.y_test]
        return {
            "val_accuracy": float(right.mean()),
            "val_mse": float(np.mean((outputs - y) ** 2)),
        }

    def level(self) -> float:
        return 1 - self.images.chance

    def loss(self, configuration: Configuration) -> Any:
        return "mse"


HYPERMODEL = BurstPropHyperModel

if __name__ == "__main__":
    from tuning.command_line import main

    main("burst_prop_network")
