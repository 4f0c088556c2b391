"""Weights averaged over the steps of a training, by an average that warms up.

Keras' own average has one momentum for all steps: that of a short training
keeps where the training began. Here the momentum rises with the steps, to the
highest that is wanted, so that the average remembers about the last tenth of
the training so far at most.
"""

from typing import Any

import keras
from keras import ops

from keras_seqattn._checks import check_rate

EPOCH = "epoch"


def check_average(name: str, value: Any) -> Any:
    """Return `value`, or raise if it is no `average` of a recipe."""
    if value is None or (isinstance(value, str) and value == EPOCH):
        return value
    if isinstance(value, str):
        raise ValueError(
            f"`{name}` must be a number, {EPOCH!r} or `None`. "
            f"Received: {name}={value!r}"
        )
    return check_rate(name, value)


def highest_momentum(average: float | str, steps: int) -> float:
    """Return the momentum that an average rises to.

    Args:
        average: In [0, 1), or `"epoch"`: one that remembers about the steps
            of one epoch.
        steps: Of an epoch.
    """
    return 1 - 1 / steps if average == EPOCH else float(average)


class WarmAverage:
    """An optimizer whose average of the weights warms up.

    With `use_ema`, the average after step t (from 0) is

        average = m * average + (1 - m) * weights
        m = min(ema_momentum, (1 + t) / (10 + t)),  0 in the first step.

    `keras.callbacks.SwapEMAWeights` takes it as it takes Keras' own. On torch,
    where Keras' own four update all variables at once, it takes one after the
    other: some milliseconds a step.
    """

    iterations: Any

    @property
    def ema_momentum(self) -> Any:
        """That of this step, a tensor: Keras asks for it in each one."""
        step = ops.cast(self.iterations, "float32")
        return ops.minimum(self._highest_momentum, (1 + step) / (10 + step))

    @ema_momentum.setter
    def ema_momentum(self, highest: float) -> None:
        self._highest_momentum = highest

    def get_config(self) -> dict[str, Any]:
        config: dict[str, Any] = super().get_config()  # type: ignore[misc]
        return {**config, "ema_momentum": self._highest_momentum}


@keras.saving.register_keras_serializable("keras_seqattn")
class AveragedAdam(WarmAverage, keras.optimizers.Adam):
    """Adam with a `WarmAverage`."""


@keras.saving.register_keras_serializable("keras_seqattn")
class AveragedNadam(WarmAverage, keras.optimizers.Nadam):
    """Nadam with a `WarmAverage`."""


@keras.saving.register_keras_serializable("keras_seqattn")
class AveragedRMSprop(WarmAverage, keras.optimizers.RMSprop):
    """RMSprop with a `WarmAverage`."""


@keras.saving.register_keras_serializable("keras_seqattn")
class AveragedSGD(WarmAverage, keras.optimizers.SGD):
    """SGD with a `WarmAverage`."""
