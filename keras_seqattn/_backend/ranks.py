"""Torch processes that train one model together."""

from collections.abc import Sequence
from typing import Any

import keras


def torch_ranks() -> int:
    """Number of torch processes that train together, 1 on other backends."""
    if keras.backend.backend() != "torch":
        return 1
    from torch import distributed

    if not distributed.is_available() or not distributed.is_initialized():
        return 1
    return int(distributed.get_world_size())


def sum_over_ranks(tensors: Sequence[Any]) -> list[Any]:
    """Return each tensor's sum over all ranks, the same on every rank."""
    if torch_ranks() == 1:
        return list(tensors)
    from torch import distributed

    sums = [tensor.detach().clone() for tensor in tensors]
    for tensor in sums:
        distributed.all_reduce(tensor)
    return sums
