"""How a model is trained: one recipe for every workflow and every search."""

import dataclasses
import json
import math
import os
import pathlib
from collections.abc import Callable
from collections.abc import Mapping
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np

from keras_seqattn._checks import check_choice
from keras_seqattn._checks import check_non_negative_number
from keras_seqattn._checks import check_positive_integer
from keras_seqattn._checks import check_positive_number
from keras_seqattn._checks import check_positive_rate
from keras_seqattn._checks import check_rate
from keras_seqattn._training import weight_averages
from keras_seqattn._training.weight_averages import check_average
from keras_seqattn._training.weight_averages import highest_momentum
from keras_seqattn.windows.batches import class_weights as balanced_weights

BALANCED = "balanced"
# Each without and with averaged weights.
OPTIMIZERS: dict[str, tuple[Any, Any]] = {
    "adam": (keras.optimizers.Adam, weight_averages.AveragedAdam),
    "nadam": (keras.optimizers.Nadam, weight_averages.AveragedNadam),
    "rmsprop": (keras.optimizers.RMSprop, weight_averages.AveragedRMSprop),
    "sgd": (keras.optimizers.SGD, weight_averages.AveragedSGD),
}
SCHEDULES = ("constant", "cosine", "cosine_by_epoch", "staircase")
# No recipe is as long.
MAX_BYTES = 2**20


