"""Recognize the activities of a new recording with a deployed classifier."""

import warnings
from collections.abc import Collection
from collections.abc import Sequence
from typing import Any
from typing import overload

import keras
import numpy as np

from keras_seqattn._checks import check_choice
from keras_seqattn._checks import check_positive_number
from keras_seqattn._checks import check_rate
from keras_seqattn.activity import recordings
from keras_seqattn.activity.expected import channels_in_order
from keras_seqattn.activity.expected import said_by
from keras_seqattn.activity.merging import SMOOTHINGS
from keras_seqattn.activity.merging import covering_ends
from keras_seqattn.activity.merging import merge_windows
from keras_seqattn.activity.merging import smooth_windows
from keras_seqattn.activity.timeline import ActivityTimeline
from keras_seqattn.activity.training import PREDICT_BATCH
from keras_seqattn.activity.training import predict
from keras_seqattn.export.preprocessing import Preprocessing
from keras_seqattn.windows.cutting import take_windows
from keras_seqattn.windows.signal_options import SignalOptions
from keras_seqattn.windows.signal_recording import SignalRecording

# Windows in memory at once.
BLOCK = 8 * PREDICT_BATCH


@overload
def predict_recording(
    model: keras.Model,
    source: list[Any] | tuple[Any, ...],
    *,
    overlap: float = ...,
    smoothing: str = ...,
    smoothing_seconds: float | None = ...,
    ignore: Collection[str] = ...,
    **reading: Any,
) -> list[ActivityTimeline]: ...


@overload
def predict_recording(
    model: keras.Model,
    source: Any,
    *,
    overlap: float = ...,
    smoothing: str = ...,
    smoothing_seconds: float | None = ...,
    ignore: Collection[str] = ...,
    **reading: Any,
) -> ActivityTimeline: ...


def predict_recording(
    model: keras.Model,
    source: Any,
    *,
    overlap: float = 0.5,
    smoothing: str = "mean",
    smoothing_seconds: float | None = None,
    ignore: Collection[str] = (),
    **reading: Any,
) -> ActivityTimeline | list[ActivityTimeline]:
    """Recognize what is done at each moment of a new recording.

    What the model was trained on is written in it, and a recording that does
    not fit is refused: its labels would mean nothing. Channels are found by
    their names, in any order.

    Windows are cut as for the training, the last one of a segment at its end.
    A sample's probabilities are the mean over the windows that hold it.

    Args:
        model: From `train_final`, also loaded from a file.
        source: A `SignalRecording`, or what `read_recordings` takes and is
            one recording. Or a list of either.
        overlap: Share of a window that the next one holds too, in [0, 1).
        smoothing: What is done to the probabilities of windows before:
            `"mean"` or `"median"` with the windows around, in the same
            segment; or `"none"`.
        smoothing_seconds: How far apart the centres of the first and the last
            of these windows are at most. Default: the length of a window,
            which at an overlap of 0.5 are three windows.
        ignore: Names of channels that the model does not know and that are
            to be left out.
        **reading: Further arguments of `read_recordings`.

    Returns:
        An `ActivityTimeline`; of a list, a list of them, one a recording.

    Raises:
        ValueError: A model that was not deployed, or a recording of other
            channels or of another rate, or without a whole window.
        TypeError: A source of another type.

    Example:
    ```python
    import keras
    import numpy as np
    from keras_seqattn import activity
    from keras_seqattn.windows import SignalRecording

    rng = np.random.default_rng(0)
    y = np.arange(120) % 2
    windows = activity.ActivityWindows(
        x=rng.normal(size=(120, 10, 2)) + 4 * y[:, None, None],
        y=y,
        subject=np.arange(120) // 20,
        classes=("REST", "WALK"),
        channels=("x", "y"),
        rate=5,
    )

    def build(timesteps, channels, classes, cell):
        return keras.Sequential(
            [
                keras.Input((timesteps, channels)),
                keras.layers.GlobalAveragePooling1D(),
                keras.layers.Dense(classes, "softmax"),
            ]
        )

    recipe = activity.Recipe(epochs=20, batch_size=16, learning_rate=0.1)
    model = activity.train_final(windows, build, recipe, verbose=0)

    walk = SignalRecording(
        signal=rng.normal(size=(60, 2)) + 4 * (np.arange(60) >= 30)[:, None],
        times=np.arange(60) / 5,
        segment=np.zeros(60, int),
        channels=("y", "x"),
        rate=5,
    )
    timeline = activity.predict_recording(model, walk)
    print([bout.label for bout in timeline.segments()])  # ['REST', 'WALK']
    ```
    """
    said = said_by(model)
    overlap = check_rate("overlap", overlap)
    check_choice("smoothing", smoothing, SMOOTHINGS)
    if smoothing_seconds is not None:
        check_positive_number("smoothing_seconds", smoothing_seconds)
    ignore = (ignore,) if isinstance(ignore, str) else tuple(ignore)
    settings = (overlap, smoothing, smoothing_seconds, ignore)
    recordings = _recordings(source, said, reading)
    if isinstance(source, list | tuple):
        return [_predict_one(model, said, x, *settings) for x in recordings]
    if len(recordings) != 1:
        raise ValueError(
            "One source must be one recording. Of several, give a list: "
            "`predict_recording(model, activity.read_recordings(source, ...))`"
            f". Received: {len(recordings)} recordings"
        )
    return _predict_one(model, said, recordings[0], *settings)


