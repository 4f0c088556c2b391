"""How the controllers of all neurons lie in the tensors of one network."""

from typing import Any

from keras import ops


class Folding:
    """Brings what each controller sees to one recurrent network, and back.

    Controllers with the same weights lie in the batch. Those with weights of
    their own lie in the features, where their cell tells them apart.

    Args:
        shared: Whether they have the same weights.
        controllers: Number of controllers.
        units: Width of a controller's state.
    """

    def __init__(self, shared: bool, controllers: int, units: int) -> None:
        self.shared = shared
        self.controllers = controllers
        self.units = units

    def fold(self, u: Any) -> Any:
        """(batch, time, controllers, width) to what the network takes."""
        time, width = ops.shape(u)[1], u.shape[-1]
        if self.shared:
            u = ops.transpose(u, (0, 2, 1, 3))
            return ops.reshape(u, (-1, time, width))
        return ops.reshape(u, (-1, time, self.controllers * width))

    def fold_states(self, states: list[Any]) -> list[Any]:
        """Of (batch, controllers * units), each."""
        if not self.shared:
            return states
        return [ops.reshape(s, (-1, self.units)) for s in states]

    def fold_mask(self, mask: Any) -> Any:
        """(batch, time) to the network's mask."""
        if not self.shared:
            return mask
        time = ops.shape(mask)[1]
        mask = ops.repeat(mask[:, None], self.controllers, axis=1)
        return ops.reshape(mask, (-1, time))

    def unfold_states(self, states: Any) -> list[Any]:
        """The inverse of `fold_states`."""
        width = self.controllers * self.units
        return [ops.reshape(s, (-1, width)) for s in states]