@dataclasses.dataclass(frozen=True)
class Recipe:
    """How a model is trained.

    One class for all workflows: `decoding.Recipe`, `activity.Recipe` and
    `memory.Recipe` are the same, and a search (`tuning/`) writes its best one
    as `recipe.json`. To change a few settings of a workflow's own recipe, use
    `dataclasses.replace`. A workflow refuses settings that mean nothing to it.

    Args:
        epochs: Positive integer, the most epochs.
        batch_size: Positive integer, examples in a gradient step.
        learning_rate: Number above 0, the highest learning rate.
        optimizer: `"adam"`, `"nadam"`, `"rmsprop"` or `"sgd"`. `"adam"` with
            `weight_decay` is what is called AdamW.
        momentum: Number in [0, 1), of `"sgd"` alone.
        schedule: `"constant"`; `"cosine"`, down to the `floor` in the last
            step; `"cosine_by_epoch"`, the same curve from epoch to epoch, the
            floor never reached; or `"staircase"`, times `stair_factor` every
            `stair_epochs` epochs.
        floor: Number in [0, 1), share of the learning rate where a cosine
            ends.
        stair_epochs: Positive integer.
        stair_factor: Number in (0, 1].
        warmup: Number in [0, 1), share of all steps in which the learning
            rate rises from 0. For `"constant"` and `"cosine"`.
        average: If given, the weights are averaged over the steps, and the
            averages are scored and kept. The average after step t (from 0) is
            `m * average + (1 - m) * weights` with `m = min(highest, (1 + t) /
            (10 + t))` (0 in the first step), so that it forgets where the
            training began. `average` is this highest momentum, in [0, 1);
            `"epoch"` is `1 - 1 / steps of an epoch`.
        patience: Positive integer, epochs without a better score before a
            training stops; `None` for never.
        clipnorm: Number above 0, largest norm of a weight's gradient; `None`
            for any.
        weight_decay: Number in [0, 1), decoupled weight decay.
        l2: Number from 0: times the weights, added to the gradients.
        label_smoothing: Number in [0, 1), share of a target class that is
            spread over all classes.
        class_weights: What an example counts by its class: `None`, all alike;
            `"balanced"`, so that all classes of the training part count
            alike; or a number a class.
        augmentation: `None`, or a dictionary with the `name` of an
            augmentation and its settings, such as `{"name":
            "rotate_and_scale", "degrees": 30, "scale": 0.1}`; own ones are
            named by `activity.register_augmentation`.

    Raises:
        ValueError: A setting of the wrong type or out of its range.

    Example:
    ```python
    import dataclasses
    from keras_seqattn.decoding import RECIPE
    from keras_seqattn.decoding import Recipe

    recipe = dataclasses.replace(RECIPE, optimizer="nadam", warmup=0.1)
    recipe.save("recipe.json")
    print(Recipe.load("recipe.json") == recipe)  # True
    ```
    """

    epochs: int = 40
    batch_size: int = 64
    learning_rate: float = 3e-3
    optimizer: str = "adam"
    momentum: float = 0.9
    schedule: str = "cosine"
    floor: float = 0.0
    stair_epochs: int = 1
    stair_factor: float = 0.75
    warmup: float = 0.0
    average: float | str | None = None
    patience: int | None = None
    clipnorm: float | None = 1.0
    weight_decay: float = 0.0
    l2: float = 0.0
    label_smoothing: float = 0.0
    class_weights: str | Sequence[float] | None = None
    augmentation: dict[str, Any] | None = None

    def __post_init__(self) -> None:
        for name, check in _CHECKS.items():
            object.__setattr__(self, name, check(name, getattr(self, name)))
        if self.warmup and self.schedule not in ("constant", "cosine"):
            raise ValueError(
                "`warmup` is for the schedules 'constant' and 'cosine'. "
                f"Received: warmup={self.warmup}, schedule={self.schedule!r}"
            )

    def make_optimizer(self, steps: int) -> keras.optimizers.Optimizer:
        """Return a new optimizer.

        Args:
            steps: Steps of an epoch.
        """
        settings: dict[str, Any] = {
            "weight_decay": self.weight_decay or None,
            "clipnorm": self.clipnorm,
        }
        if self.optimizer == "sgd":
            settings["momentum"] = self.momentum
        plain, averaged = OPTIMIZERS[self.optimizer]
        if self.average is None:
            return plain(self.rate(steps), **settings)
        return averaged(
            self.rate(steps),
            use_ema=True,
            ema_momentum=highest_momentum(self.average, steps),
            **settings,
        )

    def rate(self, steps: int) -> Any:
        """Return the learning rate: a Keras schedule, or a number.

        That of `"cosine_by_epoch"` is the first one; `callbacks` change it.

        Args:
            steps: Steps of an epoch.
        """
        total = steps * self.epochs
        if self.schedule == "staircase":
            return keras.optimizers.schedules.ExponentialDecay(
                self.learning_rate,
                steps * self.stair_epochs,
                decay_rate=self.stair_factor,
                staircase=True,
            )
        warmup = min(round(self.warmup * total), total - 1)
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
        if self.schedule != "cosine":
            return self.learning_rate
        return keras.optimizers.schedules.CosineDecay(
            self.learning_rate, total, alpha
        )

    @property
    def counts_steps(self) -> bool:
        """Whether the learning rate depends on the steps of an epoch."""
        return self.schedule in ("cosine", "staircase") or self.warmup > 0

    def callbacks(self) -> list[keras.callbacks.Callback]:
        """Return what `fit` needs beside the optimizer, to be called first.

        Callbacks after it see, score and keep the averages of the weights.
        """
        callbacks: list[keras.callbacks.Callback] = []
        if self.schedule == "cosine_by_epoch":
            callbacks.append(
                keras.callbacks.LearningRateScheduler(self._rate_of_epoch)
            )
        if self.average is not None:
            callbacks.append(keras.callbacks.SwapEMAWeights(swap_on_epoch=True))
        return callbacks

    def early_stopping(self) -> keras.callbacks.Callback:
        """Return what stops `fit` by `val_loss`, and keeps the best weights.

        Without `patience` it stops nothing.
        """
        return keras.callbacks.EarlyStopping(
            patience=self.patience or self.epochs, restore_best_weights=True
        )

    def add_l2(self, model: keras.Model) -> keras.Model:
        """Add the penalty to the loss of a model, and return the model."""
        if self.l2:
            for variable in model.trainable_variables:
                variable.regularizer = keras.regularizers.L2(self.l2 / 2)
        return model

    def class_weight(
        self, y: np.ndarray, classes: int
    ) -> dict[int, float] | None:
        """Return the `class_weight` of `fit`.

        Args:
            y: Integer array, the training labels.
            classes: Number of classes.

        Raises:
            ValueError: Weights are given, but not one a class.
        """
        if self.class_weights is None:
            return None
        if isinstance(self.class_weights, str):
            return balanced_weights(y)
        if len(self.class_weights) != classes:
            raise ValueError(
                f"`class_weights` must be a number for each of the {classes} "
                f"classes. Received: class_weights={self.class_weights}"
            )
        return dict(enumerate(self.class_weights))

    def check_unused(self, *names: str, what: str) -> None:
        """Raise if a setting is given that means nothing to a workflow.

        Args:
            *names: Of the settings.
            what: What is trained, for the message.
        """
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            if field.name in names and value != field.default:
                raise ValueError(
                    f"`{field.name}` of a recipe means nothing to {what}: it "
                    f"must be {field.default}. Received: {field.name}={value!r}"
                )

    def to_dict(self) -> dict[str, Any]:
        """Return the settings, ready for JSON."""
        settings = dataclasses.asdict(self)
        if isinstance(self.class_weights, tuple):
            settings["class_weights"] = list(self.class_weights)
        return settings

    @classmethod
    def from_dict(cls, settings: Mapping[str, Any]) -> "Recipe":
        """Return the recipe of some settings; the others are as they are.

        Raises:
            ValueError: A setting that there is not, or that is wrong.
        """
        names = [field.name for field in dataclasses.fields(cls)]
        if not isinstance(settings, Mapping):
            raise ValueError(
                "A recipe must be a dictionary of its settings. "
                f"Received: {_short(settings)}"
            )
        unknown = [name for name in settings if name not in names]
        if unknown:
            raise ValueError(
                f"A recipe has the settings {names}. "
                f"Received: {_short(unknown)}"
            )
        return cls(**settings)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the settings to a JSON file."""
        text = json.dumps(self.to_dict(), indent=1, allow_nan=False)
        pathlib.Path(path).write_text(text + "\n")

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> "Recipe":
        """Read a recipe that `save` or a search has written.

        Raises:
            FileNotFoundError: There is no such file.
            ValueError: The file is no JSON, or no recipe.
        """
        place = os.fspath(path)
        if not os.path.exists(place):
            raise FileNotFoundError(f"There is no recipe at {place!r}.")
        with open(place, "rb") as file:
            data = file.read(MAX_BYTES + 1)
        if len(data) > MAX_BYTES:
            raise ValueError(
                f"{place!r} must be a recipe, of at most {MAX_BYTES} bytes. "
                "Received: more"
            )
        try:
            settings = json.loads(data)
        except (ValueError, RecursionError) as error:
            raise ValueError(
                f"{place!r} must be a recipe, in JSON. Received: {error}"
            ) from error
        try:
            return cls.from_dict(settings)
        except (ValueError, OverflowError) as error:
            raise ValueError(f"{place!r} is no recipe: {error}") from error

    def _rate_of_epoch(self, epoch: int) -> float:
        cosine = (1 + math.cos(math.pi * epoch / self.epochs)) / 2
        return self.learning_rate * (self.floor + (1 - self.floor) * cosine)


def _or_none(check: Callable[[str, Any], Any]) -> Callable[[str, Any], Any]:
    return lambda name, value: None if value is None else check(name, value)


def _check_class_weights(name: str, value: Any) -> Any:
    if value is None or (isinstance(value, str) and value == BALANCED):
        return value
    if not isinstance(value, (list, tuple)) or not value:
        raise ValueError(
            f"`{name}` must be `None`, {BALANCED!r} or a number a class. "
            f"Received: {name}={_short(value)}"
        )
    return tuple(check_non_negative_number(name, weight) for weight in value)


def _check_augmentation(name: str, value: Any) -> Any:
    if value is None:
        return None
    try:
        # A copy that can be saved and will come back as it is.
        plain = json.loads(json.dumps(value, allow_nan=False))
    except (TypeError, ValueError):
        plain = None
    if not isinstance(plain, dict) or not isinstance(plain.get("name"), str):
        raise ValueError(
            f"`{name}` must be `None` or a dictionary with a `name` and "
            f"settings, plain values that JSON can hold. "
            f"Received: {name}={_short(value)}"
        )
    return plain


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) < 200 else f"{text[:200]}..."


_CHECKS: dict[str, Callable[[str, Any], Any]] = {
    "epochs": check_positive_integer,
    "batch_size": check_positive_integer,
    "learning_rate": check_positive_number,
    "optimizer": lambda name, value: check_choice(name, value, OPTIMIZERS),
    "momentum": check_rate,
    "schedule": lambda name, value: check_choice(name, value, SCHEDULES),
    "floor": check_rate,
    "stair_epochs": check_positive_integer,
    "stair_factor": check_positive_rate,
    "warmup": check_rate,
    "average": check_average,
    "patience": _or_none(check_positive_integer),
    "clipnorm": _or_none(check_positive_number),
    "weight_decay": check_rate,
    "l2": check_non_negative_number,
    "label_smoothing": check_rate,
    "class_weights": _check_class_weights,
    "augmentation": _check_augmentation,
}
