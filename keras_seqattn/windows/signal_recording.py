"""A continuous signal at one rate, before windows are cut."""

import dataclasses

import numpy as np

from keras_seqattn._checks import check_array
from keras_seqattn._checks import check_list
from keras_seqattn._checks import check_names
from keras_seqattn._checks import check_positive_number
from keras_seqattn._checks import to_float32
from keras_seqattn.windows.clock import ClockReport
from keras_seqattn.windows.labels import one_id


@dataclasses.dataclass(frozen=True)
class SignalRecording:
    """A signal at one rate, of one person, with seams and maybe labels.

    Args:
        signal: Array of shape `(samples, channels)`, in its own units.
        times: Array of shape `(samples,)` in seconds, on the clock of the
            recording; `1 / rate` apart within a segment.
        segment: Integers of shape `(samples,)`: no window crosses from one
            segment to the next.
        channels: Names of the channels.
        rate: Samples in a second.
        subject: Who was recorded: an integer or text. `None`: not told.
        label: Text of shape `(samples,)`, the activity, `""` where there is
            none. `None`: not told.
        source: Where it came from, for messages.
        clock: What was done to bring it to one rate. `None`: not told.

    Raises:
        ValueError: Arrays of the wrong rank or of different lengths, or NaN
            or infinite values.

    Example:
    ```python
    import numpy as np
    from keras_seqattn.windows import SignalRecording

    walk = SignalRecording(
        signal=np.zeros((100, 3)),
        times=np.arange(100) / 50,
        segment=np.zeros(100, int),
        channels=("x", "y", "z"),
        rate=50,
        subject="anna",
        label=["walk"] * 60 + [""] * 40,
    )
    print(walk.signal.shape, walk.signal.dtype)  # (100, 3) float32
    ```
    """

    signal: np.ndarray
    times: np.ndarray
    segment: np.ndarray
    channels: tuple[str, ...]
    rate: float
    subject: int | str | None = None
    label: np.ndarray | None = None
    source: str = "recording"
    clock: ClockReport | None = None

    def __post_init__(self) -> None:
        signal = check_array(
            "signal", self.signal, "(samples, channels)", "uif"
        )
        if 0 in signal.shape:
            raise ValueError(
                "`signal` must have a sample and a channel. "
                f"Received: signal.shape={signal.shape}"
            )
        signal = to_float32(signal)
        times = check_array("times", self.times, "(samples,)", "uif")
        times = times.astype("float64")
        segment = check_array("segment", self.segment, "(samples,)", "ui")
        label = None
        if self.label is not None:
            label = np.array(
                [str(x).strip() for x in check_list("label", self.label)]
            )
        for name, values in (
            ("times", times),
            ("segment", segment),
            ("label", label),
        ):
            if values is not None and values.shape != signal.shape[:1]:
                raise ValueError(
                    f"`{name}` must hold one entry a sample, {len(signal)} of "
                    f"them. Received: {name}.shape={values.shape}"
                )
        if not (np.isfinite(signal).all() and np.isfinite(times).all()):
            raise ValueError(
                "`signal` and `times` must be finite: leave out what is "
                "missing, and begin a new segment after it. Received: NaN or "
                f"infinity in {self.source}"
            )
        channels = check_names("channels", self.channels, signal.shape[1])
        fields = {
            "signal": signal,
            "times": times,
            "segment": segment,
            "channels": channels,
            "rate": check_positive_number("rate", self.rate),
            "subject": None
            if self.subject is None
            else one_id(self.subject, "subject"),
            "label": label,
        }
        for name, value in fields.items():
            object.__setattr__(self, name, value)
