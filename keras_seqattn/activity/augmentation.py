"""Changed copies of training windows, so that a classifier meets more people.

A sensor is never worn the same way twice, and no two people move alike. A
recipe names what is done: `Recipe(augmentation={"name": "rotate_and_scale",
"degrees": 15})`.
"""

from collections.abc import Callable
from collections.abc import Mapping
from typing import Any

import numpy as np

from keras_seqattn._checks import check_choice
from keras_seqattn._checks import check_positive_number
from keras_seqattn.windows.batches import Augment


class RotateAndScale:
    """Turns every window as a whole, and scales its channels.

    The channels are triads of axes, `x, y, z` of one sensor after another;
    all triads of a window turn by the same angle about the same axis.

    Args:
        degrees: Standard deviation of the angle, above 0. Default: 15.
        scale: Standard deviation of the factors around 1, above 0. Default:
            0.1.

    Example:
    ```python
    import numpy as np
    from keras_seqattn.activity import RotateAndScale

    x = np.random.default_rng(0).normal(size=(4, 128, 9))
    turn = RotateAndScale(degrees=15, scale=1e-9)
    turned, _ = turn(x, np.eye(4), np.random.default_rng(1))
    lengths = [np.linalg.norm(a[..., :3], axis=-1) for a in (x, turned)]
    print(np.allclose(*lengths))  # True
    ```
    """

    def __init__(self, degrees: float = 15.0, scale: float = 0.1) -> None:
        self.degrees = check_positive_number("degrees", degrees)
        self.scale = check_positive_number("scale", scale)

    def __repr__(self) -> str:
        return f"RotateAndScale(degrees={self.degrees}, scale={self.scale})"

    def __call__(
        self, x: np.ndarray, y: np.ndarray, rng: np.random.Generator
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return changed windows (batch, timesteps, channels), and `y`."""
        count, _, channels = x.shape
        if channels % 3:
            raise ValueError(
                "Rotation needs triads of axes: a multiple of 3 channels. "
                f"Received: x.shape={x.shape}"
            )
        axis = rng.normal(size=(count, 3))
        axis /= np.linalg.norm(axis, axis=1, keepdims=True)
        angle = np.deg2rad(self.degrees) * rng.normal(size=(count, 1, 1))
        # Rodrigues' formula, from the matrix of the cross product by `axis`.
        cross = np.zeros((count, 3, 3))
        for i, j, k in ((0, 1, 2), (1, 2, 0), (2, 0, 1)):
            cross[:, j, i], cross[:, i, j] = axis[:, k], -axis[:, k]
        turn = (
            np.eye(3)
            + np.sin(angle) * cross
            + (1 - np.cos(angle)) * cross @ cross
        )
        turned = np.matmul(x.reshape(count, -1, 3), turn).reshape(x.shape)
        factors = 1 + self.scale * rng.normal(size=(count, 1, channels))
        return (turned * factors).astype(x.dtype), y


_SHIPPED: dict[str, Callable[..., Augment]] = {
    "rotate_and_scale": RotateAndScale
}
_registered = dict(_SHIPPED)


def register_augmentation(name: str, make: Callable[..., Augment]) -> None:
    """Give an augmentation of your own a name, for recipes.

    A recipe's file holds the name alone: register it before the training.

    Args:
        name: The name. One that you gave before is given anew.
        make: Function of the settings in a recipe, by name, to a function
            `augment(x, y, rng)` that returns a changed copy of a training
            batch: windows `(batch, timesteps, channels)` in their own units,
            labels `(batch, classes)` one-hot, and a NumPy generator.

    Raises:
        ValueError: The name is one of this package's.

    Example:
    ```python
    from keras_seqattn import activity

    def noise(stddev=1.0):
        def augment(x, y, rng):
            return x + stddev * rng.normal(size=x.shape), y

        return augment

    activity.register_augmentation("noise", noise)
    recipe = activity.Recipe(augmentation={"name": "noise", "stddev": 0.1})
    ```
    """
    if name in _SHIPPED:
        raise ValueError(
            f"`name` must be another than {sorted(_SHIPPED)}, which this "
            f"package has. Received: name={name!r}"
        )
    _registered[name] = make


def make_augmentation(settings: Mapping[str, Any] | None) -> Augment | None:
    """Return what the `augmentation` of a recipe names, `None` for `None`.

    Raises:
        ValueError: The name is not registered, or a setting is wrong.
    """
    if settings is None:
        return None
    others = dict(settings)
    name = check_choice("augmentation", others.pop("name"), _registered)
    try:
        return _registered[name](**others)
    except TypeError as error:
        raise ValueError(
            f"`augmentation` must have the settings of {name!r}. "
            f"Received: {others} ({error})"
        ) from error
