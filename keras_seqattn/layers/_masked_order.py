"""Masked sequences, sorted so that a loop over time needs no mask."""

from typing import Any

from keras import ops


class MaskedOrder:
    """Brings the steps that count to the front, and their outputs back.

    The loop then needs no mask: what follows the last step that counts
    changes nothing before it.
    """

    def __init__(self, mask: Any) -> None:
        self.mask = ops.cast(mask, "bool")
        self._time = ops.shape(self.mask)[1]
        counts = ops.cast(self.mask, "int32")
        self._done = ops.cumsum(counts, axis=1)
        self.total = self._done[:, -1]
        later = ops.arange(self._time, dtype="int32")
        self._order = ops.argsort(later + self._time * (1 - counts), axis=1)

    def to_front(self, x: Any) -> Any:
        """Sort (batch, time, features), with zeros for masked steps."""
        # NaN in padding would still reach the gradient: 0 * NaN.
        x = ops.where(self.mask[..., None], x, 0)
        return ops.take_along_axis(x, self._order[..., None], axis=1)

    def counts(self) -> Any:
        """(batch, time): whether the sorted step counts."""
        step = ops.arange(self._time, dtype="int32")
        return step < self.total[:, None]

    def to_steps(self, x: Any, zeros: bool = False) -> Any:
        """From (batch, 1 + time, features): before the first, then sorted.

        A masked step repeats what was before it, or is zero.
        """
        x = ops.take_along_axis(x, self._done[..., None], axis=1)
        return ops.where(self.mask[..., None], x, 0) if zeros else x


def last_rows(x: Any, order: MaskedOrder | None, count: int) -> Any:
    """The last `count` rows of (time, batch, features) that count.

    With as many rows before the first step as are asked for.
    """
    if order is None:
        return x[-count:]
    index = order.total + ops.arange(count, dtype="int32")[:, None]
    return ops.take_along_axis(x, index[..., None], axis=0)
