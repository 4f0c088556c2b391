"""Windows of a recording, split by time and standardized."""

import dataclasses
import warnings
from collections.abc import Sequence

import keras
import numpy as np

from keras_seqattn._checks import check_array
from keras_seqattn._checks import check_choice
from keras_seqattn._checks import check_positive_integer
from keras_seqattn.decoding.parts import PARTS
from keras_seqattn.decoding.parts import chronological_parts
from keras_seqattn.decoding.score import Score
from keras_seqattn.decoding.score import stands_still
from keras_seqattn.export.preprocessing import Preprocessing
from keras_seqattn.export.preprocessing_tag import PreprocessingTag
from keras_seqattn.windows.cutting import run_numbers
from keras_seqattn.windows.cutting import take_windows
from keras_seqattn.windows.cutting import window_ends
from keras_seqattn.windows.recording import Recording
from keras_seqattn.windows.recording import check_recording_type
from keras_seqattn.windows.standardizer import Standardizer

# Below it, a warning.
COVERED = 0.7


@dataclasses.dataclass(frozen=True)
class Coverage:
    """How much of a part of a recording its windows decode.

    Attributes:
        bins: Bins whose movement is known and to be scored.
        windows: Those of them that end a whole window.
    """

    bins: int
    windows: int

    @property
    def share(self) -> float:
        """Share of the part's movement that is decoded."""
        return self.windows / self.bins


def coverage_text(coverage: dict[str, Coverage]) -> str:
    """Return one line: how much of each part is decoded."""
    return "; ".join(
        f"{name}: {part.windows} of {part.bins} bins, {part.share:.0%} of the "
        "movement"
        for name, part in coverage.items()
    )


