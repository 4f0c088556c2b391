"""One compiled model that starts anew from any seed."""

from collections.abc import Callable
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np

from keras_seqattn._training.epoch_bar import EpochBar


class EndedInNaN(ValueError):
    """A training whose loss or metrics are no numbers in the end."""


class SeededModel:
    """One compiled model that starts anew from any seed.

    Tracing a model takes seconds, so trainings of equal shapes share one.
    What a training starts from (weights, dropout's generators, the optimizer)
    is put back before each, so that it depends on its seed alone.

    Args:
        build: Function without arguments to an uncompiled model.
        optimizer: A Keras optimizer.
        loss: As for `keras.Model.compile`.
        batch: `(x, y)` or `(x, y, weights)`, one batch as in training.
        metrics: As for `keras.Model.compile`.
    """

    def __init__(
        self,
        build: Callable[[], keras.Model],
        optimizer: keras.optimizers.Optimizer,
        loss: Any,
        batch: tuple[np.ndarray, ...],
        metrics: Sequence[str] = (),
    ) -> None:
        self._build = build
        self.model = build()
        variables = list(self.model.variables)
        self.model.compile(optimizer, loss=loss, metrics=list(metrics) or None)
        optimizer.build(self.model.trainable_variables)
        self._fresh = [
            keras.ops.convert_to_numpy(variable)
            for variable in optimizer.variables
        ]
        self._variables = [*variables, *optimizer.variables]
        # The first step of a model draws random numbers that later ones do
        # not. After it, all seeds shuffle alike. It is a step of `fit`, and
        # there is a row left for another: else what it compiles is compiled
        # again for `fit`.
        size = len(batch[0])
        x, y, *weights = (np.concatenate([a, a[:1]]) for a in batch)
        self.model.fit(
            x,
            y,
            sample_weight=weights[0] if weights else None,
            batch_size=size,
            steps_per_epoch=1,
            verbose=0,
        )

    def fit(
        self,
        seed: int,
        *data: Any,
        title: str,
        verbose: int,
        callbacks: Sequence[keras.callbacks.Callback] = (),
        **arguments: Any,
    ) -> dict[str, list[float]]:
        """Train from the start of a seed, and return Keras' history.

        Args:
            seed: Integer, for `keras.utils.set_random_seed`.
            *data: As for `keras.Model.fit`.
            title: What is trained, above the progress bar and in errors.
            verbose: 0 is silent, 1 shows a progress bar over epochs.
            callbacks: Called before the progress bar.
            **arguments: As for `keras.Model.fit`.

        Raises:
            EndedInNaN: The loss or a metric did, a `ValueError`.
        """
        keras.utils.set_random_seed(seed)
        start = map(keras.ops.convert_to_numpy, self._build().variables)
        for variable, value in zip(
            self._variables, [*start, *self._fresh], strict=True
        ):
            variable.assign(value)
        history = self.model.fit(
            *data,
            verbose=0,
            callbacks=[
                *callbacks,
                keras.callbacks.TerminateOnNaN(),
                *([EpochBar(title)] if verbose else []),
            ],
            **arguments,
        ).history
        # Callbacks may log what has no value.
        own = {metric.name for metric in self.model.metrics} | {"accuracy"}
        last = {
            name: values[-1]
            for name, values in history.items()
            if name.removeprefix("val_") in own
        }
        if not last or not np.isfinite(list(last.values())).all():
            raise EndedInNaN(
                f"The training of {title!r} ended in NaN. Use a smaller "
                f"`learning_rate`. Received: {last}"
            )
        return history
