"""Decode a whole recording with a deployed decoder."""

from typing import Any

import keras
import numpy as np

from keras_seqattn._checks import check_positive_integer
from keras_seqattn.decoding.predictions import Predictions
from keras_seqattn.export.preprocessing import Preprocessing
from keras_seqattn.export.preprocessing_tag import preprocessing_of
from keras_seqattn.windows.cutting import take_windows
from keras_seqattn.windows.cutting import window_ends
from keras_seqattn.windows.recording import Recording
from keras_seqattn.windows.recording import check_recording_type

# Widths and lags are the same up to what arithmetic in seconds leaves.
SECONDS = 1e-6


def predict_recording(
    model: keras.Model, recording: Recording, batch_size: int = 256
) -> Predictions:
    """Decode each bin of a recording that can be, scored or not.

    What the model was trained on is written in it, and a recording that does
    not fit is refused: its numbers would mean nothing.

    Args:
        model: From `DecodingData.deploy`, also loaded from a file. One with a
            window of fixed length decodes each bin that has a whole window
            in its segment. One with a free time axis runs over each segment
            from its first bin, if it says something at each bin; if it says
            one thing about a window, that has the length it was trained for.
        recording: A `Recording` with the bin width, the lag and the units, in
            this order, of the recording that the model was trained on.
        batch_size: Positive integer, how many windows at once.

    Returns:
        A `Predictions`: `times`, `decoded` and `bins`, with scores and a
        CSV file. What is decoded in a bin is the movement of `times + lag`.

    Raises:
        ValueError: A model that was not deployed, a recording of another kind
            than the model's, or one without a whole window.

    Example:
    ```python
    import keras_seqattn as ks

    recording = ks.tasks.simulated_reaching(bins=1000)
    data = ks.decoding.DecodingData(recording, timesteps=5)
    decoder = ks.models.build_neural_decoder(5, 40, units=8)
    model = data.deploy(decoder)
    decoded = ks.decoding.predict_recording(model, recording)
    # Three segments, and no window across a seam.
    print(decoded.decoded.shape)  # (988, 2)
    ```
    """
    batch_size = check_positive_integer("batch_size", batch_size)
    said = _said(model)
    check_recording(said, recording, model.output_shape[-1])
    length = model.input_shape[1]
    if length is None and len(model.output_shape) > 2:
        return _run_on(model, recording, batch_size)
    length = length or said.timesteps or said.window
    if length is None:
        raise ValueError(
            "The model has a free time axis, says one thing about a window, "
            "and does not say how long that is: give `timesteps` in its "
            f"`Preprocessing`. Received: {said}"
        )
    bins = window_ends(np.asarray(recording.segment), length)
    decoded = [
        model.predict_on_batch(take_windows(recording.spikes, ends, length))
        for ends in np.split(bins, range(batch_size, len(bins), batch_size))
    ]
    return Predictions(recording, bins, np.concatenate(decoded))


def check_recording(
    said: Preprocessing, recording: Recording, axes: int
) -> None:
    """Raise where a recording is not as those that a model was trained on.

    Args:
        said: From `export.preprocessing_of(model)`. What it does not say is
            not asked for.
        recording: A `Recording`.
        axes: How many the model decodes.

    Raises:
        ValueError: What came, what was expected, and how to mend it.
    """
    check_recording_type(recording)
    expected, units = len(said.mean), recording.spikes.shape[1]
    if expected != units:
        raise ValueError(
            "The decoder was trained on other units. Give it the columns of "
            "those that it knows, in their order, or train it anew. "
            f"Received: {units} units, expected: {expected}"
        )
    for name, mend in (
        ("bin_width", "count the spikes in bins of that width"),
        ("lag", "make the recording with that lag"),
    ):
        wanted, found = getattr(said, name), getattr(recording, name)
        if wanted is None or (
            found is not None and abs(wanted - found) <= SECONDS
        ):
            continue
        raise ValueError(
            f"The decoder was trained on a recording of another `{name}`: "
            f"{mend}, or train it anew. "
            f"Received: {name}={found}, expected: {wanted} s"
        )
    if axes != recording.movement.shape[1] or (
        said.quantity is not None
        # Which nobody has named.
        and "movement" not in (said.quantity, recording.quantity)
        and said.quantity != recording.quantity
    ):
        raise ValueError(
            "The decoder decodes something else than what the recording has "
            "as its movement, to be scored by. Give the same, or, of the same "
            "under another name, `dataclasses.replace(recording, quantity="
            "export.preprocessing_of(model).quantity)`. Received: "
            f"{recording.quantity!r} of {recording.movement.shape[1]} axes, "
            f"expected: {said.quantity!r} of {axes}"
        )
    if said.transform == "sqrt" and recording.spikes.min() < 0:
        raise ValueError(
            "`spikes` must not be negative: the decoder takes their root. "
            f"Received: a minimum of {recording.spikes.min()}"
        )
    _check_ids(said.unit_ids, recording.unit_ids)


