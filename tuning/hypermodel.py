"""What the hypermodels of all stems have in common."""

import abc
import dataclasses
from collections.abc import Callable
from collections.abc import Sequence
from typing import Any
from typing import ClassVar

import keras
import keras_tuner
import numpy as np

from keras_seqattn._checks import check_choice
from keras_seqattn._training.epoch_bar import EpochBar
from keras_seqattn._training.recipe import Recipe
from tuning.interrupt import StopAtInterrupt
from tuning.training import Validation


@dataclasses.dataclass(frozen=True)
class Configuration:
    """One point of a search space.

    Args:
        model: Arguments of the stem's builder.
        training: A `Recipe`.
        others: What else the stem's workflow takes.
    """

    model: dict[str, Any]
    training: Recipe
    others: dict[str, Any] = dataclasses.field(default_factory=dict)


Space = Callable[[keras_tuner.HyperParameters], Configuration]


class StemHyperModel(keras_tuner.HyperModel, abc.ABC):
    """A stem's builder and training, over one of its search spaces.

    `build` returns a compiled model, `fit` trains it and returns the metrics
    of its best epoch: any KerasTuner tuner can use it.

    Args:
        space: Key of `spaces`.
        data: Path of the data, or name of a generated task. Default: data
            that need no download.
        epochs: The most epochs of a training. Default: the space's.
        fold: Which part of the data validates, from 0 on.

    Attributes:
        objective: Name and direction of the metric that is searched for.
        spaces: Search spaces by name. `"defaults"` has one point: the
            builder's own.
        folds: Number of parts that may validate.
    """

    objective: ClassVar[keras_tuner.Objective]
    spaces: ClassVar[dict[str, Space]]
    folds: ClassVar[int] = 1

    def __init__(
        self,
        space: str = "modern",
        data: str | None = None,
        epochs: int | None = None,
        fold: int = 0,
    ) -> None:
        super().__init__()
        self.space = check_choice("space", space, self.spaces)
        self.data = data
        self.epochs = epochs
        self.fold = check_choice("fold", fold, range(self.folds))

    @abc.abstractmethod
    def build_model(self, configuration: Configuration) -> keras.Model:
        """Return an uncompiled model."""

    @abc.abstractmethod
    def batches(
        self, configuration: Configuration, seed: int
    ) -> dict[str, Any]:
        """Return the training batches, as arguments of `fit`."""

    @abc.abstractmethod
    def validation(self, configuration: Configuration) -> np.ndarray:
        """Return the inputs that validate."""

    @abc.abstractmethod
    def measure(self, outputs: np.ndarray) -> dict[str, float]:
        """Return the metrics of a model's outputs for `validation`."""

    @abc.abstractmethod
    def loss(self, configuration: Configuration) -> Any:
        """Return the loss, for `compile`."""

    def recipe(self, configuration: Configuration) -> Recipe:
        """Return the recipe, as far as the data allow it."""
        return configuration.training

    def level(self) -> float | None:
        """Return what a guess gets, `None` if that says nothing early."""
        return None

    def deploy(
        self, model: keras.Model, configuration: Configuration
    ) -> keras.Model:
        """Return what is saved of a trained model."""
        return model

    def point(self, hp: keras_tuner.HyperParameters) -> Configuration:
        """Return the space's `Configuration`."""
        return self.spaces[self.space](hp)

    def declare_hyperparameters(self, hp: keras_tuner.HyperParameters) -> None:
        self.configuration(hp)

    def configuration(self, hp: keras_tuner.HyperParameters) -> Configuration:
        """Return the point of the space that `hp` stands for."""
        found = self.point(hp)
        # Hyperband gives its trials an epoch count of their own. Each trains
        # from the start, so that its settings alone give its score again.
        epochs = hp.values.get("tuner/epochs", self.epochs)
        if epochs is None:
            return found
        training = dataclasses.replace(found.training, epochs=epochs)
        return dataclasses.replace(found, training=training)

    def build(self, hp: keras_tuner.HyperParameters) -> keras.Model:
        configuration = self.configuration(hp)
        training = configuration.training
        model = self.build_model(configuration)
        training.add_l2(model)
        steps = _steps(**self.batches(configuration, 0))
        model.compile(
            training.make_optimizer(steps), loss=self.loss(configuration)
        )
        return model

    def fit(
        self,
        hp: keras_tuner.HyperParameters,
        model: keras.Model,
        *,
        seed: int = 0,
        title: str = "",
        callbacks: Sequence[keras.callbacks.Callback] = (),
        verbose: int = 0,
    ) -> dict[str, float]:
        """Train a model that `build` returned.

        Args:
            hp: The parameters it was built with.
            model: The model. It keeps the weights of its best epoch.
            seed: Integer >= 0, for the batches. The model's weights and its
                dropout depend on `keras.utils.set_random_seed` before `build`.
            title: Above the progress bar.
            callbacks: Keras callbacks. They see the validation metrics.
            verbose: 0 is silent, 1 shows a progress bar over the epochs.

        Returns:
            The metrics of the best epoch; `best_epoch` and `epochs`, how many
            there were; `hopeless`, 1 if there were less for being no better
            than a guess.

        Raises:
            keras_tuner.errors.FailedTrialError: The training ended in NaN.
        """
        configuration = self.configuration(hp)
        training = configuration.training
        validation = Validation(
            self.validation(configuration),
            self.measure,
            self.objective,
            self.level(),
            training.patience,
        )
        bar = [EpochBar(title)] if verbose else []
        history = model.fit(
            **self.batches(configuration, seed),
            epochs=training.epochs,
            verbose=0,
            callbacks=[
                *training.callbacks(),
                validation,
                *callbacks,
                StopAtInterrupt(),
                *bar,
            ],
        )
        return {
            **validation.best,
            "best_epoch": float(validation.best_epoch),
            "epochs": float(len(history.epoch)),
            "hopeless": float(validation.hopeless),
        }


def _steps(x: Any, batch_size: int = 1, **others: Any) -> int:
    """Return how many steps `fit` makes in an epoch."""
    return -(-len(x) // batch_size)
