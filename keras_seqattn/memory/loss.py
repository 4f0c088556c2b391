"""What counts in the outputs of a memory network."""

import dataclasses
from typing import Any

import keras
import numpy as np

from keras_seqattn._checks import check_choice
from keras_seqattn._checks import check_rate
from keras_seqattn.tasks.memory_batch import MemoryBatch


@dataclasses.dataclass(frozen=True)
class RecallLoss:
    """What counts in the outputs of a memory network.

    Args:
        kind: `"mse"`: the squared error of all outputs on all steps.
            `"crossentropy"`: outputs are logits of the answer, and only the
            response steps count.
        response_share: Number in [0, 1), the share of the response steps in
            the weights of the squared error. They are 1 step of 25 or 85.
        cue_share: Number in [0, 1), the share of the cue steps.

    Raises:
        ValueError: A setting out of its range, or shares that leave nothing
            for the other steps.

    Example:
    ```python
    import keras_seqattn as ks
    from keras_seqattn.memory import RecallLoss

    batch = ks.tasks.additive_task().sample(8, seed=0)
    _, _, weights = RecallLoss("crossentropy").data(batch)
    print(((weights > 0) == batch.response).all())  # True
    ```
    """

    kind: str = "mse"
    response_share: float = 0.5
    cue_share: float = 0.1

    def __post_init__(self) -> None:
        check_choice("kind", self.kind, ("mse", "crossentropy"))
        shares = (
            check_rate("response_share", self.response_share),
            check_rate("cue_share", self.cue_share),
        )
        if sum(shares) >= 1:
            raise ValueError(
                "`response_share` and `cue_share` must add up to less than 1. "
                f"Received: {self.response_share} and {self.cue_share}"
            )

    def keras_loss(self) -> keras.losses.Loss:
        """The loss, for `compile`."""
        if self.kind == "mse":
            return keras.losses.MeanSquaredError()
        return keras.losses.CategoricalCrossentropy(from_logits=True)

    def data(self, batch: MemoryBatch) -> tuple[np.ndarray, ...]:
        """Inputs, targets and weights `(batch, timesteps)` of mean 1."""
        response = batch.response.astype("float32")
        if self.kind == "crossentropy":
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
