"""Computing in float32 what half precision would spoil."""

from typing import Any

import keras
from keras import ops


def at_least_float32(tensor: Any) -> Any:
    """Return a float16 or bfloat16 tensor as float32, any other as it is."""
    dtype = keras.backend.standardize_dtype(tensor.dtype)
    return (
        ops.cast(tensor, "float32")
        if dtype in ("float16", "bfloat16")
        else tensor
    )
