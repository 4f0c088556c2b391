"""How a trial is trained, whatever the model."""

import dataclasses
from collections.abc import Callable
from typing import Any

import keras
import keras_tuner
import numpy as np

from keras_seqattn._checks import check_choice
from keras_seqattn._training.weight_averages import averaging
from keras_seqattn.activity.training import predict

OPTIMIZERS: dict[str, Callable[..., keras.optimizers.Optimizer]] = {
    "adam": keras.optimizers.Adam,
    "nadam": keras.optimizers.Nadam,
    "rmsprop": keras.optimizers.RMSprop,
    "sgd": keras.optimizers.SGD,
}
SCHEDULES = ("constant", "cosine", "staircase")


@dataclasses.dataclass(frozen=True)
class Training:
    """How a trial is trained, whatever the model.

    Args:
        epochs: The most epochs.
        batch_size: Examples in a gradient step.
        learning_rate: The highest learning rate.
        optimizer: A key of `OPTIMIZERS`. `"adam"` with `weight_decay` is
            what is called AdamW.
        momentum: Of `"sgd"`.
        schedule: `"constant"`; `"cosine"`, down to a `floor` in the last
            step; or `"staircase"`, times 0.75 every `stair_epochs` epochs.
        floor: Share of the learning rate. Default: 0.
        stair_epochs: See there.
        warmup: Share of all steps in which the learning rate rises from 0.
            Not with `"staircase"`.
        weight_decay: Decoupled weight decay.
        l2: Times the weights, added to the gradients.
        clipnorm: Largest norm of a weight's gradient, `None` for any.
        ema_momentum: If given, weights are averaged over the steps with this
            momentum, and the averages are scored and kept. `"epoch"`: over
            about the steps of one epoch.
        patience: Epochs without a better score before a training stops,
            `None` for never.
    """

    epochs: int
    batch_size: int
    learning_rate: float
    optimizer: str = "adam"
    momentum: float = 0.9
    schedule: str = "cosine"
    floor: float = 0.0
    stair_epochs: int = 1
    warmup: float = 0.0
    weight_decay: float = 0.0
    l2: float = 0.0
    clipnorm: float | None = 1.0
    ema_momentum: float | str | None = None
    patience: int | None = None

    def make_optimizer(self, steps: int) -> keras.optimizers.Optimizer:
        """Return a new optimizer.

        Args:
            steps: Steps of an epoch.
        """
        check_choice("schedule", self.schedule, SCHEDULES)
        settings: dict[str, Any] = {
            "weight_decay": self.weight_decay or None,
            "clipnorm": self.clipnorm,
            **averaging(self.ema_momentum, steps),
        }
        if self.optimizer == "sgd":
            settings["momentum"] = self.momentum
        return OPTIMIZERS[self.optimizer](self._rate(steps), **settings)

    def _rate(self, steps: int) -> Any:
        total = steps * self.epochs
        if self.schedule == "staircase":
            return keras.optimizers.schedules.ExponentialDecay(
                self.learning_rate,
                steps * self.stair_epochs,
                decay_rate=0.75,
                staircase=True,
            )
        warmup = round(self.warmup * total)
        # With `alpha=1` the cosine stays where it is.
        alpha = self.floor if self.schedule == "cosine" else 1.0
        if warmup:
            return keras.optimizers.schedules.CosineDecay(
                0.0,
                total - warmup,
                alpha,
                warmup_target=self.learning_rate,
                warmup_steps=warmup,
            )
        return keras.optimizers.schedules.CosineDecay(
            self.learning_rate, total, alpha
        )

    def add_l2(self, model: keras.Model) -> None:
        """Add the penalty to the loss of a model."""
        if self.l2:
            for variable in model.trainable_variables:
                variable.regularizer = keras.regularizers.L2(self.l2 / 2)


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
        optimizers: Keys of `OPTIMIZERS`.

    Returns:
        Arguments of `Training`.
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
        "ema_momentum": "epoch" if averaged else None,
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
