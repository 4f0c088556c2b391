"""One decoder a seed, on one compiled model."""

import dataclasses
import functools
from collections.abc import Callable

import keras
import numpy as np

from keras_seqattn._training.seeded_model import SeededModel
from keras_seqattn._training.weight_averages import average_callbacks
from keras_seqattn._training.weight_averages import averaging
from keras_seqattn.decoding.data import DecodingData
from keras_seqattn.decoding.report import POOLING_TITLES
from keras_seqattn.decoding.score import Score
from keras_seqattn.models.neural_decoder import attention_scores_model


@dataclasses.dataclass(frozen=True)
class DecoderTrainer:
    """Trains a decoder of a given pooling and length, once a seed."""

    data: DecodingData
    build: Callable[..., keras.Model]
    seeds: tuple[int, ...]
    epochs: int
    batch_size: int
    learning_rate: float
    ema_momentum: float | str | None
    patience: int
    verbose: int

    def train(self, pooling: str, timesteps: int) -> "TrainedDecoders":
        x, y = self.data.windows("train", timesteps)
        validation = self.data.windows("validation", timesteps)

        steps = -(-len(x) // self.batch_size)
        build = functools.partial(
            self.build, timesteps, x.shape[2], y.shape[1], pooling=pooling
        )
        seeded = SeededModel(
            build,
            keras.optimizers.Adam(
                keras.optimizers.schedules.CosineDecay(
                    self.learning_rate, steps * self.epochs
                ),
                clipnorm=1.0,
                **averaging(self.ema_momentum, steps),
            ),
            "mse",
            (x[: self.batch_size], y[: self.batch_size]),
        )
        weights, losses = [], []
        for seed in self.seeds:
            history = seeded.fit(
                seed,
                x,
                y,
                title=f"{POOLING_TITLES[pooling]}, {timesteps} timesteps, "
                f"seed {seed}",
                verbose=self.verbose,
                callbacks=[
                    *average_callbacks(self.ema_momentum),
                    keras.callbacks.EarlyStopping(
                        patience=self.patience, restore_best_weights=True
                    ),
                ],
                batch_size=self.batch_size,
                epochs=self.epochs,
                validation_data=validation,
            )
            weights.append(seeded.model.get_weights())
            losses.append(min(history["val_loss"]))
        return TrainedDecoders(
            self.data, build, seeded.model, timesteps, weights, losses
        )


@dataclasses.dataclass(frozen=True)
class TrainedDecoders:
    """One compiled model with the weights of every seed."""

    data: DecodingData
    build: Callable[[], keras.Model]
    model: keras.Model
    timesteps: int
    weights: list[list[np.ndarray]]
    losses: list[float]

    def scores(self, part: str) -> tuple[Score, ...]:
        x, _ = self.data.windows(part, self.timesteps)
        return tuple(
            self.data.score(part, decoded)
            for decoded in self._predict_all(self.model, x)
        )

    def attention_scores(self, part: str) -> list[np.ndarray]:
        x, _ = self.data.windows(part, self.timesteps)
        return self._predict_all(attention_scores_model(self.model), x)

    def best_model(self) -> keras.Model:
        """Return the best seed's model, without its optimizer."""
        model = self.build()
        model.set_weights(self.weights[int(np.argmin(self.losses))])
        return model

    def _predict_all(
        self, model: keras.Model, x: np.ndarray
    ) -> list[np.ndarray]:
        predictions = []
        for weights in self.weights:
            self.model.set_weights(weights)
            predictions.append(model.predict(x, batch_size=1024, verbose=0))
        return predictions
