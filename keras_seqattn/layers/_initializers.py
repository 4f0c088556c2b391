"""One initializer for several weights."""

from collections.abc import Callable
from typing import Any

import keras
from keras import ops


def own_initializer(initializer: Any) -> Any:
    """A copy: an unseeded initializer draws the same numbers every time."""
    if isinstance(initializer, keras.initializers.Initializer):
        return initializer.clone()
    return initializer


def stacked_initializer(
    initializer: Any, count: int
) -> Callable[[Any, Any], Any]:
    """For a weight (count, ...) that is `count` weights side by side.

    Each has the scale of a weight of its own; from a seeded initializer, with
    seeds that follow each other, they differ too.
    """

    def draw(shape: Any, dtype: Any = None) -> Any:
        drawn = []
        for index in range(count):
            one = own_initializer(initializer)
            if isinstance(getattr(one, "seed", None), int):
                config = {**one.get_config(), "seed": one.seed + index}
                one = type(one).from_config(config)
            drawn.append(one(shape[1:], dtype=dtype))
        return ops.stack(drawn)

    return draw
