"""What a network that learns by bursts is like, epoch after epoch."""

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

from keras_seqattn.models import BurstPropNetwork
from keras_seqattn.models.burst_prop_network import LayerBursts


class BurstPropMonitor(keras.callbacks.Callback):
    """Measures how a `BurstPropNetwork` learns, on the same examples always.

    At the end of each epoch it adds these numbers to `logs`, where `n` counts
    layers from 0, the lowest:

    ```
    layer_n/angle_to_backprop   degrees, every layer: from the kernel gradient
                                of backprop to that of the bursts
    layer_n/angle_to_feedback   degrees, every layer but the first: between
                                the kernel and the feedback kernel; 0 if tied
    layer_n/apical_potential    hidden layers: mean |u| without a teacher
    layer_n/burst_slope         hidden layers: mean p (1 - p) without a
                                teacher, at most 0.25; near 0 the layer is
                                saturated, and what comes down is lost
    ```

    Backprop's gradient is that of half the squared error of the same network
    with the same weights, computed layer by layer:

    ```
    output layer    d = (e - y) e (1 - e)
    hidden layers   d = (d W^T of the layer above) e (1 - e)
    kernel          x^T d, a sum over the examples
    ```

    The angle is between kernel gradients and not between the signals `d` and
    `update` of single examples, because it is the gradient that moves the
    weights: a small step along it lowers the error of these examples if and
    only if the angle is below 90 degrees. A mean of the examples' angles says
    less: examples that are learned, and teach nothing any more, count in it as
    much as the others. The output layer's angle is 0 but for rounding, since
    its rule is backprop's. An angle to a vector of zeros is NaN.

    Order matters in `fit(callbacks=[...])`: callbacks see the numbers if they
    come after this one, as `CSVLogger`, `TensorBoard`, or an `EarlyStopping`
    that watches one of them should. Those that change weights, such as
    `BackupAndRestore`, come before it. Keras' own history and progress bar
    come last by themselves.

    Training is the same as without it: it draws no random numbers and changes
    no weight, metric or optimizer.

    Args:
        x: `(examples, features)`, what is measured on. A few hundred examples
            are enough; they are computed at once.
        y: `(examples, outputs)`, their targets in [0, 1].

    Attributes:
        baseline: Dictionary of the same numbers before the first epoch of the
            last `fit`. The logs have no place for it.

    Raises:
        ValueError: A model that is not a `BurstPropNetwork`, or `x` and `y`
            that do not fit it, when training starts.

    Example:
    ```python
    import keras
    import numpy as np
    import keras_seqattn as ks
    from keras_seqattn.callbacks import BurstPropMonitor

    x = np.random.default_rng(0).normal(size=(64, 8))
    y = keras.utils.to_categorical(x[:, 0] > 0, 2)
    model = ks.models.BurstPropNetwork([16, 2], feedback="kolen_pollack")
    model.compile(keras.optimizers.SGD(1.0), "mse")
    monitor = BurstPropMonitor(x, y)
    fitted = model.fit(x, y, epochs=3, verbose=0, callbacks=[monitor])
    print(len(fitted.history["layer_0/angle_to_backprop"]))  # 3
    print(sorted(monitor.baseline)[0])  # layer_0/angle_to_backprop
    ```
    """

    def __init__(self, x: Any, y: Any) -> None:
        super().__init__()
        self.x, self.y = np.asarray(x), np.asarray(y)
        self.baseline: dict[str, float] = {}

    def measure(self, model: BurstPropNetwork) -> dict[str, float]:
        """Return the numbers of the model as it is now, by name.

        A model that is not built is built for `x`.
        """
        self._check(model)
        x, y = (
            ops.convert_to_tensor(values, dtype=model.variable_dtype)
            for values in (self.x, self.y)
        )
        bursts = model.bursts(model.event_rates(x, training=False), y)
        signals = _backprop_signals(model, bursts, y)
        found: dict[str, float] = {}
        for number, (layer, own, signal) in enumerate(
            zip(model.burst_layers, bursts, signals, strict=True)
        ):
            found[f"layer_{number}/angle_to_backprop"] = _angle(
                layer.kernel_update(own.inputs, own.update),
                layer.kernel_update(own.inputs, signal),
            )
            if number:
                found[f"layer_{number}/angle_to_feedback"] = _angle(
                    layer.kernel, layer.feedback_kernel
                )
            if own.potential is not None:
                p = layer.hidden_burst_probability(own.potential)
                found[f"layer_{number}/apical_potential"] = _mean(
                    ops.abs(own.potential)
                )
                found[f"layer_{number}/burst_slope"] = _mean(p * (1 - p))
        return found

    def on_train_begin(self, logs: Any = None) -> None:
        self.baseline = self.measure(self.model)

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        # On JAX `self.model` puts the weights in training into the model.
        found = self.measure(self.model)
        if logs is not None:
            logs.update(found)

    def _check(self, model: Any) -> None:
        if not isinstance(model, BurstPropNetwork):
            raise ValueError(
                "`BurstPropMonitor` measures a `BurstPropNetwork`. "
                f"Received: model={model!r}"
            )
        if not model.built:
            # TensorFlow builds a model with its first batch: after this.
            model.build((None, *self.x.shape[1:]))
        features = model.burst_layers[0].kernel.shape[0]
        outputs = model.units[-1]
        x, y = self.x.shape, self.y.shape
        if len(x) != 2 or x[1] != features or not x[0] or y != (x[0], outputs):
            raise ValueError(
                "`x` and `y` of `BurstPropMonitor` must have the shapes "
                f"(examples, {features}) and (examples, {outputs}) of the "
                "model's input and output, with at least one example. Make "
                "classes one-hot: `keras.utils.to_categorical(y)`. "
                f"Received: x.shape={x}, y.shape={y}"
            )


def _backprop_signals(
    model: BurstPropNetwork, bursts: Sequence[LayerBursts], targets: Any
) -> list[Any]:
    """The squared error's derivative by each layer's drive, lowest first."""
    *_, last = bursts
    error = last.events - targets
    signals = []
    for layer, own in zip(model.burst_layers[::-1], bursts[::-1], strict=True):
        signal = error * own.events * (1 - own.events)
        signals.append(signal)
        error = ops.matmul(signal, ops.transpose(layer.kernel))
    return signals[::-1]


def _mean(values: Any) -> float:
    return float(np.mean(ops.convert_to_numpy(values), dtype=np.float64))


def _angle(one: Any, other: Any) -> float:
    """Angle in degrees between two arrays of numbers.

    By half-angle tangent, as the arc cosine loses half its digits near 0.
    """
    directions = []
    for array in (one, other):
        vector = ops.convert_to_numpy(array).astype(np.float64).ravel()
        length = np.linalg.norm(vector)
        if not length:
            return float("nan")
        directions.append(vector / length)
    a, b = directions
    half = np.arctan2(np.linalg.norm(a - b), np.linalg.norm(a + b))
    return float(np.degrees(2 * half))
