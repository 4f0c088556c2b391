"""One decoder a seed, on one compiled model."""

import dataclasses
import functools
from collections.abc import Callable
from typing import Any

import keras
import numpy as np

from keras_seqattn._training.recipe import Recipe
from keras_seqattn._training.seeded_model import SeededModel
from keras_seqattn.decoding.data import DecodingData
from keras_seqattn.decoding.report import POOLING_TITLES
from keras_seqattn.decoding.score import Score
from keras_seqattn.models.neural_decoder import attention_scores_model

# `decode_recording`'s, and the `defaults` of a search.
RECIPE = Recipe(
    epochs=40, batch_size=128, learning_rate=3e-3, average="epoch", patience=6
)
LOSS = "mse"


def check_recipe(recipe: Recipe) -> Recipe:
    """Return `recipe`, or raise if it has what decoders cannot have."""
    if not isinstance(recipe, Recipe):
        raise ValueError(
            "`recipe` must be a `Recipe`, such as `dataclasses.replace("
            f"decoding.RECIPE, epochs=20)`. Received: recipe={recipe!r}"
        )
    recipe.check_unused(
        "label_smoothing",
        "class_weights",
        "augmentation",
        what="a decoder of movement",
    )
    return recipe


def training_batches(
    data: DecodingData, timesteps: int, recipe: Recipe
) -> dict[str, Any]:
    """Return the training windows of a length, as arguments of `fit`."""
    x, y = data.windows("train", timesteps)
    return {"x": x, "y": y, "batch_size": recipe.batch_size}


def every_step(
    data: DecodingData, part: str, timesteps: int, steps: int
) -> tuple[np.ndarray, ...]:
    """Return the windows of a part, their movement and weights of every step.

    The newest third counts in training: that is worth more data, and earlier
    steps know too little of the past. Elsewhere the newest alone does, as in
    the score. The weights have the mean 1.

    Args:
        data: A `DecodingData`.
        part: `"train"`, `"validation"` or `"test"`.
        timesteps: Length of the windows.
        steps: For how many steps of as many bins a decoder has a value.
    """
    x, _ = data.windows(part, timesteps)
    ends = timesteps - 1 - timesteps // steps * np.arange(steps)[::-1]
    y, scored = (
        array[:, ends] for array in data.movement_windows(part, timesteps)
    )
    weights = scored.astype("float32")
    weights[:, : 2 * steps // 3 if part == "train" else -1] = 0
    return x, y, weights / weights.mean()


@dataclasses.dataclass(frozen=True)
class DecoderTrainer:
    """Trains a decoder of a given pooling and length, once a seed."""

    data: DecodingData
    build: Callable[..., keras.Model]
    seeds: tuple[int, ...]
    recipe: Recipe
    verbose: int

    def train(self, pooling: str, timesteps: int) -> "TrainedDecoders":
        recipe = self.recipe
        batches = training_batches(self.data, timesteps, recipe)
        x, y = batches["x"], batches["y"]
        build = functools.partial(
            self.build, timesteps, x.shape[2], y.shape[1], pooling=pooling
        )
        training: tuple[np.ndarray, ...] = (x, y)
        validation: tuple[np.ndarray, ...] = self.data.windows(
            "validation", timesteps
        )
        trained = build
        steps = _steps(build, timesteps) if pooling == "last" else None
        if steps is not None:
            trained = functools.partial(build, pooling="every")
            training, validation = (
                every_step(self.data, part, timesteps, steps)
                for part in ("train", "validation")
            )
        seeded = SeededModel(
            lambda: recipe.add_l2(trained()),
            recipe.make_optimizer(-(-len(x) // recipe.batch_size)),
            LOSS,
            tuple(array[: recipe.batch_size] for array in training),
        )
        weights, losses = [], []
        for seed in self.seeds:
            history = seeded.fit(
                seed,
                training[0],
                training[1],
                sample_weight=training[2] if len(training) > 2 else None,
                batch_size=recipe.batch_size,
                title=f"{POOLING_TITLES[pooling]}, {timesteps} timesteps, "
                f"seed {seed}",
                verbose=self.verbose,
                callbacks=[*recipe.callbacks(), recipe.early_stopping()],
                epochs=recipe.epochs,
                validation_data=validation,
            )
            weights.append(seeded.model.get_weights())
            losses.append(min(history["val_loss"]))
        return TrainedDecoders(
            self.data,
            build,
            seeded.model if trained is build else build(),
            timesteps,
            weights,
            losses,
        )


def _steps(build: Callable[..., keras.Model], timesteps: int) -> int | None:
    """Of a decoder that has a value for each, or `None`."""
    try:
        shape = build(pooling="every").output_shape
    except ValueError:  # a bidirectional one, or a user's own
        return None
    if len(shape) != 3:
        return None
    # Few steps of many bins, with bins left over, may have several widths,
    # and their ends are not known.
    steps: int = shape[1]
    known = timesteps // (steps + 1) + 1 == timesteps // steps
    return steps if known or steps == 1 else None


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
