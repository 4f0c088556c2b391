"""Training one network by one rule, at many learning rates."""

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np

from keras_seqattn._training.recipe import Recipe
from keras_seqattn._training.seeded_model import SeededModel
from keras_seqattn.learning_rules.images.methods import Method
from keras_seqattn.learning_rules.images.optimizer import LayerwiseSGD
from keras_seqattn.learning_rules.recipe import RECIPE
from keras_seqattn.learning_rules.search import Rates


class RuleTrainer:
    """Trains a network by one rule; one compiled model serves all trainings.

    Args:
        method: A `Method`.
        pixels: Number of inputs.
        units: Widths of all layers; the last is the number of classes.
        recipe: A `Recipe`, of which `epochs`, `batch_size` and `momentum` are
            taken. The methods' gradients are sums over a batch.

    Example:
    ```python
    import numpy as np
    from keras_seqattn.learning_rules import METHODS
    from keras_seqattn.learning_rules import Rates
    from keras_seqattn.learning_rules import RuleTrainer

    trainer = RuleTrainer(METHODS["burstprop"], 4, [6, 2])
    x = np.random.default_rng(0).uniform(size=(64, 4))
    y = (x[:, 0] > 0.5).astype(int)
    history = trainer.fit(Rates(0.1, 1.0), 0, x, y)
    print(sorted(history))  # ['accuracy', 'loss', 'mse']
    print(trainer.error(x, y) < 0.1)  # True
    ```
    """

    def __init__(
        self,
        method: Method,
        pixels: int,
        units: Sequence[int],
        recipe: Recipe = RECIPE,
    ) -> None:
        self.method = method
        self.pixels = pixels
        self.units = list(units)
        self.recipe = recipe
        self._network = SeededModel(
            lambda: method.build(units, pixels),
            LayerwiseSGD(momentum=recipe.momentum),
            method.loss,
            (
                np.zeros((recipe.batch_size, pixels), "float32"),
                np.zeros((recipe.batch_size, units[-1]), "float32"),
            ),
            metrics=("accuracy", "mse"),
        )
        self.model = self._network.model

    def sgd_rates(self, rates: Rates) -> Rates:
        """Return the rates as the optimizer has them."""
        return self.method.sgd_rates(rates)

    def fit(
        self,
        rates: Rates,
        seed: int,
        x: np.ndarray,
        y: np.ndarray,
        validation: tuple[np.ndarray, np.ndarray] | None = None,
        title: str = "",
        callbacks: Sequence[keras.callbacks.Callback] = (),
        verbose: int = 0,
    ) -> dict[str, list[float]]:
        """Train from the start of a seed.

        Args:
            rates: `Rates` in the method's units.
            seed: Integer, of the first weights and the order of the images.
            x: Array of shape `(images, pixels)`.
            y: Their classes, integers.
            validation: The same of other images, to watch.
            title: Above the progress bar.
            callbacks: Keras callbacks. What they add to an epoch's logs comes
                into the history.
            verbose: 0 is silent, 1 shows a progress bar.

        Returns:
            Keras' history.

        Raises:
            ValueError: The training ended in NaN.
        """
        if validation is not None:
            validation = validation[0], self._targets(validation[1])
        return self._network.fit(
            seed,
            x,
            self._targets(y),
            epochs=self.recipe.epochs,
            batch_size=self.recipe.batch_size,
            validation_data=validation,
            validation_batch_size=1000,
            callbacks=[_SetRates(self.sgd_rates(rates)), *callbacks],
            title=title,
            verbose=verbose,
        )

    def error(self, x: np.ndarray, y: np.ndarray) -> float:
        """Share of images that the network names wrongly."""
        outputs = self.model.predict(x, batch_size=1000, verbose=0)
        return float(np.mean(outputs.argmax(axis=-1) != y))

    def trained_model(self) -> keras.Model:
        """Return a copy of the network as it is now, not compiled.

        A file of it holds no `LayerwiseSGD`.
        """
        model = self.method.build(self.units, self.pixels)
        model.set_weights(self.model.get_weights())
        return model

    def _targets(self, y: np.ndarray) -> np.ndarray:
        return keras.utils.to_categorical(y, self.units[-1]).astype("float32")


class _SetRates(keras.callbacks.Callback):
    """The optimizer's rates, after `SeededModel` has put back its first."""

    def __init__(self, rates: Rates) -> None:
        super().__init__()
        self.rates = rates

    def on_train_begin(self, logs: Any = None) -> None:
        self.model.optimizer.learning_rate.assign(self.rates.output)
        self.model.optimizer.ratio.assign(self.rates.ratio)
