"""What a deployed classifier expects of a recording."""

from collections.abc import Collection

import keras
import numpy as np

from keras_seqattn.export.preprocessing import Preprocessing
from keras_seqattn.export.preprocessing_tag import preprocessing_of
from keras_seqattn.windows.signal_recording import SignalRecording

# Rates are the same up to what arithmetic in seconds leaves.
SAME_RATE = 1e-6


def said_by(model: keras.Model) -> Preprocessing:
    """Return what a classifier says of the recordings that it takes.

    Raises:
        ValueError: It does not say it all.
    """
    said = preprocessing_of(model)
    if (
        said is None
        or not said.in_model
        or None in (said.rate, said.timesteps, said.channels, said.classes)
    ):
        raise ValueError(
            "The model does not say which recordings it takes. "
            "`activity.train_final` gives one that does. "
            f"Received: {model.name} with the preprocessing {said}"
        )
    return said


def channels_in_order(
    said: Preprocessing, recording: SignalRecording, ignore: Collection[str]
) -> np.ndarray:
    """Return the signal of a recording as a model takes it.

    Raises:
        ValueError: The recording is not as those that the model was trained
            on.
    """
    rate, wanted = said.rate or 0.0, tuple(said.channels or ())
    if abs(recording.rate - rate) > SAME_RATE * rate:
        raise ValueError(
            "The classifier was trained at another rate. Read the file with "
            f"`read_recordings(..., rate={rate:g})`, which resamples it. "
            f"Received: {recording.rate:g} Hz in {recording.source}, "
            f"expected: {rate:g} Hz"
        )
    have = recording.channels
    missing = [name for name in wanted if name not in have]
    if missing:
        raise ValueError(
            "The recording must have the channels that the classifier was "
            "trained on; other names for them are told by `columns` of "
            f"`read_recordings`. Received: {list(have)} in "
            f"{recording.source}, missing: {missing}"
        )
    needed = [name for name in ignore if name in wanted]
    if needed:
        raise ValueError(
            "`ignore` must not name what the classifier was trained on, "
            f"{list(wanted)}. Received: {needed}"
        )
    unknown = [name for name in have if name not in (*wanted, *ignore)]
    if unknown:
        raise ValueError(
            "The recording has channels that the classifier does not know. "
            f"To leave them out: `ignore={unknown}`. "
            f"Received: {list(have)} in {recording.source}, "
            f"expected: {list(wanted)}"
        )
    return recording.signal[:, [have.index(name) for name in wanted]]
