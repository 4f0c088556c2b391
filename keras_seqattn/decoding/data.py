"""Windows of a recording, split by time and standardized."""

from collections.abc import Sequence

import keras
import numpy as np

from keras_seqattn._checks import check_choice
from keras_seqattn.decoding.score import Score
from keras_seqattn.windows.cutting import chronological_split
from keras_seqattn.windows.cutting import take_windows
from keras_seqattn.windows.cutting import window_ends
from keras_seqattn.windows.recording import Recording
from keras_seqattn.windows.standardizer import Standardizer

PARTS = ("train", "validation", "test")


class DecodingData:
    """Windows of a recording, split by time and standardized.

    Counts are square-rooted (which makes the variance of Poisson counts
    equal) unless `transform` is `None`, then spikes and movement are
    standardized by the bins of the training windows alone. Windows of every
    length end at the same bins, so that lengths can be compared.

    Args:
        recording: A `Recording`.
        timesteps: Positive integer, the longest window in bins.
        fractions: Shares of the recording for training, validation and test,
            in time order.
        transform: `"sqrt"` or `None`.

    Raises:
        ValueError: Negative counts to take a root of, no window, or a part
            without a window.
    """

    def __init__(
        self,
        recording: Recording,
        timesteps: int,
        fractions: Sequence[float] = (0.7, 0.1, 0.2),
        transform: str | None = "sqrt",
    ) -> None:
        check_choice("transform", transform, ("sqrt", None))
        if len(fractions) != 3:
            raise ValueError(
                "`fractions` must hold three shares, of training, validation "
                f"and test. Received: fractions={fractions}"
            )
        spikes = recording.spikes
        if transform == "sqrt":
            if spikes.min() < 0:
                raise ValueError(
                    "`spikes` must not be negative for transform='sqrt'; use "
                    "transform=None for rates that are already scaled. "
                    f"Received: a minimum of {spikes.min()}"
                )
            spikes = np.sqrt(spikes)
        self.recording = recording
        self.timesteps = timesteps
        self.transform = transform
        ends = window_ends(np.asarray(recording.segment), timesteps)
        parts = chronological_split(ends, len(spikes), timesteps, fractions)
        self.ends = dict(zip(PARTS, parts, strict=True))
        # Every bin that a training window holds, each once.
        change = np.zeros(len(spikes) + 1, dtype=np.int64)
        np.add.at(change, self.ends["train"] - timesteps + 1, 1)
        np.add.at(change, self.ends["train"] + 1, -1)
        in_training = np.cumsum(change[:-1]) > 0
        self.spike_standardizer = Standardizer.fit(spikes[in_training])
        self.movement_standardizer = Standardizer.fit(
            recording.movement[self.ends["train"]]
        )
        self._spikes = self.spike_standardizer.transform(spikes)
        self._movement = self.movement_standardizer.transform(
            recording.movement
        )

    def windows(
        self, part: str, timesteps: int | None = None
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return the standardized windows of a part and their targets.

        Args:
            part: `"train"`, `"validation"` or `"test"`.
            timesteps: Length of the windows, at most the longest. Default:
                the longest.

        Returns:
            Arrays `(windows, timesteps, units)` and `(windows, axes)`.
        """
        timesteps = self.timesteps if timesteps is None else timesteps
        if not 1 <= timesteps <= self.timesteps:
            raise ValueError(
                f"`timesteps` must be in 1 .. {self.timesteps}, the longest "
                f"window. Received: timesteps={timesteps}"
            )
        ends = self.ends[check_choice("part", part, PARTS)]
        return (
            take_windows(self._spikes, ends, timesteps),
            self._movement[ends],
        )

    def movement_windows(self, part: str, timesteps: int) -> np.ndarray:
        """Return the standardized movement in every bin of the windows.

        Args:
            part: `"train"`, `"validation"` or `"test"`.
            timesteps: Length of the windows.

        Returns:
            Array `(windows, timesteps, axes)`.
        """
        return take_windows(self._movement, self.ends[part], timesteps)

    def score(self, part: str, decoded: np.ndarray) -> Score:
        """Score standardized predictions for the windows of a part."""
        return Score.of(
            self.recording.movement[self.ends[part]],
            self.movement_standardizer.inverse(decoded),
        )

    def deploy(self, decoder: keras.Model) -> keras.Model:
        """Wrap a decoder so that it takes counts and returns movement.

        The square root and both standardizations become part of the model.

        Args:
            decoder: A model from standardized windows to standardized
                movement.

        Returns:
            A `keras.Model` from spike counts `(batch, timesteps, units)` to
            movement in the recording's own unit `(batch, axes)`.
        """
        counts = keras.Input(decoder.input_shape[1:], name="spike_counts")
        x = keras.ops.sqrt(counts) if self.transform == "sqrt" else counts
        x = self.spike_standardizer.layer("standardize")(x)
        movement = self.movement_standardizer.layer("movement", invert=True)(
            decoder(x)
        )
        return keras.Model(counts, movement, name=f"{decoder.name}_deployed")
