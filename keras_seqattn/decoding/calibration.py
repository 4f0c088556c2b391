"""The next day: a decoder for what is left of its units, and for new ones."""

import dataclasses
from typing import Any

import keras
import numpy as np

from keras_seqattn._checks import check_non_negative_number
from keras_seqattn._training.recipe import Recipe
from keras_seqattn.decoding.deployed import check_recording
from keras_seqattn.decoding.score import Score
from keras_seqattn.decoding.score import stands_still
from keras_seqattn.decoding.training import check_recipe
from keras_seqattn.export.preprocessing import Preprocessing
from keras_seqattn.export.preprocessing_tag import PreprocessingTag
from keras_seqattn.export.preprocessing_tag import preprocessing_of
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
STANDARDIZE, READ_IN, CORE = "standardize", "read_in", "core"


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
        5, 40, units=8, pooling="last", unit_dropout=0.2
    )  # Train it here.
    model = ks.decoding.calibrate(
        data.deploy(decoder), tomorrow.recording, minutes=1, labels=False
    )
    predictions = ks.decoding.predict_recording(model, tomorrow.recording)
    print(predictions.decoded.shape)  # (988, 2)
    ```
    """
    check_recipe(recipe)
    if minutes is not None:
        check_non_negative_number("minutes", minutes)
    parts = _Parts(decoder, recording)
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


class _Parts:
    """A decoder taken apart, and how it hears the units of a recording.

    Attributes:
        said: Its `Preprocessing`, for the units of the recording.
        standardizer: Of the recording's units, by the decoder's own numbers.
        start: Kernel and bias of the read-in.
    """

    def __init__(self, decoder: keras.Model, recording: Recording) -> None:
        said = preprocessing_of(decoder)
        names = [layer.name for layer in decoder.layers]
        if (
            said is None
            or not said.in_model
            or STANDARDIZE not in names
            or len(decoder.output_shape) != 2
        ):
            raise ValueError(
                "`decoder` must be of `DecodingData.deploy` or `calibrate`, "
                "and decode one value an axis for each window. Received: "
                f"{decoder.name} with the layers {names}"
            )
        axes = recording.movement.shape[1]
        if decoder.output_shape[1] != axes:
            raise ValueError(
                "`recording` must have the axes that the decoder decodes. "
                f"Received: {axes}, expected: {decoder.output_shape[1]}"
            )
        self._match(said, recording)
        self.length = decoder.input_shape[1]
        self.timesteps = self.length or said.timesteps or said.window
        kernel, bias = np.eye(len(said.mean)), np.zeros(len(said.mean))
        if READ_IN in names:
            core = decoder.get_layer(CORE)
            kernel, bias = decoder.get_layer(READ_IN).get_weights()
        else:
            standardized = decoder.get_layer(STANDARDIZE).output
            core = keras.Model(standardized, decoder.output, name=CORE)
        self.core = keras.models.clone_model(core)
        self.core.set_weights(core.get_weights())
        heard = np.where(self.is_known[:, None], kernel[self.place], 0.0)
        self.start = heard, bias

    def _match(self, said: Preprocessing, recording: Recording) -> None:
        """Find each unit of the recording among the decoder's."""
        units = recording.spikes.shape[1]
        has_ids = said.unit_ids is not None and recording.unit_ids is not None
        # Without ids the units must be as many, and are the same, in order.
        of_all = {"mean": [0.0] * units, "scale": [1.0] * units}
        check_recording(
            dataclasses.replace(said, unit_ids=None, channels=None, **of_all)
            if has_ids
            else said,
            recording,
        )
        place = np.arange(units)
        if has_ids:
            by_id = {unit: i for i, unit in enumerate(said.unit_ids or ())}
            found = recording.unit_ids or ()
            place = np.array([by_id.get(unit, -1) for unit in found])
        self.place, self.is_known = place, place >= 0
        self.standardizer = Standardizer(
            np.where(self.is_known, np.asarray(said.mean)[place], 0.0),
            np.where(self.is_known, np.asarray(said.scale)[place], 1.0),
        )
        self.said = dataclasses.replace(
            said, unit_ids=recording.unit_ids, channels=None, **of_all
        )

    def check_known(self) -> None:
        if not self.is_known.any():
            raise ValueError(
                "The recording has none of the units that the decoder knows, "
                "by their `unit_ids`: without movement nothing can be said of "
                "new ones. Give some `minutes` with `labels`."
            )

    def start_as_before(self, standardizer: Standardizer) -> list[np.ndarray]:
        """Return the read-in that undoes how counts are standardized anew."""
        kernel, bias = self.start
        old = self.standardizer
        scale = standardizer.scale / old.scale
        shift = (standardizer.mean - old.mean) / old.scale
        return [kernel * scale[:, None], bias + shift @ kernel]

    def model(
        self, standardizer: Standardizer, kernel: np.ndarray, bias: np.ndarray
    ) -> keras.Model:
        said = dataclasses.replace(
            self.said, mean=standardizer.mean, scale=standardizer.scale
        )
        counts = keras.Input((self.length, len(kernel)), name="spike_counts")
        x = PreprocessingTag(said, dtype="float32", name="preprocessing")(
            counts
        )
        if said.transform == "sqrt":
            x = keras.ops.sqrt(x)
        x = standardizer.layer(STANDARDIZE)(x)
        read_in = keras.layers.Dense(len(bias), dtype="float32", name=READ_IN)
        movement = self.core(read_in(x))
        read_in.set_weights([kernel, bias])
        return keras.Model(counts, movement, name="calibrated_decoder")


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
    recording: Recording, bins: int, parts: _Parts
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
    deviation = np.where(stands_still(y), 1.0, y.std(axis=0))

    def loss(true: Any, decoded: Any) -> Any:
        error = (true - decoded) / deviation.astype("float32")
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
        return PULL * keras.ops.sum(keras.ops.square(x - self.start))
