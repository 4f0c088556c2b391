"""What must be done to a recording before the exported model sees it."""

import dataclasses
from collections.abc import Mapping
from collections.abc import Sequence
from typing import Any

import numpy as np

from keras_seqattn._checks import check_positive_integer
from keras_seqattn._checks import check_positive_number
from keras_seqattn.version import __version__


@dataclasses.dataclass(frozen=True)
class Preprocessing:
    """What must be done to a recording before the exported model sees it.

    It travels with the artifact: inside a SavedModel as the signature
    `preprocessing`, inside an ONNX file as metadata, and beside either, and
    beside a LiteRT file, as `<path>.json`.

    Args:
        mean: Mean of each channel in the training data.
        scale: What each channel was divided by, after the mean was taken off.
        transform: What was done to each number before that, such as `"sqrt"`.
        in_model: Whether the model does all this itself, from the raw signal.
        window: Timesteps of the windows that were searched (T).
        timesteps: Timesteps of the model's window (T*).
        step_seconds: Duration of one timestep.
        channels: Name of each channel.
        units: Physical unit by the name of an input or output.

    Raises:
        ValueError: Sizes that do not agree, or numbers that cannot be.

    Example:
    ```python
    from keras_seqattn.export import Preprocessing

    preprocessing = Preprocessing(
        mean=[0.4, 1.5],
        scale=[0.6, 1.1],
        timesteps=5,
        channels=["unit 3", "unit 8"],
        units={"spikes": "1 / 50 ms", "decoded": "cm/s"},
    )
    print(preprocessing.to_dict()["timesteps"])  # 5
    ```
    """

    mean: Sequence[float] | np.ndarray
    scale: Sequence[float] | np.ndarray
    transform: str | None = None
    in_model: bool = False
    window: int | None = None
    timesteps: int | None = None
    step_seconds: float | None = None
    channels: Sequence[str] | None = None
    units: Mapping[str, str] | None = None

    def __post_init__(self) -> None:
        mean = np.asarray(self.mean, dtype="float64")
        scale = np.asarray(self.scale, dtype="float64")
        if (
            mean.ndim != 1
            or mean.shape != scale.shape
            or not np.isfinite(mean).all()
            or not (np.isfinite(scale) & (scale > 0)).all()
        ):
            raise ValueError(
                "`mean` and `scale` must hold one finite number a channel, "
                f"and `scale` only such above 0. Received: mean={self.mean!r}, "
                f"scale={self.scale!r}"
            )
        if self.channels is not None and len(self.channels) != len(mean):
            raise ValueError(
                f"`channels` must name all {len(mean)} channels of `mean`. "
                f"Received: {len(self.channels)} names"
            )
        fields: dict[str, Any] = {
            "mean": tuple(mean.tolist()),
            "scale": tuple(scale.tolist()),
            "in_model": bool(self.in_model),
        }
        if self.channels is not None:
            fields["channels"] = tuple(map(str, self.channels))
        if self.units is not None:
            fields["units"] = {str(k): str(v) for k, v in self.units.items()}
        if self.transform is not None:
            fields["transform"] = str(self.transform)
        for name in ("window", "timesteps"):
            value = getattr(self, name)
            if value is not None:
                fields[name] = check_positive_integer(name, value)
        if self.step_seconds is not None:
            fields["step_seconds"] = check_positive_number(
                "step_seconds", self.step_seconds
            )
        # Plain values: two of them can be compared, and written as JSON.
        for name, value in fields.items():
            object.__setattr__(self, name, value)

    def to_dict(self) -> dict[str, Any]:
        """Return JSON values, with the version of the package.

        What was not said is left out.
        """
        found: dict[str, Any] = {
            "mean": list(self.mean),
            "scale": list(self.scale),
            "transform": self.transform,
            "in_model": self.in_model,
            "window": self.window,
            "timesteps": self.timesteps,
            "step_seconds": self.step_seconds,
            "channels": None if self.channels is None else list(self.channels),
            "units": dict(self.units or {}),
            "package_version": __version__,
        }
        return {k: v for k, v in found.items() if v not in (None, {})}