def _check_ids(expected: Any, found: Any) -> None:
    if expected is None:
        return
    expected = tuple(expected)
    if found is None:
        raise ValueError(
            "The decoder knows its units by id, and the recording does not "
            "say whose spikes it holds. If they are the same, in the same "
            "order: `dataclasses.replace(recording, unit_ids="
            "export.preprocessing_of(model).unit_ids)`. "
            f"Received: unit_ids=None, expected: {_some(expected)}"
        )
    found = tuple(found)
    if found == expected:
        return
    if set(found) == set(expected):
        place = next(i for i, x in enumerate(found) if x != expected[i])
        raise ValueError(
            "The units are those of the decoder, but in another order. "
            "Reorder the columns of `spikes`: `order = [unit_ids.index(i) for "
            "i in export.preprocessing_of(model).unit_ids]`. "
            f"Received: {found[place]!r} in column {place}, "
            f"expected: {expected[place]!r}"
        )
    other = [x for x in found if x not in set(expected)]
    missing = [x for x in expected if x not in set(found)]
    raise ValueError(
        "The decoder was trained on other units. Give it those that it knows, "
        "a silent column for one that is gone, or train it anew. "
        f"Received: {_some(other)}, which it does not know; missing: "
        f"{_some(missing)}"
    )


def _some(ids: Any) -> str:
    shown = ", ".join(map(repr, ids[:5]))
    return f"{shown}, ... ({len(ids)})" if len(ids) > 5 else shown


def _said(model: keras.Model) -> Preprocessing:
    said = preprocessing_of(model)
    if said is None or not said.in_model:
        raise ValueError(
            "The model does not say which recordings it takes, or takes none "
            "as they are. `DecodingData.deploy(decoder)` gives one that does. "
            f"Received: {model.name} with the preprocessing {said}"
        )
    shapes = [getattr(model, name) for name in ("input_shape", "output_shape")]
    if (
        not all(
            isinstance(shape, tuple) and len(shape) in (2, 3)
            for shape in shapes
        )
        or len(shapes[0]) != 3
    ):
        raise ValueError(
            "`model` must go from spike counts (batch, time, units) to "
            "movement. Of a one-step twin give the model that it was made of, "
            f"or push into a session. Received: inputs {shapes[0]}, outputs "
            f"{shapes[1]}"
        )
    return said


def _run_on(
    model: keras.Model, recording: Recording, batch_size: int
) -> Predictions:
    """Run over segments, those of one length together."""
    segment = np.asarray(recording.segment)
    seams = np.flatnonzero(segment[1:] != segment[:-1]) + 1
    parts = np.split(np.arange(len(segment)), seams)
    by_length: dict[int, list[np.ndarray]] = {}
    for part in parts:
        by_length.setdefault(len(part), []).append(part)
    movement: Any = None
    for alike in by_length.values():
        for first in range(0, len(alike), batch_size):
            bins = np.stack(alike[first : first + batch_size])
            found = model.predict_on_batch(recording.spikes[bins])
            if movement is None:
                shape = (len(segment), found.shape[-1])
                movement = np.zeros(shape, found.dtype)
            movement[bins] = found
    return Predictions(recording, np.arange(len(segment)), movement)
