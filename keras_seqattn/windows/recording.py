"""Recording: binned spikes with the movement they go with."""

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np

from keras_seqattn._checks import check_array
from keras_seqattn._checks import check_finite_number
from keras_seqattn._checks import check_flag
from keras_seqattn._checks import check_positive_number
from keras_seqattn._checks import check_text
from keras_seqattn._checks import to_float32
from keras_seqattn.windows.aligned_bins import aligned_bins
from keras_seqattn.windows.labels import group_labels
from keras_seqattn.windows.spike_trains import check_unit_ids

# Whoever gives more means milliseconds.
LONGEST_BIN = 1.0
LONGEST_LAG = 5.0


# By identity: of arrays it is not told at once whether they are equal.
@dataclasses.dataclass(frozen=True, eq=False)
class Recording:
    """Binned spikes and the movement recorded with them.

    Args:
        spikes: Array of shape `(bins, units)`, spike counts (or rates) of
            each unit in each bin, oldest bin first.
        movement: Float array of shape `(bins, axes)`, what is decoded, one
            row a bin (for example cursor velocity in cm/s). Where `scored` is
            false it may be NaN.
        segment: Optional integer array of shape `(bins,)`. Bins that follow
            each other in the array but not in time carry different numbers;
            no window crosses such a seam. Default: one segment.
        bin_width: Width of a bin in seconds, or `None` if unknown.
        quantity: What is decoded, with its unit, for titles: `"velocity
            (cm/s)"`. Default: `"movement"`. If it begins with `"direction"`,
            pairs of axes are cosine and sine of an angle, and scores tell the
            error in degrees.
        times: Optional float array of shape `(bins,)`, the end of each bin in
            seconds of the recording's clock.
        scored: Optional booleans of shape `(bins,)`. False: the bin gives
            context to windows that end later; no window that ends in it is
            trained on or scored. Default: all true.
        trial: Optional integers of shape `(bins,)`, -1 outside of trials.
        condition: Optional labels of shape `(bins,)`, integers or text, by
            which scores are told apart.
        unit_ids: Optional integers or text, one a unit, in the order of
            `spikes`.
        lag: Seconds by which the movement of a bin is later than its end.

    Raises:
        ValueError: Arrays of the wrong rank or of different lengths, NaN or
            infinite values, a `bin_width` that is not above 0 or above 1 s, or
            a `lag` of more than 5 s.

    Example:
    ```python
    import numpy as np
    import keras_seqattn as ks

    counts = np.random.default_rng(0).poisson(1.0, size=(500, 30))
    velocity = np.random.default_rng(1).normal(size=(500, 2))
    recording = ks.decoding.Recording(counts, velocity, bin_width=0.05)
    print(recording.spikes.shape, recording.bin_width)  # (500, 30) 0.05
    ```
    """

    spikes: np.ndarray
    movement: np.ndarray
    segment: np.ndarray | None = None
    bin_width: float | None = None
    quantity: str = "movement"
    _: dataclasses.KW_ONLY
    times: np.ndarray | None = None
    scored: np.ndarray | None = None
    trial: np.ndarray | None = None
    condition: np.ndarray | None = None
    unit_ids: Sequence[int | str] | None = None
    lag: float = 0.0

    def __repr__(self) -> str:
        bins, units = self.spikes.shape
        width = "" if self.bin_width is None else f" of {self.bin_width:g} s"
        return (
            f"Recording({bins} bins{width}, {units} units, "
            f"{self.movement.shape[1]} axes of {self.quantity}, "
            f"{len(np.unique(np.asarray(self.segment)))} segments)"
        )

    def __post_init__(self) -> None:
        spikes = _matrix("spikes", self.spikes, "(bins, units)")
        movement = _matrix("movement", self.movement, "(bins, axes)")
        _check_length("movement", movement, spikes)
        scored = np.ones(len(spikes), bool)
        if self.scored is not None:
            scored = _column("scored", self.scored, spikes, "b")
            if not scored.any():
                raise ValueError(
                    "`scored` must be true in some bin. Received: all "
                    f"{len(scored)} are false"
                )
        _check_finite("spikes", spikes, np.ones(len(spikes), bool))
        _check_finite("movement", movement, scored)
        fields: dict[str, Any] = {
            "spikes": spikes,
            "movement": np.where(np.isfinite(movement), movement, 0.0),
            "scored": scored,
            "segment": np.zeros(len(spikes), dtype=np.int64),
            "quantity": check_text("quantity", self.quantity),
            "lag": check_lag(self.lag),
        }
        if self.segment is not None:
            fields["segment"] = _column("segment", self.segment, spikes, "buif")
        if self.bin_width is not None:
            fields["bin_width"] = check_bin_width(self.bin_width)
        if self.trial is not None:
            trial = _column("trial", self.trial, spikes, "iu")
            fields["trial"] = trial.astype(np.int64)
        if self.condition is not None:
            fields["condition"] = group_labels("condition", self.condition)
            _check_length("condition", fields["condition"], spikes)
        if self.times is not None:
            times = _column("times", self.times, spikes, "uif")
            fields["times"] = times.astype(np.float64)
            _check_times(
                fields["times"], fields["segment"], fields.get("bin_width")
            )
        if self.unit_ids is not None:
            fields["unit_ids"] = check_unit_ids(self.unit_ids)
            if len(fields["unit_ids"]) != spikes.shape[1]:
                raise ValueError(
                    "`unit_ids` must name each unit of `spikes`. Received: "
                    f"{len(fields['unit_ids'])} ids for {spikes.shape[1]} units"
                )
        for name, value in fields.items():
            object.__setattr__(self, name, value)

    @property
    def is_direction(self) -> bool:
        """Whether pairs of axes are cosine and sine of an angle."""
        axes = int(self.movement.shape[1])
        if axes % 2 or not self.quantity.startswith("direction"):
            return False
        # A movement may be called so that is none: "direction of reach (cm)".
        lengths = np.hypot(self.movement[:, ::2], self.movement[:, 1::2])
        return bool(lengths.max() <= 1 + 1e-3)

    @classmethod
    def from_spike_times(
        cls,
        spike_times: Any,
        times: np.ndarray,
        movement: np.ndarray,
        *,
        bin_width: float,
        quantity: str = "as given",
        lag: float = 0.0,
        trials: Any = None,
        condition: Sequence[Any] | None = None,
        observed: Any = None,
        alignment: str = "end",
        smoothing: float | None = None,
        look_ahead: bool = False,
        max_gap: float | None = None,
        unit_ids: Sequence[int | str] | None = None,
        name: str | None = None,
    ) -> "Recording":
        """Bin spike times, with the movement of another clock rate.

        Bins follow each other from the start of each run of the behaviour,
        that is, between two gaps of it. With `trials` or `observed`, bins run
        on through the gaps of the behaviour and between the trials: they give
        context, and are not scored.

        Args:
            spike_times: Seconds. A list of arrays, one a unit; a mapping from
                ids to arrays, such as a pynapple `TsGroup`, in its order; or
                a long table with the columns `unit` and `time`, whose units
                are sorted. Units without a spike are kept.
            times: Array of shape `(samples,)`, the time of each sample of the
                movement in seconds of the same clock, rising.
            movement: Array of shape `(samples, axes)` or `(samples,)`. A
                sample with a NaN is missing.
            bin_width: Width of a bin in seconds.
            quantity: `"as given"` (default); `"velocity"` or
                `"acceleration"`, derived from positions; or `"direction"`,
                the cosine and sine of angles in radians.
            lag: Seconds from a bin's end to the instant whose movement goes
                with it. Above 0 the movement follows the spikes; below 0 the
                window holds spikes that are later than the movement, so
                that it cannot be decoded live.
            trials: Optional array `(trials, 2)` of start and stop in seconds,
                or a table with the columns `start` and `stop` (or `end`). Only
                bins whose movement lies in a trial are scored.
            condition: Optional labels, one a trial, or the name of their
                column in a table of `trials`.
            observed: Optional starts and stops, as `trials`: when spikes were
                recorded. No window goes from one to the next.
            alignment: The instant of a bin that its movement is taken at:
                `"end"` (default), `"start"`, or the `"mean"` over the bin.
            smoothing: Seconds of samples behind each derivative. Default: a
                bin, or five samples if that is longer.
            look_ahead: Whether a derivative may use samples later than its
                instant: smoother, and not what can be known live.
            max_gap: Seconds between two samples above which the behaviour has
                a gap. Default: one and a half of the step that 95 % of the
                samples do not exceed.
            unit_ids: The units wanted, in this order. Default: all.
            name: What the movement is, with its unit, for titles.

        Returns:
            A `Recording` with `times`, `unit_ids` and `segment`; `trial`
            if there are trials.

        Raises:
            ValueError: Arrays that do not fit together, times that do not
                rise, or no bin that holds both spikes and movement.

        Example:
        ```python
        import numpy as np
        import keras_seqattn as ks

        t = np.arange(0, 60, 0.01)  # Seconds; the position at 100 Hz.
        position = np.stack([np.sin(t), np.cos(t)], axis=1)
        rng = np.random.default_rng(0)
        units = [np.sort(rng.uniform(0, 60, size=300)) for _ in range(5)]
        recording = ks.decoding.Recording.from_spike_times(
            units, t, position, bin_width=0.05, quantity="velocity"
        )
        print(recording.spikes.shape, recording.times[0])  # (1199, 5) 0.05
        print(np.abs(recording.movement[:, 0]).max().round(2))  # 1.0
        ```
        """
        return cls(
            **aligned_bins(
                spike_times,
                times,
                movement,
                bin_width=check_bin_width(bin_width),
                quantity=quantity,
                lag=check_lag(lag),
                trials=trials,
                condition=condition,
                observed=observed,
                alignment=alignment,
                smoothing=smoothing,
                look_ahead=check_flag("look_ahead", look_ahead),
                max_gap=max_gap,
                unit_ids=unit_ids,
                name=name,
            )
        )


