"""The next day: a decoder for what is left of its units, and for new ones."""

import dataclasses
from typing import Any

import keras
import numpy as np

from keras_seqattn._checks import check_flag
from keras_seqattn._checks import check_non_negative_number
from keras_seqattn._training.recipe import Recipe
from keras_seqattn.decoding.decoder_parts import CORE
from keras_seqattn.decoding.decoder_parts import READ_IN
from keras_seqattn.decoding.decoder_parts import DecoderParts
from keras_seqattn.decoding.score import Score
from keras_seqattn.decoding.score import stands_still
from keras_seqattn.decoding.training import check_recipe
from keras_seqattn.windows.cutting import take_windows
from keras_seqattn.windows.cutting import window_ends
from keras_seqattn.windows.recording import Recording
from keras_seqattn.windows.standardizer import Standardizer

CALIBRATION = Recipe(
    epochs=40,
    batch_size=128,
    learning_rate=1e-3,
    schedule="constant",
    patience=6,
)
# Share of the minutes, the last one, by which is chosen.
VALIDATION = 0.2
# The learning rate of all weights, in that of the read-in.
FINE_TUNING = 0.3
# Penalty on the squared distance of the weights from where they began.
PULL = 0.1


def calibrate(
    decoder: keras.Model,
    recording: Recording,
    minutes: float | None = None,
    *,
    labels: bool = True,
    fine_tune: bool = True,
    recipe: Recipe = CALIBRATION,
    seed: int = 0,
    verbose: int = 0,
) -> keras.Model:
    """Fit a decoder to another session: drifted, lost and new units.

    The decoder's core stays. Before it comes a linear read-in from the units
    of the new session to those that the core knows:

    1. Units with the same `unit_ids` are the same, in any order. Lost ones
       are held at their mean, new ones are not heard. That is all that can
       be done with `minutes=0`.
    2. Each unit is standardized by its own counts in the first `minutes` of
       the recording. That is all that can be done with `labels=False`.
    3. The read-in, then all weights at a smaller rate, are fitted to the
       counts and the movement of these minutes but their last fifth. A
       penalty pulls them to where they began.

    Of 1, 2 and both fits of 3, the one that decodes the last fifth of the
    minutes best is returned: calibration does not harm as far as it can tell.

    Args:
        decoder: From `DecodingData.deploy` or from `calibrate`, one decoded
            value an axis for each window. It is not changed.
        recording: A `Recording` of the new session, with the bin width, the
            lag and the axes of the old one.
        minutes: How much of it to use, from its first bin on. Default: all.
        labels: Whether its movement may be used.
        fine_tune: Whether all weights may be fitted, or the read-in alone.
        recipe: A `Recipe`. Default: `decoding.CALIBRATION`.
        seed: Integer, for `keras.utils.set_random_seed`.
        verbose: 1 prints how each candidate decodes the last fifth.

    Returns:
        A `keras.Model` from spike counts of the new session's units `(batch,
        timesteps, units)` to movement `(batch, axes)`. It can be saved,
        exported, streamed, and calibrated to the session after.

    Raises:
        ValueError: A model that was not deployed, a recording that does not
            go with it, or too few minutes.

    Example:
    ```python
    import keras_seqattn as ks

    today, tomorrow = ks.tasks.simulated_days(bins=1000, turnover=0.2)
    data = ks.decoding.DecodingData(today.recording, timesteps=5)
    decoder = ks.models.build_neural_decoder(
        5, 40, units=8, pooling="last", dropout=0.2
    )  # Train it here.
    model = ks.decoding.calibrate(
        data.deploy(decoder), tomorrow.recording, minutes=1, labels=False
    )
    predictions = ks.decoding.predict_recording(model, tomorrow.recording)
    print(predictions.decoded.shape)  # (988, 2)
    ```
    """
    check_recipe(recipe)
    check_flag("labels", labels)
    check_flag("fine_tune", fine_tune)
    if minutes is not None:
        check_non_negative_number("minutes", minutes)
    parts = DecoderParts(decoder, recording)
    if minutes == 0:
        parts.check_known()
        return parts.model(parts.standardizer, *parts.start)
    known = _first_minutes(recording, minutes)
    spikes = recording.spikes[:known]
    if parts.said.transform == "sqrt":
        spikes = np.sqrt(spikes)
    standardizer = Standardizer.fit(spikes)
    if not labels:
        parts.check_known()
        return parts.model(standardizer, *parts.start)
    train, validation = _windows(recording, known, parts)
    model = parts.model(standardizer, *parts.start)
    best = "", -np.inf, model.get_weights()

    def consider(title: str) -> None:
        nonlocal best
        decoded = model.predict(validation[0], batch_size=1024, verbose=0)
        # NaN is worse than anything.
        r2 = float(np.nan_to_num(Score.of(validation[1], decoded).r2, nan=-1e9))
        if verbose:
            print(f"{title}: R2 {r2:.3f} on the last fifth")
        if r2 > best[1]:
            best = title, r2, model.get_weights()

    consider("standardized anew")
    read_in = model.get_layer(READ_IN)
    read_in.set_weights(parts.start_as_before(standardizer))
    consider("units matched alone")
    model.set_weights(best[2])
    fits = [("read-in fitted", False, 1.0), ("all fitted", True, FINE_TUNING)]
    for title, all_weights, share in fits[: 1 + fine_tune]:
        model.get_layer(CORE).trainable = all_weights
        rate = recipe.learning_rate * share
        _fit(
            model,
            dataclasses.replace(recipe, learning_rate=rate),
            train,
            validation,
            seed,
        )
        consider(title)
    model.set_weights(best[2])
    model.get_layer(CORE).trainable = True
    # Another one around the same layers, without the loss: it can be saved.
    return keras.Model(model.input, model.output, name=model.name)