class DecodingData:
    """Windows of a recording, split by time and standardized.

    Counts are square-rooted (which makes the variance of Poisson counts
    equal) unless `transform` is `None`, then spikes and movement are
    standardized by the bins of the training windows alone. Windows of every
    length end at the same bins, so that lengths can be compared.

    Args:
        recording: A `Recording`.
        timesteps: Positive integer, the longest window in bins.
        fractions: Shares of the recording's scored bins for training,
            validation and test, in time order.
        transform: `"sqrt"` or `None`.
        parts: For each bin its place in `PARTS`, as from `fold_parts`, in
            place of `fractions`.

    Attributes:
        ends: For each part the last bin of each window.
        coverage: For each part a `Coverage`: how many of its bins are decoded.

    Raises:
        ValueError: Negative counts to take a root of, a part without a
            window, or one in which no axis moves.
    """

    def __init__(
        self,
        recording: Recording,
        timesteps: int,
        fractions: Sequence[float] = (0.7, 0.1, 0.2),
        transform: str | None = "sqrt",
        parts: np.ndarray | None = None,
    ) -> None:
        check_choice("transform", transform, ("sqrt", None))
        check_recording_type(recording)
        timesteps = check_positive_integer("timesteps", timesteps)
        spikes = recording.spikes
        if parts is None:
            parts = chronological_parts(np.asarray(recording.scored), fractions)
        parts = check_array("parts", parts, "(bins,)", "iu")
        if len(parts) != len(spikes):
            raise ValueError(
                f"`parts` must hold one number for each of {len(spikes)} bins. "
                f"Received: {len(parts)}"
            )
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
        self.ends = window_ends_of_parts(recording, timesteps, parts)
        self.coverage = _coverage(recording, self.ends, parts)
        _check_movement(recording, self.ends)
        self.spike_standardizer = Standardizer.fit(spikes[self.bins("train")])
        self.movement_standardizer = Standardizer.fit(
            recording.movement[self.ends["train"]]
        )
        self._spikes = self.spike_standardizer.transform(spikes)
        self._movement = self.movement_standardizer.transform(
            recording.movement
        )

    def split_anew(self, parts: np.ndarray) -> "DecodingData":
        """Return the same recording and settings with other parts."""
        return DecodingData(
            self.recording,
            self.timesteps,
            transform=self.transform,
            parts=parts,
        )

    def bins(self, part: str) -> np.ndarray:
        """Return every bin that a window of a part holds, once, in order."""
        ends = self.ends[check_choice("part", part, PARTS)]
        change = np.zeros(len(self.recording.spikes) + 1, dtype=np.int64)
        np.add.at(change, ends - self.timesteps + 1, 1)
        np.add.at(change, ends + 1, -1)
        return np.flatnonzero(np.cumsum(change[:-1]) > 0)

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
        timesteps = check_positive_integer("timesteps", timesteps)
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

    def movement_windows(
        self, part: str, timesteps: int
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return the standardized movement in every bin of the windows.

        Args:
            part: `"train"`, `"validation"` or `"test"`.
            timesteps: Length of the windows.

        Returns:
            Array `(windows, timesteps, axes)`, and booleans `(windows,
            timesteps)`: whether the bin is scored. Elsewhere the movement
            means nothing.
        """
        ends = self.ends[check_choice("part", part, PARTS)]
        scored = np.asarray(self.recording.scored)[:, None]
        return (
            take_windows(self._movement, ends, timesteps),
            take_windows(scored, ends, timesteps)[..., 0],
        )

    def score(self, part: str, decoded: np.ndarray) -> Score:
        """Score standardized predictions for the windows of a part."""
        return Score.of(
            self.recording.movement[
                self.ends[check_choice("part", part, PARTS)]
            ],
            self.movement_standardizer.inverse(decoded),
            self.recording.is_direction,
        )

    def deploy(self, decoder: keras.Model) -> keras.Model:
        """Wrap a decoder so that it takes counts and returns movement.

        The square root and both standardizations become part of the model,
        and a `PreprocessingTag`, which tells whoever has the model which
        recordings it takes: `export.preprocessing_of` reads it, exports write
        it, `predict_recording` obeys it.

        Args:
            decoder: A model from standardized windows to standardized
                movement.

        Returns:
            A `keras.Model` from spike counts `(batch, timesteps, units)` to
            movement in the recording's own unit `(batch, axes)`.
        """
        counts = keras.Input(decoder.input_shape[1:], name="spike_counts")
        recording = self.recording
        x = PreprocessingTag(
            Preprocessing(
                mean=self.spike_standardizer.mean,
                scale=self.spike_standardizer.scale,
                transform=self.transform,
                in_model=True,
                window=self.timesteps,
                timesteps=decoder.input_shape[1],
                bin_width=recording.bin_width,
                lag=recording.lag,
                quantity=recording.quantity.strip() or None,
                unit_ids=recording.unit_ids,
            ),
            dtype="float32",
            name="preprocessing",
        )(counts)
        if self.transform == "sqrt":
            x = keras.ops.sqrt(x)
        x = self.spike_standardizer.layer("standardize")(x)
        movement = self.movement_standardizer.layer("movement", invert=True)(
            decoder(x)
        )
        return keras.Model(counts, movement, name=f"{decoder.name}_deployed")


def window_ends_of_parts(
    recording: Recording, timesteps: int, parts: np.ndarray
) -> dict[str, np.ndarray]:
    """Return the last bin of each window, by part.

    A window lies in one segment and in one part, and ends in a bin that is
    scored: the windows that straddle a cut are dropped.
    """
    segment = np.asarray(recording.segment)
    window_ends(segment, timesteps)  # Or no part can have one.
    ends = {name: np.empty(0, np.int64) for name in PARTS}
    try:
        every = window_ends(run_numbers(segment, parts), timesteps)
    except ValueError:
        every = ends["train"]
    every = every[np.asarray(recording.scored)[every]]
    for number, name in enumerate(PARTS):
        ends[name] = every[parts[every] == number]
        if not len(ends[name]):
            raise ValueError(
                f"The {name} part holds no window of {timesteps} timesteps "
                "that is scored. Use fewer timesteps, other `fractions` or a "
                f"longer recording. Received: {np.sum(parts == number)} bins "
                "in this part"
            )
    return ends


def _coverage(
    recording: Recording, ends: dict[str, np.ndarray], parts: np.ndarray
) -> dict[str, Coverage]:
    found = {
        name: Coverage(
            int(np.sum(recording.scored & (parts == number))), len(ends[name])
        )
        for number, name in enumerate(PARTS)
    }
    if min(part.share for part in found.values()) < COVERED:
        warnings.warn(
            "Few bins have a whole window before them "
            f"({coverage_text(found)}). Segments are short: use fewer "
            "timesteps, or keep the bins between trials, with `scored` false, "
            "so that windows begin in them: "
            "`Recording.from_spike_times(trials=...)` does.",
            stacklevel=4,
        )
    return found


def _check_movement(recording: Recording, ends: dict[str, np.ndarray]) -> None:
    """Raise if a score could say nothing; warn if an axis cannot."""
    for name, part in ends.items():
        still = np.flatnonzero(stands_still(recording.movement[part]))
        if len(still) == recording.movement.shape[1]:
            raise ValueError(
                f"No axis of `movement` moves in the {name} part, so nothing "
                "can be learnt or scored there. Was the tracker lost? Leave "
                "such bins out, or set `scored` to false in them. Received: "
                f"{recording.movement[part[0]].tolist()} in all "
                f"{len(part)} windows"
            )
        if len(still):
            warnings.warn(
                f"Axis {still.tolist()} of `movement` does not move in the "
                f"{name} part: its R2 is 0 there.",
                stacklevel=4,
            )
