"""Normalization over the features, or over the sequences of a batch."""

from typing import Any

import keras
from keras import ops

from keras_seqattn.layers._initializers import own_initializer
from keras_seqattn.layers._larnn.settings import Norm
from keras_seqattn.layers._larnn.settings import Settings


class NormWeights(keras.layers.Layer):
    """The weights of one normalization.

    Args:
        has_statistics: Whether there are moving statistics.
        groups: Number of tensors that share gamma and beta.
        gamma_initializer: Of `gamma`.
        beta_initializer: Of `beta`.
        **kwargs: As in every Keras layer.
    """

    def __init__(
        self,
        has_statistics: bool,
        groups: int,
        gamma_initializer: Any,
        beta_initializer: Any,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.has_statistics = has_statistics
        self.groups = groups
        self.gamma_initializer = gamma_initializer
        self.beta_initializer = beta_initializer

    def build(self, shape: tuple[int, ...]) -> None:
        for name in ("gamma", "beta"):
            weight = self.add_weight(
                name=name,
                shape=shape,
                initializer=own_initializer(
                    getattr(self, f"{name}_initializer")
                ),
                autocast=False,
            )
            setattr(self, name, weight)
        # Keys and values share gamma and beta, but not their statistics.
        shape = shape if self.groups == 1 else (self.groups, *shape)
        if self.has_statistics:
            for name, value in (("mean", "zeros"), ("variance", "ones")):
                weight = self.add_weight(
                    name=f"moving_{name}",
                    shape=shape,
                    initializer=value,
                    trainable=False,
                    autocast=False,
                    # Under a tf.distribute strategy: not one replica's.
                    aggregation="mean",
                )
                setattr(self, f"moving_{name}", weight)

    def tensors(self) -> Norm:
        """The weights as the steps take them."""
        names = ["gamma", "beta"]
        if self.has_statistics:
            names += ["moving_mean", "moving_variance"]
        return Norm(*(ops.multiply(getattr(self, name), 1) for name in names))


def standardize(
    settings: Settings,
    norm: Norm,
    x: Any,
    axes: tuple[int, ...],
    weight: Any,
) -> tuple[Any, Any, Any, Any]:
    """Return standardized x, 1 / deviation, mean, variance.

    Over the features ("layer"), over `axes` with the rows' `weight` ("batch"
    in training), or by moving statistics.
    """
    if settings.normalization == "batch":
        # Rows that do not count run on, and would grow without bounds.
        x = ops.where(weight > 0, x, 0)
    if settings.normalization == "layer":
        mean = ops.mean(x, axis=-1, keepdims=True)
        variance = ops.mean(ops.square(x - mean), axis=-1, keepdims=True)
    elif settings.batch_statistics:
        share = _shares(weight, axes)
        mean = ops.sum(share * x, axis=axes, keepdims=True)
        variance = ops.sum(
            share * ops.square(x - mean), axis=axes, keepdims=True
        )
    else:
        mean, variance = norm.mean, norm.variance
    if settings.one_step:  # Without a division, as its softmax.
        scale = ops.rsqrt(variance + settings.epsilon)
    else:
        scale = 1 / ops.sqrt(variance + settings.epsilon)
    return (x - mean) * scale, scale, mean, variance


def standardize_gradient(
    settings: Settings,
    d: Any,
    hat: Any,
    scale: Any,
    axes: tuple[int, ...],
    weight: Any,
) -> Any:
    """The gradient of x, from that of standardized x, `hat`."""
    if settings.normalization == "layer":
        return scale * (
            d
            - ops.mean(d, axis=-1, keepdims=True)
            - hat * ops.mean(d * hat, axis=-1, keepdims=True)
        )
    if settings.batch_statistics:
        share = _shares(weight, axes)
        return scale * (
            d
            - share * ops.sum(d, axis=axes, keepdims=True)
            - share * hat * ops.sum(d * hat, axis=axes, keepdims=True)
        )
    return scale * d


def _shares(weight: Any, axes: tuple[int, ...]) -> Any:
    """Each row's share of the batch statistics."""
    return weight / ops.maximum(ops.sum(weight, axes, keepdims=True), 1)


def normalize(
    settings: Settings, norm: Norm | None, x: Any, weight: Any
) -> tuple[Any, tuple[Any, Any] | None]:
    """Return normalized x (batch, units), and its mean and variance."""
    if norm is None:
        return x, None
    hat, _, mean, variance = standardize(settings, norm, x, (0,), weight)
    return hat * norm.gamma + norm.beta, (mean, variance)