def check_recording_type(recording: Any) -> None:
    """Raise unless it is a `Recording`."""
    if not isinstance(recording, Recording):
        raise ValueError(
            "`recording` must be a `Recording`; `decoding.load_recording` "
            f"reads one. Received: {type(recording).__name__}"
        )


def check_bin_width(bin_width: Any) -> float:
    """Return `bin_width`, or raise if it can be no number of seconds."""
    bin_width = check_positive_number("bin_width", _plain(bin_width))
    if bin_width > LONGEST_BIN:
        raise ValueError(
            f"`bin_width` must be in seconds, at most {LONGEST_BIN:g}. "
            f"Received: bin_width={bin_width:g}; if these are milliseconds, "
            f"give {bin_width / 1000:g}"
        )
    return bin_width


def _plain(value: Any) -> Any:
    """Return the number of a NumPy scalar or array of one."""
    return value.item() if getattr(value, "size", 0) == 1 else value


def check_lag(lag: Any) -> float:
    """Return `lag`, or raise if it can be no number of seconds."""
    lag = check_finite_number("lag", _plain(lag))
    if abs(lag) > LONGEST_LAG:
        raise ValueError(
            f"`lag` must be in seconds, at most {LONGEST_LAG:g} either way. "
            f"Received: lag={lag:g}; if these are milliseconds, give "
            f"{lag / 1000:g}"
        )
    return lag