def _predict_one(
    model: keras.Model,
    said: Preprocessing,
    recording: SignalRecording,
    overlap: float,
    smoothing: str,
    smoothing_seconds: float | None,
    ignore: tuple[str, ...],
) -> ActivityTimeline:
    signal = channels_in_order(said, recording, ignore)
    timesteps, rate = int(said.timesteps or 0), float(said.rate or 0)
    stride = max(round(timesteps * (1 - overlap)), 1)
    ends = covering_ends(
        recording.segment, timesteps, stride, recording.source, rate
    )
    outputs = np.concatenate(
        [
            predict(model, take_windows(signal, some, timesteps))
            for some in np.split(ends, range(BLOCK, len(ends), BLOCK))
        ]
    )
    if not np.isfinite(outputs).all():
        raise ValueError(
            "The classifier must give numbers. Are the units those that it "
            f"was trained on? Received: NaN for {recording.source}"
        )
    reach = timesteps
    if smoothing_seconds is not None:
        reach = round(smoothing_seconds * rate)
    outputs = smooth_windows(outputs, ends, recording.segment, smoothing, reach)
    probabilities = merge_windows(outputs, ends, timesteps, len(signal))
    unknown = np.isnan(probabilities[:, 0])
    if unknown.any():
        warnings.warn(
            f"{unknown.sum()} of {len(signal)} samples of {recording.source} "
            "lie in segments shorter than a window "
            f"({timesteps / rate:g} s), and get no label.",
            stacklevel=3,
        )
    classes = tuple(map(str, said.classes or ()))
    names = np.array([*classes, ""])
    code = np.where(unknown, -1, np.nan_to_num(probabilities).argmax(axis=1))
    return ActivityTimeline(
        times=recording.times,
        label=names[code],
        probabilities=probabilities,
        segment=recording.segment,
        classes=classes,
        rate=rate,
        subject=recording.subject,
        source=recording.source,
    )


def _recordings(
    source: Any, said: Preprocessing, reading: dict[str, Any]
) -> Sequence[SignalRecording]:
    several = source if isinstance(source, list | tuple) else [source]
    if any(isinstance(x, SignalRecording) for x in several):
        other = [x for x in several if not isinstance(x, SignalRecording)]
        if other or reading:
            raise TypeError(
                "A `SignalRecording` is read already: give such alone, and "
                "no arguments of `read_recordings`. Received: "
                f"{[type(x).__name__ for x in other]}, {list(reading)}"
            )
        return several
    options = dict(said.signal_options or {})
    return recordings.read_recordings(
        source,
        rate=said.rate,
        options=SignalOptions(**options) if options else None,
        **reading,
    )
