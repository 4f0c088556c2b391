"""How a memory network is trained."""

import dataclasses
from typing import Any

import keras
import numpy as np

from keras_seqattn._checks import check_choice
from keras_seqattn._checks import check_positive_integer
from keras_seqattn._checks import check_positive_number
from keras_seqattn._checks import check_rate
from keras_seqattn.tasks.memory_batch import MemoryBatch


@dataclasses.dataclass(frozen=True)
class MemoryRecipe:
    """How a memory network is trained.

    Adam with the learning rate falling along a cosine to a twentieth,
    gradients clipped weight by weight to norm 1, a fresh batch for each step.

    Args:
        loss: `"mse"`: the squared error of all outputs on all steps.
            `"crossentropy"`: outputs are logits of the answer, and only the
            response steps count.
        steps: Positive integer, number of steps. Rounded up so that all
            epochs have as many.
        steps_per_epoch: Positive integer, the most steps between two looks
            at the held-out sequences.
        batch_size: Positive integer.
        learning_rate: Number above 0, that of the first step.
        response_share: Number in [0, 1), the share of the response steps in
            the weights of the squared error. They are 1 step of 25 or 85.
        cue_share: Number in [0, 1), the share of the cue steps.
        clipnorm: Number above 0, the largest norm of a weight's gradient.

    Raises:
        ValueError: A setting out of its range, or shares that leave nothing
            for the other steps.

    Example:
    ```python
    from keras_seqattn.memory import MemoryRecipe

    print(MemoryRecipe(steps=600, steps_per_epoch=50).epochs)  # 12
    ```
    """

    loss: str = "mse"
    steps: int = 1000
    steps_per_epoch: int = 50
    batch_size: int = 64
    learning_rate: float = 1e-2
    response_share: float = 0.5
    cue_share: float = 0.1
    clipnorm: float = 1.0

    def __post_init__(self) -> None:
        check_choice("loss", self.loss, ("mse", "crossentropy"))
        for name in ("steps", "steps_per_epoch", "batch_size"):
            check_positive_integer(name, getattr(self, name))
        check_positive_number("learning_rate", self.learning_rate)
        check_positive_number("clipnorm", self.clipnorm)
        shares = (
            check_rate("response_share", self.response_share),
            check_rate("cue_share", self.cue_share),
        )
        if sum(shares) >= 1:
            raise ValueError(
                "`response_share` and `cue_share` must add up to less than 1. "
                f"Received: {self.response_share} and {self.cue_share}"
            )

    @property
    def epochs(self) -> int:
        """Looks at the held-out sequences, the last one after all steps."""
        return -(-self.steps // self.steps_per_epoch)

    @property
    def epoch_steps(self) -> int:
        """Steps of an epoch."""
        return -(-self.steps // self.epochs)

    def optimizer(self) -> keras.optimizers.Optimizer:
        """A new optimizer."""
        rate = keras.optimizers.schedules.CosineDecay(
            self.learning_rate, self.epochs * self.epoch_steps, alpha=0.05
        )
        return keras.optimizers.Adam(rate, clipnorm=self.clipnorm)

    def keras_loss(self) -> keras.losses.Loss:
        """The loss, for `compile`."""
        if self.loss == "mse":
            return keras.losses.MeanSquaredError()
        return keras.losses.CategoricalCrossentropy(from_logits=True)

    def data(self, batch: MemoryBatch) -> tuple[np.ndarray, ...]:
        """Inputs, targets and weights `(batch, timesteps)` of mean 1."""
        response = batch.response.astype("float32")
        if self.loss == "crossentropy":
            total = np.maximum(batch.y.sum(axis=-1, keepdims=True), 1e-6)
            return batch.x, batch.y / total, _spread(response, 1.0)
        cue = (batch.cue & ~batch.response).astype("float32")
        rest = 1 - self.response_share - self.cue_share
        return (
            batch.x,
            batch.y,
            _spread(response, self.response_share)
            + _spread(cue, self.cue_share)
            + _spread(1 - response - cue, rest),
        )


def _spread(steps: np.ndarray, share: float) -> Any:
    """Weights of a given mean, on some of the steps."""
    return steps * np.float32(share * steps.size / max(steps.sum(), 1))


RECIPES: dict[str, MemoryRecipe] = {
    "one_neuron": MemoryRecipe(steps=1200),
    "one_neuron_all": MemoryRecipe(steps=1200),
    "one_neuron_adaptive": MemoryRecipe(steps=1200),
    "factorial": MemoryRecipe(steps=300),
    "additive": MemoryRecipe("crossentropy", steps=400),
    "association": MemoryRecipe("crossentropy", steps=1000, batch_size=32),
}
"""By the names of the presets of `models.build_memory_network`."""
