"""What the recurrent layers of this package share."""

from collections.abc import Sequence
from typing import Any

import keras
from keras import ops

from keras_seqattn._checks import check_mask
from keras_seqattn._keras_internals import TrackedStatesRNN


def cell_options(name: str, kwargs: dict[str, Any]) -> dict[str, Any]:
    """A cell's name, and what it has of its layer's further arguments."""
    return {
        "name": name,
        "dtype": kwargs.get("dtype"),
        "trainable": kwargs.get("trainable", True),
    }


class RecurrentLayer(TrackedStatesRNN):
    """`keras.layers.RNN` with a cell of its own.

    Its states are tracked, its input is checked, and its arguments are those
    of the cell and of `keras.layers.RNN`.
    """

    def __init__(self, cell: keras.layers.Layer, **kwargs: Any) -> None:
        super().__init__(cell, **kwargs)
        self.input_spec = keras.layers.InputSpec(ndim=3)
        # From Keras 3.16 on RNN says no, and the mask would end here.
        self.supports_masking = True

    def build(
        self, sequences_shape: Any, initial_state_shape: Any = None
    ) -> None:
        super().build(sequences_shape, initial_state_shape)
        self.input_spec = keras.layers.InputSpec(
            ndim=3, axes={-1: sequences_shape[-1]}
        )

    def _check_sequences(self, sequences: Any, mask: Any) -> Any:
        """Return the mask, or raise."""
        if sequences.shape[1] == 0:
            raise ValueError(
                f"`{type(self).__name__}` needs at least one timestep. "
                f"Received: sequences.shape={tuple(sequences.shape)}"
            )
        return None if mask is None else check_mask(mask, sequences.shape)

    def _check_state(self, state: Any, sequences: Any) -> list[Any]:
        try:
            state = [ops.convert_to_tensor(s) for s in state]
        except (TypeError, ValueError) as error:
            raise ValueError(
                f"`initial_state` must be {len(self.state_size)} tensors "
                f"(batch, width). Received: {state!r:.100}"
            ) from error
        widths = [s.shape[-1] if s.ndim == 2 else None for s in state]
        if widths != self.state_size:
            raise ValueError(
                f"`initial_state` must be {len(self.state_size)} tensors "
                "(batch, width), as `return_state=True` returns them, of the "
                f"widths {self.state_size}. Received: shapes "
                f"{[tuple(s.shape) for s in state]}"
            )
        batch = sequences.shape[0]
        sizes = {s.shape[0] for s in state} - {None}
        if batch is not None and sizes - {batch}:
            raise ValueError(
                f"The batch size of `{type(self).__name__}`'s states must be "
                "that of its input; a stateful layer keeps the one it was "
                f"built with. Received: states of {sorted(sizes)}, "
                f"inputs.shape={tuple(sequences.shape)}"
            )
        return [ops.cast(s, self.compute_dtype) for s in state]

    def _own_states(self, states: Any) -> list[Any]:
        # On torch, writing the new states would change what gradients need.
        return [ops.copy(s) if self.stateful else s for s in states]

    def _output_specs(
        self, sequences: Any, further: Sequence[tuple[int | None, ...]]
    ) -> Any:
        """Of the output, then of `further` shapes, then of the states."""
        shapes = self.compute_output_shape(sequences.shape)
        shapes = list(shapes) if self.return_state else [shapes]
        shapes[1:1] = further
        specs = tuple(
            keras.KerasTensor(shape, dtype=self.compute_dtype)
            for shape in shapes
        )
        return specs[0] if len(specs) == 1 else specs

    def compute_mask(self, sequences: Any, mask: Any) -> Any:
        mask = keras.tree.flatten(mask)[0]
        # For the first output; what else there is is 0 where it is False.
        return mask if self.return_sequences else None

    def get_config(self) -> dict[str, Any]:
        config = super().get_config()
        del config["cell"]
        return {**self.cell.get_config(), **config}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "RecurrentLayer":
        return cls(**config)
