"""What is done to a signal before windows are cut, in training and after."""

import dataclasses
import re
from typing import Any

import numpy as np

from keras_seqattn._checks import check_flag
from keras_seqattn._checks import check_positive_number

# What people hold still or walk with is above, what the earth does below.
GRAVITY_HZ = 0.3
ORDER = 3
_AXIS = re.compile(r"[xyz](?=[^a-z]*$)|^[xyz](?=[^a-z])", re.IGNORECASE)


@dataclasses.dataclass(frozen=True)
class SignalOptions:
    """Channels made of channels, by filters that see the past alone.

    All filters are causal (Butterworth of order 3, at rest on a segment's
    first sample), so that they can run on a device, sample by sample. A
    low-pass comes first, then gravity, then magnitudes.

    Args:
        gravity: Whether to split acceleration (three channels alike but for
            x, y, z, whose name begins with `a`) at 0.3 Hz: its channels lose
            gravity, which is added as `gravity_<name>`.
        magnitude: Whether to add the length of each triad of axes.
        lowpass: Cut-off in Hz, below half the rate. `None`: none.

    Raises:
        ValueError: Arguments of another kind.

    Example:
    ```python
    import numpy as np
    from keras_seqattn.windows import SignalOptions

    options = SignalOptions(magnitude=True)
    signal, names = options.apply(
        np.array([[3.0, 4.0, 0.0]]), np.array([0]), ("ax", "ay", "az"), 50
    )
    print(names[-1], signal[0, -1])  # a_magnitude 5.0
    ```
    """

    gravity: bool = False
    magnitude: bool = False
    lowpass: float | None = None

    def __post_init__(self) -> None:
        for name in ("gravity", "magnitude"):
            flag = check_flag(name, getattr(self, name))
            object.__setattr__(self, name, flag)
        if self.lowpass is not None:
            check_positive_number("lowpass", self.lowpass)

    def to_dict(self) -> dict[str, Any]:
        """Return the fields as JSON has them: `SignalOptions(**fields)`."""
        return dataclasses.asdict(self)

    def apply(
        self,
        signal: np.ndarray,
        segment: np.ndarray,
        channels: tuple[str, ...],
        rate: float,
    ) -> tuple[np.ndarray, tuple[str, ...]]:
        """Return the signal and the names of its channels.

        Args:
            signal: Array of shape `(samples, channels)`.
            segment: Integers of shape `(samples,)`: filters begin anew.
            channels: Names of the channels.
            rate: Samples in a second.

        Raises:
            ValueError: There is no triad of axes to split or to add up, or
                `lowpass` is above half the rate.
            ImportError: SciPy is missing.
        """
        names = list(channels)
        found = _triads(names)
        if self.lowpass is not None:
            signal = _filter(signal, segment, self.lowpass, rate)
        parts, added = [signal], []
        if self.gravity:
            own = [
                i
                for key, t in found.items()
                if _is_acceleration(key)
                for i in t
            ]
            if not own:
                raise ValueError(
                    "`gravity=True` needs acceleration, three channels alike "
                    "but for x, y and z whose name begins with `a`. "
                    f"Received: channels={tuple(names)}"
                )
            gravity = _filter(signal[:, own], segment, GRAVITY_HZ, rate)
            signal = np.array(signal)
            signal[:, own] -= gravity
            parts = [signal, gravity]
            added = [f"gravity_{names[i]}" for i in own]
        if self.magnitude:
            if not found:
                raise ValueError(
                    "`magnitude=True` needs three channels alike but for x, y "
                    f"and z. Received: channels={tuple(names)}"
                )
            for key, triad in found.items():
                length = np.linalg.norm(signal[:, triad], axis=1, keepdims=True)
                parts.append(length)
                added.append(f"{key.replace('*', '').strip('_ ')}_magnitude")
        return np.concatenate(parts, axis=1), (*names, *added)


def _is_acceleration(key: str) -> bool:
    return key.lower().lstrip("*_ .").startswith("a")


def _triads(names: list[str]) -> dict[str, list[int]]:
    """Triads of axes: the name with `*` for the axis, the channels' numbers."""
    axes: dict[str, dict[str, int]] = {}
    for number, name in enumerate(names):
        if found := _AXIS.search(name):
            key = f"{name[: found.start()]}*{name[found.end() :]}"
            axes.setdefault(key, {})[found.group().lower()] = number
    return {
        key: [own[axis] for axis in "xyz"]
        for key, own in axes.items()
        if len(own) == 3
    }


def _filter(
    signal: np.ndarray, segment: np.ndarray, cutoff: float, rate: float
) -> np.ndarray:
    if cutoff >= rate / 2:
        raise ValueError(
            "A low-pass must cut off below half the rate. Received: "
            f"{cutoff:g} Hz at a rate of {rate:g} Hz"
        )
    try:
        from scipy import signal as scipy_signal
    except ImportError as error:
        raise ImportError(
            "Filters need SciPy: pip install keras_seqattn[activity]"
        ) from error
    sections = scipy_signal.butter(ORDER, cutoff / (rate / 2), output="sos")
    rest = scipy_signal.sosfilt_zi(sections)[:, :, None]
    bounds = np.flatnonzero(np.diff(segment)) + 1
    return np.concatenate(
        [
            scipy_signal.sosfilt(sections, part, axis=0, zi=rest * part[0])[0]
            for part in np.split(np.asarray(signal, "float64"), bounds)
        ]
    )
