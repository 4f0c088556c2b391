"""Weights averaged over the steps of a training, for `fit`."""

from typing import Any

import keras

from keras_seqattn._checks import check_rate

EPOCH = "epoch"


def check_momentum(value: Any) -> Any:
    """Return `value`, or raise if it is no `ema_momentum`."""
    if value in (None, EPOCH):
        return value
    if isinstance(value, str):
        raise ValueError(
            f"`ema_momentum` must be a number, {EPOCH!r} or `None`. "
            f"Received: ema_momentum={value!r}"
        )
    return check_rate("ema_momentum", value)


def averaging(momentum: Any, steps: int) -> dict[str, Any]:
    """Return a Keras optimizer's arguments.

    Args:
        momentum: In [0, 1), or `"epoch"`: the average remembers about the
            steps of one epoch, so that a short training does not keep where
            it began. `None` averages nothing.
        steps: Of an epoch.
    """
    if momentum == EPOCH:
        momentum = 1 - 1 / steps
    return {"use_ema": momentum is not None, "ema_momentum": momentum or 0.0}


def average_callbacks(momentum: Any) -> list[keras.callbacks.Callback]:
    """Return what puts the averages in the model between epochs.

    Callbacks after it see, score and keep the averages.
    """
    if momentum is None:
        return []
    return [keras.callbacks.SwapEMAWeights(swap_on_epoch=True)]
