"""What is fixed while a layer runs: its settings and its weights."""

from typing import Any
from typing import NamedTuple

import numpy as np
from keras import ops

NORMS = ("cell", "hidden", "attention", "key_value")


class Settings(NamedTuple):
    """What is fixed while a layer runs."""

    units: int
    num_heads: int
    positions: bool
    activation: bool
    normalization: str | None
    batch_statistics: bool = False
    # A cell's step by itself, whose numbers must have ranges that 8 bits
    # resolve: no score of -1e30, no exp of a projection.
    one_step: bool = False
    # Whether `scan` fuses the steps; such a graph cannot be exported.
    fused: bool = False

    @property
    def epsilon(self) -> float:
        return 1e-5 if self.normalization == "batch" else 1e-3

    @property
    def key_value_norm(self) -> str | None:
        return self.normalization if self.activation else None

    @property
    def norms(self) -> list[str]:
        """The normalizations there are, by name."""
        if self.normalization is None:
            return []
        return [n for n in NORMS if n != "key_value" or self.key_value_norm]

    @property
    def window_norm(self) -> str | None:
        """The normalization that depends on the window a row is in."""
        norm = self.key_value_norm
        return None if norm == "layer" and not self.positions else norm


class Norm(NamedTuple):
    """The weights of a normalization.

    Attributes:
        gamma: `(units,)`, scale.
        beta: `(units,)`, offset.
        mean: Moving mean, `(units,)`, of keys and values `(2, units)`, for
            "batch".
        variance: Moving variance, likewise.
    """

    gamma: Any
    beta: Any
    mean: Any = None
    variance: Any = None


class Weights(NamedTuple):
    """A cell's weights, and what every step needs of them.

    `None` is what the settings do without. Joined kernels stand side by side:
    one product gives both.

    Attributes:
        input_kernel: `(features, 5 * units)`, gates and query.
        state_kernel: `(units, 5 * units)`, gates and query.
        bias: `(5 * units,)`, gates and query.
        attention_kernel: `(units, 4 * units)`, gates.
        output_kernel: `(units, units)`.
        output_bias: `(units,)`.
        key_value_kernel: `(units, 2 * units)`, keys and values.
        position_bias: `(window, 1, 2 * units)`, of each age, oldest first.
            With positions.
        row_bias: `(2 * units,)`. Without positions.
        cell_norm: Of the cell, a `Norm`, as those that follow.
        hidden_norm: Of the hidden state.
        attention_norm: Of what attention heard.
        key_value_norm: Of keys and values.
        hidden_mask: `(batch, units)`, dropout of the hidden state.
        attention_mask: `(window, batch, heads)`, dropout of the scores.
        head_sums: `(units, heads)`, from here on from `with_constants`. Sums
            within heads.
        score_sums: `(units, heads)`, the same, scaled as scores are.
        repeat: `(heads, units)`, repeats for each head.
        double_repeat: `(2 * heads, 2 * units)`, `repeat` of a pair.
        position_exp: exp(`position_bias`).
        position_less_one: `position_bias` - 1.
        one: 1.
        minus_one: -1.
    """

    input_kernel: Any
    state_kernel: Any
    bias: Any
    attention_kernel: Any
    output_kernel: Any
    output_bias: Any
    key_value_kernel: Any
    position_bias: Any = None
    row_bias: Any = None
    cell_norm: Any = None
    hidden_norm: Any = None
    attention_norm: Any = None
    key_value_norm: Any = None
    hidden_mask: Any = None
    attention_mask: Any = None
    head_sums: Any = None
    score_sums: Any = None
    repeat: Any = None
    double_repeat: Any = None
    position_exp: Any = None
    position_less_one: Any = None
    one: Any = None
    minus_one: Any = None


def with_constants(w: Weights, settings: Settings) -> Weights:
    """Add to the weights what every step needs and no step changes."""
    units, heads = settings.units, settings.num_heads

    def constant(value: Any) -> Any:
        return ops.convert_to_tensor(value, w.bias.dtype)

    # Sums within heads, and its transpose, which repeats for each head, are
    # products with a block matrix: the fastest form on all backends.
    blocks = np.repeat(np.eye(heads), units // heads, axis=0)
    double = np.repeat(np.eye(2 * heads), units // heads, axis=0)
    w = w._replace(
        head_sums=constant(blocks),
        score_sums=constant(blocks * (units // heads) ** -0.5),
        repeat=constant(blocks.T),
        double_repeat=constant(double.T),
    )
    if settings.positions and settings.activation:
        w = w._replace(
            one=constant(1.0),
            minus_one=constant(-1.0),
            position_exp=ops.exp(ops.clip(w.position_bias, -80, 80)),
            position_less_one=w.position_bias - 1,
        )
    return w
