"""A model seen as a function from named tensors to named tensors."""

import inspect
import re
from collections.abc import Iterable
from collections.abc import Mapping
from typing import Any

import keras
import numpy as np

from keras_seqattn._keras_internals import name_of
from keras_seqattn.models.burst_prop_network import BurstPropNetwork
from keras_seqattn.streaming.names import NEXT


class NamedModel:
    """The names, shapes and types that an artifact has.

    Inputs and outputs bear the model's own names: keys of a dictionary, names
    of `keras.Input`, names of the layers that give the outputs. Characters
    that not every format takes become `_`, and no name occurs twice.

    Args:
        model: A built model. Its inputs are a tensor, or a list or a
            dictionary of tensors; so are its outputs.
        batch_size: Number of sequences, or `None` for any.
        timesteps: Size of the second axis where the model leaves it free.

    Raises:
        TypeError: Not a `keras.Model`.
        ValueError: The model is not built, its inputs are nested deeper, or
            it is a class that takes more than one tensor.
    """

    def __init__(
        self,
        model: keras.Model,
        batch_size: int | None = None,
        timesteps: int | None = None,
    ) -> None:
        if not isinstance(model, keras.Model):
            raise TypeError(
                "`model` must be a `keras.Model`. "
                f"Received: model={model!r} of type {type(model).__name__}"
            )
        if not model.built:
            raise ValueError(
                "The model must be built: call it on data, or `fit` it, "
                f"before it is exported. Received: {model.name}, not built"
            )
        self.model = model
        self._inputs = _inputs(model)
        outputs = _outputs(model, self._inputs)
        tensors = _flat(self._inputs)
        names = _distinct(
            tensors
            if isinstance(self._inputs, Mapping)
            else map(name_of, tensors.values())
        )
        self.inputs = {
            name: keras.layers.InputSpec(
                shape=_sizes(tensor.shape, batch_size, timesteps),
                dtype=keras.backend.standardize_dtype(tensor.dtype),
                name=name,
            )
            for name, tensor in zip(names, tensors.values(), strict=True)
        }
        self.outputs = _distinct(_output_names(model, outputs), names)
        self._output_keys = list(_flat(outputs))

    @property
    def is_step(self) -> bool:
        """Whether it is a step model: states come back as `next_<state>`."""
        outputs = getattr(self.model, "output", None)
        if not isinstance(self._inputs, Mapping) or not isinstance(
            outputs, Mapping
        ):
            return False
        states = [
            (x, outputs[NEXT + name])
            for name, x in self._inputs.items()
            if NEXT + name in outputs
        ]
        return bool(states) and all(
            len(old.shape) == 2
            and (tuple(old.shape), old.dtype) == (tuple(new.shape), new.dtype)
            for old, new in states
        )

    def pack(self, named: Mapping[str, Any]) -> Any:
        """Put named inputs into the structure that the model takes."""
        return _like(self._inputs, [named[name] for name in self.inputs])

    def name(self, outputs: Any) -> dict[str, Any]:
        """Give the model's outputs their names."""
        # By key: a backend may sort a dictionary.
        found = _flat(outputs)
        tensors = (found[key] for key in self._output_keys)
        return dict(zip(self.outputs, tensors, strict=True))

    def predict(self, named: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Run the model on one batch of named arrays."""
        outputs = self.name(self.model.predict_on_batch(self.pack(named)))
        return {
            name: np.asarray(keras.ops.convert_to_numpy(output))
            for name, output in outputs.items()
        }


def _inputs(model: keras.Model) -> Any:
    if isinstance(model, keras.Sequential) and len(model.inputs) == 1:
        return model.inputs[0]
    if hasattr(model, "inputs"):
        return model.input
    # A model that is a class has no inputs, but was built for a shape.
    shape = (model.get_build_config() or {}).get("input_shape")
    arguments = set(inspect.signature(model.call).parameters)
    if (
        not isinstance(shape, (list, tuple))
        or not all(size is None or isinstance(size, int) for size in shape)
        or len(arguments - {"training", "mask"}) != 1
    ):
        raise ValueError(
            "A model that is a class of its own must take one tensor. For "
            "more, call it on `keras.Input`s, one by one, and export the "
            "functional model `keras.Model(inputs, model(...))`. Received: "
            f"{model.name}, a {type(model).__name__} whose `call` takes "
            f"{sorted(arguments)}, built for {shape}"
        )
    if isinstance(model, BurstPropNetwork) and model.mode == "temporal":
        # Built for the length that it saw first, it takes any.
        shape = (None, None, shape[-1])
    return keras.KerasTensor(shape, model.input_dtype, name="input")


def _outputs(model: keras.Model, inputs: Any) -> Any:
    if isinstance(model, keras.Sequential):
        return model.outputs[0]
    if hasattr(model, "inputs"):
        return model.output
    return model.compute_output_spec(inputs)


def _output_names(model: keras.Model, outputs: Any) -> Iterable[str]:
    if isinstance(outputs, Mapping):
        return outputs
    if isinstance(model, keras.Sequential):
        return [model.layers[-1].name]
    if hasattr(model, "output_names"):
        return model.output_names
    count = len(_flat(outputs))
    return ["output"] if count == 1 else [f"output_{i}" for i in range(count)]


def _flat(structure: Any) -> dict[Any, Any]:
    """The tensors of a structure, by key or position."""
    if isinstance(structure, Mapping):
        tensors = dict(structure)
    elif isinstance(structure, (list, tuple)):
        tensors = dict(enumerate(structure))
    else:
        tensors = {0: structure}
    nested = [
        key
        for key, tensor in tensors.items()
        if isinstance(tensor, (Mapping, list, tuple))
    ]
    if nested:
        raise ValueError(
            "A model's inputs and outputs must be a tensor, or a list or "
            "dictionary of tensors. Received: lists or dictionaries within "
            f"one, at {nested}"
        )
    return tensors


def _like(structure: Any, tensors: list[Any]) -> Any:
    if isinstance(structure, Mapping):
        return dict(zip(structure, tensors, strict=True))
    return tensors if isinstance(structure, (list, tuple)) else tensors[0]


def _sizes(
    shape: tuple[int | None, ...],
    batch_size: int | None,
    timesteps: int | None,
) -> tuple[int | None, ...]:
    sizes = [batch_size, *shape[1:]]
    if len(sizes) > 1 and sizes[1] is None:
        sizes[1] = timesteps
    return tuple(sizes)


def _distinct(names: Iterable[Any], taken: Iterable[str] = ()) -> list[str]:
    """The names in letters, digits and `_`, none of them twice or taken."""
    found: list[str] = []
    for name in names:
        name = re.sub(r"\W", "_", str(name), flags=re.ASCII)
        while name in found or name in taken:
            name += "_out" if name in taken else "_again"
        found.append(name)
    return found