def _first_minutes(recording: Recording, minutes: float | None) -> int:
    """Return how many bins they are."""
    bins = len(recording.spikes)
    if minutes is None:
        return bins
    if recording.bin_width is None:
        raise ValueError(
            "`minutes` needs to know how long a bin of the recording is: give "
            "`bin_width`, or leave `minutes` out. Received: bin_width=None"
        )
    wanted = round(minutes * 60 / recording.bin_width)
    if not 0 < wanted <= bins:
        raise ValueError(
            "`minutes` must be in the recording, and a bin at least. "
            f"Received: minutes={minutes} of "
            f"{bins * recording.bin_width / 60:.3g}"
        )
    return wanted


def _windows(
    recording: Recording, bins: int, parts: DecoderParts
) -> list[tuple[np.ndarray, np.ndarray]]:
    """Cut windows of the minutes to fit to, and of those to choose by."""
    cut = round(bins * (1 - VALIDATION))
    found = []
    for first, end in ((0, cut), (cut, bins)):
        try:
            ends = window_ends(
                np.asarray(recording.segment)[first:end], parts.timesteps
            )
        except ValueError:
            ends = np.empty(0, np.int64)
        ends = ends + first
        ends = ends[np.asarray(recording.scored)[ends]]
        movement = recording.movement[ends]
        if len(ends) < 2 or stands_still(movement).all():
            raise ValueError(
                "Both the minutes to fit to and the last fifth to choose by "
                f"must hold windows of {parts.timesteps} bins in which the "
                "movement moves. Give more `minutes`, or `labels=False`. "
                f"Received: {len(ends)} windows in bins {first} to {end}"
            )
        spikes = take_windows(recording.spikes, ends, parts.timesteps)
        found.append((spikes, movement))
    return found


def _fit(
    model: keras.Model,
    recipe: Recipe,
    train: tuple[np.ndarray, np.ndarray],
    validation: tuple[np.ndarray, np.ndarray],
    seed: int,
) -> None:
    x, y = train
    deviation = np.where(stands_still(y), 1.0, y.std(axis=0)).astype("float32")

    def loss(true: Any, decoded: Any) -> Any:
        error = keras.ops.divide(true - decoded, deviation)
        return keras.ops.mean(keras.ops.square(error), axis=-1)

    for variable in model.trainable_variables:
        variable.regularizer = _Pull(variable)
    steps = -(-len(x) // recipe.batch_size)
    model.compile(recipe.make_optimizer(steps), loss=loss)
    keras.utils.set_random_seed(seed)
    model.fit(
        x,
        y,
        batch_size=recipe.batch_size,
        epochs=recipe.epochs,
        validation_data=validation,
        callbacks=[
            *recipe.callbacks(),
            recipe.early_stopping(),
            keras.callbacks.TerminateOnNaN(),
        ],
        verbose=0,
    )
    for variable in model.trainable_variables:
        variable.regularizer = None


class _Pull(keras.regularizers.Regularizer):
    """Pulls weights to where they began."""

    def __init__(self, variable: Any) -> None:
        self.start = keras.ops.convert_to_numpy(variable)

    def __call__(self, x: Any) -> Any:
        return PULL * keras.ops.sum(
            keras.ops.square(keras.ops.subtract(x, self.start))
        )
