"""Changed copies of training windows, so that a classifier meets more people.

A sensor is never worn the same way twice, and no two people move alike. Each
function here makes one that `Recipe(augment=...)` takes.
"""

import numpy as np

from keras_seqattn._checks import check_positive_number


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
