"""What a decoder costs: numbers, bytes, and arithmetic a bin."""

import dataclasses
import math
from collections.abc import Callable
from typing import Any

import keras
import numpy as np

from keras_seqattn._keras_internals import run_through_graph
from keras_seqattn.layers.temporal_attention import TemporalAttention
from keras_seqattn.windows.standardizer import Standardize

_GRAPHS = (keras.Function, keras.Sequential)
COST_TITLES = ("parameters", "bytes", "multiply-adds a bin")


@dataclasses.dataclass(frozen=True)
class Costs:
    """What a decoder needs for one bin.

    Attributes:
        parameters: Numbers that it holds, without those that standardize.
        bytes: Their size: four each in float32.
        multiply_adds: Multiplications, most of them with an addition, for
            one decoded bin.
    """

    parameters: int
    bytes: int
    multiply_adds: int

    @classmethod
    def of(cls, parameters: int, multiply_adds: int) -> "Costs":
        """Return the costs of `parameters` numbers in float32."""
        return cls(int(parameters), 4 * int(parameters), int(multiply_adds))


def cost_cells(costs: Costs | None) -> list[str]:
    """Return the cells of a table under `COST_TITLES`."""
    if costs is None:
        return [""] * len(COST_TITLES)
    return [f"{number:,}" for number in dataclasses.astuple(costs)]


def model_costs(
    model: keras.Model, timesteps: int | None = None
) -> Costs | None:
    """Count what one window costs that is decoded anew.

    Counted are the products with weights, those of gates and states, of
    attention with the states, and two a value of a normalization; not
    additions, activations and softmax. All timesteps of the window count: a
    decoder that runs on bin by bin needs about one `timesteps`-th.

    Args:
        model: A functional or sequential model of one input, of `Dense`,
            `LSTM`, `GRU`, `SimpleRNN`, `Bidirectional`, `TemporalAttention`,
            `Normalization`, `LayerNormalization` and what has no weights;
            also of such models.
        timesteps: Length of the window, where the model leaves it free.

    Returns:
        `Costs`, or `None` for a model with other weights than these.

    Raises:
        ValueError: The length of the window is not known.

    Example:
    ```python
    import keras_seqattn as ks

    model = ks.models.build_neural_decoder(20, 96, pooling="last", units=8)
    print(ks.decoding.model_costs(model).parameters)  # 4066
    ```
    """
    # Neither of a subclassed model nor of one that was never built.
    shape = getattr(model, "input_shape", None)
    if not isinstance(shape, tuple) or not isinstance(model, _GRAPHS):
        return None
    sizes = [timesteps if size is None else size for size in shape[1:]]
    if None in sizes:
        raise ValueError(
            "`timesteps` must be given for a model whose windows may have any "
            f"length. Received: model.input_shape={shape}"
        )
    counter = _Counter()
    try:
        # Numbers, not symbols, which would leave their traces in the model.
        counter.run(model, np.zeros((1, *sizes), "float32"))
    except _Unknown:
        return None
    weights = [w for w in model.weights if not _standardizes(w)]
    return Costs(
        parameters=sum(math.prod(w.shape) for w in weights),
        bytes=sum(
            math.prod(w.shape) * np.dtype(_numpy_name(w.dtype)).itemsize
            for w in weights
        ),
        multiply_adds=counter.total,
    )


class _Unknown(Exception):
    """A layer whose products nobody has counted."""


class _Counter:
    """Runs a model, and counts products by the shapes that it meets."""

    def __init__(self) -> None:
        self.total = 0

    def run(self, model: Any, x: Any) -> Any:
        if isinstance(model, keras.Sequential):
            for layer in model.layers:
                x = self._call(layer, x)
            return x
        outputs = run_through_graph(model, [x], self._call)
        return outputs[0] if len(outputs) == 1 else outputs

    def _call(self, layer: Any, *arguments: Any, **options: Any) -> Any:
        if isinstance(layer, _GRAPHS):
            return self.run(layer, arguments[0])
        count = _COUNTS.get(type(layer))
        if count is not None:
            self.total += count(layer, tuple(arguments[0].shape[1:]))
        elif getattr(layer, "weights", None):
            raise _Unknown
        return layer(*arguments, **options)


def _dense(layer: Any, shape: tuple[int, ...]) -> int:
    return math.prod(shape) * layer.units


def _recurrent(gates: int, products: int) -> Callable[..., int]:
    def count(layer: Any, shape: tuple[int, ...]) -> int:
        steps, features = shape
        kernels = gates * (features + layer.units)
        return steps * layer.units * (kernels + products)

    return count


def _bidirectional(layer: Any, shape: tuple[int, ...]) -> int:
    count = _COUNTS.get(type(layer.forward_layer))
    if count is None:
        raise _Unknown
    return 2 * count(layer.forward_layer, shape)


def _attention(layer: Any, shape: tuple[int, ...]) -> int:
    steps, features = shape
    units = layer.kernel.shape[1]
    normalized = 2 * units if layer.normalize else 0
    return steps * (features * units + normalized + units + features)


def _normalization(layer: Any, shape: tuple[int, ...]) -> int:
    return 2 * math.prod(shape)


# Exact types: a subclass may compute anything.
_COUNTS: dict[type, Callable[[Any, tuple[int, ...]], int]] = {
    keras.layers.Dense: _dense,
    keras.layers.LSTM: _recurrent(4, 3),
    keras.layers.GRU: _recurrent(3, 3),
    keras.layers.SimpleRNN: _recurrent(1, 0),
    keras.layers.Bidirectional: _bidirectional,
    TemporalAttention: _attention,
    keras.layers.Normalization: _normalization,
    Standardize: _normalization,
    keras.layers.LayerNormalization: _normalization,
}


def _standardizes(weight: Any) -> bool:
    """Whether a weight is data's mean or variance, or a random state."""
    name = weight.path.rpartition("/")[2]
    return not weight.trainable and name in (
        "mean",
        "variance",
        "count",
        "seed_generator_state",
    )


def _numpy_name(dtype: Any) -> str:
    name = keras.backend.standardize_dtype(dtype)
    return "float16" if name == "bfloat16" else name
