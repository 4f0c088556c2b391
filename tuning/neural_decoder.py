"""Search for a better neural decoder.

    python -m tuning.neural_decoder --data recording.npz

Validation is by time: the tenth of the recording that follows the training
part. The last fifth is for the test, and is not looked at.
"""

import functools
from typing import Any
from typing import ClassVar

import keras
import keras_tuner
import numpy as np

from keras_seqattn.decoding import RECIPE
from keras_seqattn.decoding import DecodingData
from keras_seqattn.decoding import Recipe
from keras_seqattn.decoding import load_recording
from keras_seqattn.decoding.training import LOSS
from keras_seqattn.decoding.training import training_batches
from keras_seqattn.models import build_neural_decoder
from keras_seqattn.models.neural_decoder import FAITHFUL
from keras_seqattn.tasks import simulated_reaching
from tuning.hypermodel import Configuration
from tuning.hypermodel import Space
from tuning.hypermodel import StemHyperModel
from tuning.training import searched_training

EPOCHS = 20
# Windows of all lengths end at the same bins, so that they can be compared.
LONGEST = 20
LONGEST_ORIGINAL = 30


def defaults(hp: keras_tuner.HyperParameters) -> Configuration:
    """The builder's own settings, trained as `decode_recording` trains them."""
    return Configuration({"timesteps": LONGEST}, RECIPE)


def modern(hp: keras_tuner.HyperParameters) -> Configuration:
    """The length of the window, the whole model and its training."""
    training = searched_training(hp, (3e-4, 1e-2), [64, 128, 256])
    return Configuration(
        model={
            "timesteps": hp.Int("timesteps", 3, LONGEST, default=LONGEST),
            "pooling": hp.Choice("pooling", ["attention", "last"]),
            "cell": hp.Choice("cell", ["lstm", "gru"]),
            "units": hp.Int("units", 32, 160, step=32, default=128),
            "num_layers": hp.Choice("num_layers", [1, 2]),
            "bidirectional": hp.Boolean("bidirectional"),
            "head_units": hp.Choice("head_units", [32, 64, 128], default=64),
            "dropout": hp.Float("dropout", 0.0, 0.6, default=0.0),
        },
        training=Recipe(epochs=EPOCHS, patience=6, **training),
    )


def original(hp: keras_tuner.HyperParameters) -> Configuration:
    """The original's search: the number of timesteps, and nothing else.

    Reference: [Yang et al., 2021](https://doi.org/10.3390/s21196372). There,
    5 epochs a trial, and the loss on the test set was searched for.
    """
    return Configuration(
        model={
            **FAITHFUL,
            "timesteps": hp.Int("timesteps", 1, LONGEST_ORIGINAL, default=1),
        },
        training=Recipe(
            epochs=5,
            batch_size=64,
            learning_rate=1e-3,
            schedule="constant",
            clipnorm=None,
        ),
    )


class DecoderHyperModel(StemHyperModel):
    """`build_neural_decoder`, and how it is trained."""

    objective = keras_tuner.Objective("val_r2", "max")
    spaces: ClassVar[dict[str, Space]] = {
        "modern": modern,
        "defaults": defaults,
        "timesteps": original,
    }

    @functools.cached_property
    def recording(self) -> DecodingData:
        if self.data is None:
            recording = simulated_reaching(bins=8000, kernel_length=5)
        else:
            recording = load_recording(self.data)
        longest = LONGEST_ORIGINAL if self.space == "timesteps" else LONGEST
        return DecodingData(recording, longest)

    def build_model(self, configuration: Configuration) -> keras.Model:
        spikes, movement = self._windows("train", configuration)
        settings = dict(configuration.model)
        return build_neural_decoder(
            settings.pop("timesteps"),
            spikes.shape[2],
            movement.shape[1],
            **settings,
        )

    def batches(
        self, configuration: Configuration, seed: int
    ) -> dict[str, Any]:
        # Their order is of Keras' generator, which has been seeded.
        timesteps = configuration.model["timesteps"]
        return training_batches(
            self.recording, timesteps, configuration.training
        )

    def validation(self, configuration: Configuration) -> np.ndarray:
        return self._windows("validation", configuration)[0]

    def measure(self, outputs: np.ndarray) -> dict[str, float]:
        score = self.recording.score("validation", outputs)
        return {"val_r2": score.r2, "val_correlation": score.correlation}

    def level(self) -> float:
        return 0.0  # The mean, always.

    def loss(self, configuration: Configuration) -> Any:
        return LOSS

    def deploy(
        self, model: keras.Model, configuration: Configuration
    ) -> keras.Model:
        return self.recording.deploy(model)

    def _windows(
        self, part: str, configuration: Configuration
    ) -> tuple[np.ndarray, np.ndarray]:
        return self.recording.windows(part, configuration.model["timesteps"])


HYPERMODEL = DecoderHyperModel

if __name__ == "__main__":
    from tuning.command_line import main

    main("neural_decoder")