def _matrix(name: str, value: object, axes: str) -> np.ndarray:
    try:
        array = check_array(name, value, axes)
    except ValueError as error:
        if "different lengths" in str(error):
            raise ValueError(
                f"{error}. Spike times are binned by "
                "`Recording.from_spike_times`."
            ) from error
        raise
    if 0 in array.shape:
        raise ValueError(
            f"`{name}` must not be empty. Received: {name}.shape={array.shape}"
        )
    return to_float32(array)


def _check_finite(name: str, array: np.ndarray, where: np.ndarray) -> None:
    bad = where & ~np.isfinite(array).all(axis=1)
    if bad.any():
        raise ValueError(
            f"`{name}` must be finite. Received: NaN or infinity in "
            f"{bad.sum()} of {len(array)} bins, the first at bin "
            f"{np.flatnonzero(bad)[0]}. Drop those bins and give the parts "
            "on both sides different `segment` numbers, or, if the spikes are "
            "good, give `scored` that is false there."
        )


def _check_length(name: str, array: np.ndarray, spikes: np.ndarray) -> None:
    if len(array) != len(spikes):
        raise ValueError(
            f"`{name}` must have one row a bin of `spikes`. Received: "
            f"{len(array)} rows in `{name}` and {len(spikes)} in `spikes`"
        )


def _column(
    name: str, value: object, spikes: np.ndarray, kinds: str
) -> np.ndarray:
    array = check_array(name, value, "(bins,)", kinds)
    _check_length(name, array, spikes)
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        raise ValueError(
            f"`{name}` must be finite. Received: NaN or infinity in "
            f"{(~np.isfinite(array)).sum()} of {len(array)} bins"
        )
    return array


def _check_times(
    times: np.ndarray, segment: np.ndarray, bin_width: float | None
) -> None:
    """Raise unless bins of a segment follow each other by their width."""
    steps = np.diff(times)
    together = segment[1:] == segment[:-1]
    wrong = ~(steps > 0)
    expected = "rise"
    if bin_width is not None:
        wrong |= together & (np.abs(steps / bin_width - 1) > 0.1)
        expected += f" by `bin_width`, {bin_width:g} s, within a segment"
    if wrong.any():
        at = int(np.argmax(wrong)) + 1
        raise ValueError(
            f"`times` must {expected}. Received: {times[at]:.6g} s in bin "
            f"{at} after {times[at - 1]:.6g} s, {wrong.sum()} such steps in "
            "all. Where time is missing, give the parts on both sides "
            "different `segment` numbers."
        )
