"""What a network that learns by bursts is like, epoch after epoch."""

from collections.abc import Sequence
from typing import Any
from typing import NamedTuple

import keras
import numpy as np
from keras import ops

from keras_seqattn.models import BurstPropNetwork


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

    In mode `"temporal"` the network runs over the sequences from rest, with a
    teacher in the steps that `sample_weight` says and its weights held fixed.
    Gradients are sums over those steps, with traces in the place of inputs.
    Backprop's takes one step at a time: it does not go back through the
    traces. Feedback goes to each hidden layer directly, so the one to layer `n
    - 1` is compared with the product of all kernels from layer `n` up.

    Order matters in `fit(callbacks=[...])`: callbacks see the numbers if they
    come after this one, as `CSVLogger`, `TensorBoard`, or an `EarlyStopping`
    that watches one of them should. Those that change weights, such as
    `BackupAndRestore`, come before it. Keras' own history and progress bar
    come last by themselves.

    Training is the same as without it: it draws no random numbers and changes
    no weight, metric or optimizer.

    Args:
        x: `(examples, features)`, what is measured on. A few hundred examples
            are enough; they are computed at once. In mode `"temporal"`
            `(sequences, time, features)`.
        y: `(examples, outputs)` or `(sequences, time, outputs)`, their targets
            in [0, 1].
        sample_weight: In mode `"temporal"`: `(sequences, time)`, above 0 where
            there is a teacher. Default: in every tenth step.

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

    def __init__(self, x: Any, y: Any, sample_weight: Any = None) -> None:
        super().__init__()
        self.x, self.y = np.asarray(x), np.asarray(y)
        self.sample_weight = sample_weight
        self.baseline: dict[str, float] = {}

    def measure(self, model: BurstPropNetwork) -> dict[str, float]:
        """Return the numbers of the model as it is now, by name.

        A model that is not built is built for `x`.
        """
        self._check(model)
        dtype = model.variable_dtype
        x = ops.convert_to_tensor(self.x, dtype)
        y = ops.convert_to_tensor(self.y, dtype)
        if model.mode == "temporal":
            taught = self._taught()
            _check_share(taught)
            taught = ops.convert_to_tensor(taught, dtype)
            layers = _in_time(model, x, y, taught)
        else:
            layers = _at_once(model, x, y)
        found: dict[str, float] = {}
        for number, layer in enumerate(layers):
            name = f"layer_{number}"
            found[f"{name}/angle_to_backprop"] = _angle(
                layer.gradient, layer.backprop
            )
            if number:
                found[f"{name}/angle_to_feedback"] = _angle(
                    layer.forward, layer.feedback
                )
            if layer.potential is not None:
                p = ops.sigmoid(layer.potential)
                found[f"{name}/apical_potential"] = _mean(
                    ops.abs(layer.potential)
                )
                found[f"{name}/burst_slope"] = _mean(p * (1 - p))
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
        axes, first = "examples", self.x.shape[:1]
        if model.mode == "temporal":
            axes, first = "sequences, time", self.x.shape[:2]
        features = model.burst_layers[0].kernel.shape[0]
        outputs = model.units[-1]
        x, y = self.x.shape, self.y.shape
        if x != (*first, features) or y != (*first, outputs) or 0 in first:
            raise ValueError(
                "`x` and `y` of `BurstPropMonitor` must have the shapes "
                f"({axes}, {features}) and ({axes}, {outputs}) of the "
                "model's input and output, and not be empty. Make "
                "classes one-hot: `keras.utils.to_categorical(y)`. "
                f"Received: x.shape={x}, y.shape={y}"
            )
        weight = np.shape(self.sample_weight)
        if self.sample_weight is not None and weight != first:
            raise ValueError(
                "`sample_weight` of `BurstPropMonitor` must have the shape "
                f"{first}, of `x` without its features. "
                f"Received: sample_weight.shape={weight}"
            )

    def _taught(self) -> np.ndarray:
        if self.sample_weight is None:
            weight = np.zeros(self.x.shape[:2])
            weight[:, 9::10] = 1
        else:
            weight = np.asarray(self.sample_weight)
        return weight[..., None] > 0


def _check_share(taught: np.ndarray) -> None:
    """Raise unless some steps have a teacher, and some have none."""
    share = taught.mean()
    if not 0 < share < 1:
        raise ValueError(
            "`BurstPropMonitor` needs steps with a teacher and steps "
            "without one: at least ten steps, or a `sample_weight` "
            "that says which. Received: a teacher in "
            f"{share:.0%} of {taught.shape[:2]} steps"
        )


class _Layer(NamedTuple):
    """What is compared in a layer; `potential` is `None` in the last."""

    gradient: Any
    backprop: Any
    forward: Any
    feedback: Any
    potential: Any


def _at_once(model: BurstPropNetwork, x: Any, y: Any) -> list[_Layer]:
    bursts = model.bursts(model.event_rates(x, training=False), y)
    events = [own.events for own in bursts]
    signals = _backprop_signals(model, events, events[-1] - y)
    return [
        _Layer(
            layer.kernel_update(own.inputs, own.update),
            layer.kernel_update(own.inputs, signal),
            layer.kernel,
            layer.feedback_kernel,
            own.potential,
        )
        for layer, own, signal in zip(
            model.burst_layers, bursts, signals, strict=True
        )
    ]


def _in_time(
    model: BurstPropNetwork, x: Any, y: Any, taught: Any
) -> list[_Layer]:
    output, changes, events = model.frozen_run(x, y, taught)
    taught, y = (ops.transpose(values, (1, 0, 2)) for values in (taught, y))
    error = ops.where(taught > 0, y - output, 0.0)
    free = ops.squeeze(taught, -1) == 0
    signals = _backprop_signals(model, [*events, output], error)
    forward: Any = model.burst_layers[-1].kernel
    ways = [forward]
    for layer in model.burst_layers[-2:0:-1]:
        forward = ops.matmul(layer.kernel, forward)
        ways.append(forward)
    layers = []
    for layer, change, signal, way, feedback in zip(
        model.burst_layers,
        changes,
        signals,
        [None, *ways[::-1]],
        [None, *model.feedback_kernels],
        strict=True,
    ):
        layers.append(
            _Layer(
                layer.kernel_update(_all(change.trace), _all(change.delta)),
                layer.kernel_update(_all(change.trace), _all(signal)),
                way,
                feedback,
                None if change.potential is None else change.potential[free],
            )
        )
    return layers


def _all(values: Any) -> Any:
    """All steps of all sequences, as if they were examples."""
    return ops.reshape(values, (-1, values.shape[-1]))


def _backprop_signals(
    model: BurstPropNetwork, events: Sequence[Any], error: Any
) -> list[Any]:
    """Backprop of an output error to each layer's drive, lowest first."""
    signals = []
    for layer, e in zip(model.burst_layers[::-1], events[::-1], strict=True):
        signal = error * e * (1 - e)
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
