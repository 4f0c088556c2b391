"""How any model's training is searched, and how a trial is scored."""

from collections.abc import Callable
from typing import Any

import keras
import keras_tuner
import numpy as np

from keras_seqattn.activity.training import predict


def searched_training(
    hp: keras_tuner.HyperParameters,
    learning_rate: tuple[float, float],
    batch_sizes: list[int],
    optimizers: tuple[str, ...] = ("adam", "nadam", "rmsprop"),
) -> dict[str, Any]:
    """Search how any model is trained.

    Args:
        hp: KerasTuner's parameters.
        learning_rate: Range.
        batch_sizes: Which ones.
        optimizers: Which ones.

    Returns:
        Arguments of `Recipe`.
    """
    averaged = hp.Boolean("average_weights", default=False)
    return {
        "optimizer": hp.Choice("optimizer", list(optimizers)),
        "learning_rate": hp.Float(
            "learning_rate", *learning_rate, sampling="log"
        ),
        "schedule": hp.Choice("schedule", ["cosine", "constant"]),
        "warmup": hp.Choice("warmup", [0.0, 0.05, 0.1]),
        "weight_decay": hp.Float("weight_decay", 1e-4, 1e-1, sampling="log"),
        "batch_size": hp.Choice("batch_size", batch_sizes),
        "average": "epoch" if averaged else None,
    }


class Validation(keras.callbacks.Callback):
    """Scores a training after each epoch, keeps its best weights, stops it.

    It stops a training that gets no better for `patience` epochs, and one
    that is no better than `level` after a quarter of its epochs (three at
    least): hopeless. One that is no number fails.

    Put it after `SwapEMAWeights`, so that it sees the averages.

    Args:
        x: Inputs that are not trained on.
        measure: Function of their outputs to metrics by name.
        objective: The metric that says which epoch is best, and whether more
            or less is better.
        level: What a guess gets, of the same metric; `None` if what is
            hopeless cannot be told early.
        patience: See above; `None` for never.
    """

    def __init__(
        self,
        x: np.ndarray,
        measure: Callable[[np.ndarray], dict[str, float]],
        objective: keras_tuner.Objective,
        level: float | None,
        patience: int | None,
    ) -> None:
        super().__init__()
        self.x = x
        self.measure = measure
        self.objective = objective
        self.level = level
        self.patience = patience
        self.best: dict[str, float] = {}
        self.best_epoch = 0
        self.hopeless = False

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        found = self.measure(predict(self.model, self.x))
        numbers = {"loss": logs.get("loss", 0.0), **found}
        if not np.isfinite(list(numbers.values())).all():
            raise keras_tuner.errors.FailedTrialError(
                f"The training ended in NaN in epoch {epoch + 1}. "
                f"Received: {numbers}"
            )
        logs.update(found)
        name = self.objective.name
        if not self.best or self.objective.better_than(
            found[name], self.best[name]
        ):
            self.best, self.best_epoch = found, epoch + 1
            self.weights = self.model.get_weights()
        grace = max(3, self.params["epochs"] // 4)
        self.hopeless = (
            self.level is not None
            and epoch + 1 >= grace
            and not self.objective.better_than(self.best[name], self.level)
        )
        if self.hopeless or (
            self.patience is not None
            and epoch + 1 - self.best_epoch >= self.patience
        ):
            self.model.stop_training = True

    def on_train_end(self, logs: Any = None) -> None:
        self.model.set_weights(self.weights)
