"""What must be done to a recording before the exported model sees it."""

import dataclasses
import json
import numbers
from collections.abc import Callable
from collections.abc import Mapping
from collections.abc import Sequence
from typing import Any

import numpy as np

from keras_seqattn._checks import check_array
from keras_seqattn._checks import check_finite_number
from keras_seqattn._checks import check_flag
from keras_seqattn._checks import check_positive_integer
from keras_seqattn._checks import check_positive_number
from keras_seqattn._checks import check_text
from keras_seqattn.version import __version__
from keras_seqattn.windows.spike_trains import check_unit_ids


@dataclasses.dataclass(frozen=True)
class Preprocessing:
    """What must be done to a recording before the exported model sees it.

    It travels with the artifact: inside a SavedModel as the signature
    `preprocessing`, inside an ONNX file as metadata, and beside either, and
    beside a LiteRT file, as `<path>.json`. In a model, and so in its `.keras`
    file, a `PreprocessingTag` carries it, and an export finds it there.

    Args:
        mean: Mean of each channel in the training data.
        scale: What each channel was divided by, after the mean was taken off.
        transform: What was done to each number before that, such as `"sqrt"`.
        in_model: Whether the model does all this itself, from the raw signal.
        window: Timesteps of the windows that were searched (T).
        timesteps: Timesteps of the model's window (T*).
        bin_width: Duration of one timestep in seconds.
        rate: Samples in a second, of a signal that was sampled and not
            counted in bins.
        signal_options: What was done to the signal before the channels were
            what the model takes, such as a low-pass: JSON values by name.
        lag: Seconds by which what is decoded follows the end of its bin.
        quantity: What is decoded, such as `"velocity"`.
        channels: Name of each channel.
        unit_ids: Text or integer that tells each unit of a recording, in the
            order of the channels.
        classes: Name, text or integer, of each class, in the order of the
            output.
        units: Physical unit by the name of an input or output.

    Raises:
        ValueError: A field of another type, sizes that do not agree, or
            numbers that cannot be.

    Example:
    ```python
    from keras_seqattn.export import Preprocessing

    preprocessing = Preprocessing(
        mean=[0.4, 1.5],
        scale=[0.6, 1.1],
        timesteps=5,
        bin_width=0.05,
        unit_ids=["unit 3", "unit 8"],
        units={"spikes": "1 / bin", "decoded": "cm/s"},
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
    bin_width: float | None = None
    rate: float | None = None
    signal_options: Mapping[str, Any] | None = None
    lag: float | None = None
    quantity: str | None = None
    channels: Sequence[str] | None = None
    unit_ids: Sequence[str | int] | None = None
    classes: Sequence[str | int] | None = None
    units: Mapping[str, str] | None = None

    def __post_init__(self) -> None:
        mean, scale = (_numbers(self, name) for name in ("mean", "scale"))
        if mean.shape != scale.shape or not (scale > 0).all():
            raise ValueError(
                "`mean` and `scale` must hold one finite number a channel, "
                f"and `scale` only such above 0. Received: mean={self.mean!r}, "
                f"scale={self.scale!r}"
            )
        fields: dict[str, Any] = {
            "mean": tuple(mean.tolist()),
            "scale": tuple(scale.tolist()),
            "in_model": check_flag("in_model", self.in_model),
        }
        checks: dict[str, Callable[[str, Any], Any]] = {
            "transform": check_text,
            "window": check_positive_integer,
            "timesteps": check_positive_integer,
            "bin_width": check_positive_number,
            "rate": check_positive_number,
            "signal_options": _json_values,
            "lag": check_finite_number,
            "quantity": check_text,
            "channels": _texts,
            "unit_ids": _unit_ids,
            "classes": _classes,
            "units": _texts_by_name,
        }
        for name, check in checks.items():
            value = getattr(self, name)
            # Nothing said is `None`, as it comes back from JSON.
            nothing = value is None or (isinstance(value, dict) and not value)
            fields[name] = None if nothing else check(name, value)
        for name in ("channels", "unit_ids"):
            if fields[name] is not None and len(fields[name]) != len(mean):
                raise ValueError(
                    f"`{name}` must name all {len(mean)} channels of `mean`. "
                    f"Received: {len(fields[name])} names"
                )
        # Plain values: two of them can be compared, and written as JSON.
        for name, value in fields.items():
            object.__setattr__(self, name, value)

    def to_dict(self) -> dict[str, Any]:
        """Return JSON values, with the version of the package.

        What was not said is left out.
        """
        found = {
            name: list(value) if isinstance(value, tuple) else value
            for name, value in dataclasses.asdict(self).items()
            if value is not None
        }
        return {**found, "package_version": __version__}


def _numbers(fields: Preprocessing, name: str) -> np.ndarray:
    array = check_array(name, getattr(fields, name), "(channels,)", "uif")
    if not array.size or not np.isfinite(array).all():
        raise ValueError(
            f"`{name}` must hold one finite number a channel. "
            f"Received: {name}={array.tolist()}"
        )
    return array.astype("float64")


def _texts(name: str, value: Any) -> tuple[str, ...]:
    if not isinstance(value, (list, tuple, np.ndarray)) or not all(
        isinstance(item, str) for item in value
    ):
        raise ValueError(
            f"`{name}` must be a list of texts. Received: {name}={value!r}"
        )
    return tuple(map(str, value))


def _unit_ids(name: str, value: Any) -> tuple[str | int, ...]:
    return check_unit_ids(_list(name, value))


def _classes(name: str, value: Any) -> tuple[str | int, ...]:
    names = [
        str(item) if isinstance(item, str) else item
        for item in _list(name, value)
    ]
    wrong = [
        item
        for item in names
        if isinstance(item, bool)
        or not isinstance(item, (str, numbers.Integral))
        or not str(item).strip()
    ]
    if wrong or len(set(names)) != len(names):
        raise ValueError(
            f"`{name}` must be texts that are not empty or integers, none of "
            f"them twice. Received: {name}={value!r}"
        )
    return tuple(x if isinstance(x, str) else int(x) for x in names)


def _list(name: str, value: Any) -> list[Any]:
    if not isinstance(value, (list, tuple, np.ndarray)) or not len(value):
        raise ValueError(
            f"`{name}` must be a list of texts or integers. "
            f"Received: {name}={value!r}"
        )
    return list(value)


def _json_values(name: str, value: Any) -> dict[str, Any]:
    # As they come back from JSON, or a loaded model would say something else.
    try:
        plain = json.loads(json.dumps(value, allow_nan=False))
    except (TypeError, ValueError):
        plain = None
    if not isinstance(plain, dict):
        raise ValueError(
            f"`{name}` must be a dictionary from names to values that JSON "
            f"can hold. Received: {name}={value!r}"
        )
    return plain


def _texts_by_name(name: str, value: Any) -> dict[str, str]:
    if not isinstance(value, Mapping) or not all(
        isinstance(item, str) for pair in value.items() for item in pair
    ):
        raise ValueError(
            f"`{name}` must be a dictionary from names to texts. "
            f"Received: {name}={value!r}"
        )
    return {str(key): str(item) for key, item in value.items()}
