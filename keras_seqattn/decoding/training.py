"""One decoder a seed, on one compiled model."""

import dataclasses
from collections.abc import Callable
from typing import Any

import keras
import numpy as np

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
    patience: int
    verbose: int

    def train(self, pooling: str, timesteps: int) -> "TrainedDecoders":
        x, y = self.data.windows("train", timesteps)
        validation = self.data.windows("validation", timesteps)

        def build(seed: int) -> keras.Model:
            keras.utils.set_random_seed(seed)
            return self.build(
                timesteps, x.shape[2], y.shape[1], pooling=pooling
            )

        # All seeds share one compiled model: tracing it takes seconds. What
        # a seed starts from (weights, dropout's generators, the optimizer)
        # is put back before each, so that it depends on the seed alone.
        model = build(self.seeds[0])
        variables = list(model.variables)
        steps = -(-len(x) // self.batch_size) * self.epochs
        model.compile(
            keras.optimizers.Adam(
                keras.optimizers.schedules.CosineDecay(
                    self.learning_rate, steps
                ),
                clipnorm=1.0,
            ),
            loss="mse",
        )
        model.optimizer.build(model.trainable_variables)
        fresh = [
            keras.ops.convert_to_numpy(variable)
            for variable in model.optimizer.variables
        ]
        # The first step of a model draws random numbers that later ones do
        # not. After it, all seeds shuffle alike.
        model.train_on_batch(x[: self.batch_size], y[: self.batch_size])
        weights, losses = [], []
        for seed in self.seeds:
            for variable, value in zip(
                [*variables, *model.optimizer.variables],
                [
                    *map(keras.ops.convert_to_numpy, build(seed).variables),
                    *fresh,
                ],
                strict=True,
            ):
                variable.assign(value)
            title = (
                f"{POOLING_TITLES[pooling]}, {timesteps} timesteps, seed {seed}"
            )
            history = model.fit(
                x,
                y,
                batch_size=self.batch_size,
                epochs=self.epochs,
                validation_data=validation,
                verbose=0,
                callbacks=[
                    keras.callbacks.EarlyStopping(
                        patience=self.patience, restore_best_weights=True
                    ),
                    keras.callbacks.TerminateOnNaN(),
                    *([_EpochBar(title)] if self.verbose else []),
                ],
            ).history
            if not np.isfinite(history.get("val_loss", [np.nan])[-1]):
                raise ValueError(
                    f"The training of {title!r} ended in NaN. Use a smaller "
                    f"`learning_rate`. Received: {self.learning_rate}"
                )
            weights.append(model.get_weights())
            losses.append(min(history["val_loss"]))
        return TrainedDecoders(self.data, model, timesteps, weights, losses)


@dataclasses.dataclass(frozen=True)
class TrainedDecoders:
    """One compiled model with the weights of every seed."""

    data: DecodingData
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
        self.model.set_weights(self.weights[int(np.argmin(self.losses))])
        return self.model

    def _predict_all(
        self, model: keras.Model, x: np.ndarray
    ) -> list[np.ndarray]:
        predictions = []
        for weights in self.weights:
            self.model.set_weights(weights)
            predictions.append(model.predict(x, batch_size=1024, verbose=0))
        return predictions


class _EpochBar(keras.callbacks.Callback):
    """Keras' progress bar, over the epochs of one training."""

    def __init__(self, title: str) -> None:
        super().__init__()
        self.title = title

    def on_train_begin(self, logs: Any = None) -> None:
        print(self.title, flush=True)
        self.bar = keras.utils.Progbar(
            self.params["epochs"],
            stateful_metrics=["loss", "val_loss"],
            unit_name="epoch",
        )

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        self.done = epoch + 1
        self.values = sorted((logs or {}).items())
        if self.done < self.params["epochs"]:
            self.bar.update(self.done, self.values, finalize=False)

    def on_train_end(self, logs: Any = None) -> None:
        # Early stopping: the bar ends where the training did.
        self.bar.target = self.done
        self.bar.update(self.done, self.values, finalize=True)
