"""Behaviour with its own time stamps, brought to the instants of bins."""

import numpy as np

from keras_seqattn._checks import check_array
from keras_seqattn.windows.binning import rounding

QUANTITIES = ("as given", "velocity", "acceleration", "direction")
ALIGNMENTS = ("end", "mean", "start")
CHUNK = 4096  # instants whose samples are held at once


class Behavior:
    """A movement with time stamps, in runs without a gap.

    Args:
        times: Array of shape `(samples,)`, rising seconds. Samples may come
            at any rate, also an uneven one.
        movement: Array of shape `(samples, axes)` or `(samples,)`. A sample
            with a NaN is missing.
        max_gap: Seconds; two samples further apart are of two runs. Default:
            one and a half of the step that 95 % do not exceed, at most three
            of the median step. At an even rate one lost sample ends a run.

    Attributes:
        runs: Array of shape `(runs, 2)`, times of their first and last sample.

    Raises:
        ValueError: Times that do not rise, arrays that do not fit together,
            or fewer than two samples.
    """

    def __init__(
        self,
        times: np.ndarray,
        movement: np.ndarray,
        max_gap: float | None = None,
    ) -> None:
        times, movement = _check_samples(times, movement)
        known = np.isfinite(movement).all(axis=1)
        if known.sum() < 2:
            raise ValueError(
                "`movement` must hold two samples that are not NaN. "
                f"Received: {known.sum()} of {len(movement)}"
            )
        self.times, self.movement = times[known], movement[known]
        steps = np.diff(self.times)
        self.step = float(np.median(np.diff(times)))
        limit = max_gap
        if limit is None:
            # Jitter is no gap; many gaps are no jitter.
            usual = float(np.percentile(np.diff(times), 95))
            limit = 1.5 * min(usual, 2 * self.step)
        # The end of a last bin is a sum of many widths.
        self._slack = 1e-6 * self.step + rounding(self.times, 0)
        self._first = np.concatenate([[0], np.flatnonzero(steps > limit) + 1])
        self._last = np.concatenate([self._first[1:], [len(self.times)]]) - 1
        self.runs = np.stack(
            [self.times[self._first], self.times[self._last]], axis=1
        )

    def direction(self) -> "Behavior":
        """Return the cosine and the sine of angles in radians."""
        found = object.__new__(Behavior)
        found.__dict__.update(self.__dict__)
        found.movement = cosine_and_sine(self.movement)
        return found

    def at(self, instants: np.ndarray) -> np.ndarray:
        """Interpolate between the two samples beside each instant.

        Returns:
            Array of shape `(instants, axes)`; NaN where an instant lies in
            no run.
        """
        values = np.stack(
            [np.interp(instants, self.times, axis) for axis in self.movement.T],
            axis=1,
        )
        values[~self._inside(instants)] = np.nan
        return values

    def mean_within(self, starts: np.ndarray, stops: np.ndarray) -> np.ndarray:
        """Average the samples of each bin; with one or none, interpolate."""
        first = np.searchsorted(self.times, starts - self._slack)
        stop = np.searchsorted(self.times, stops - self._slack)
        count = (stop - first)[:, None]
        # Differences of one running sum per axis, about its mean.
        center = self.movement.mean(axis=0)
        total = np.cumsum(self.movement - center, axis=0)
        total = np.concatenate([np.zeros((1, total.shape[1])), total])
        mean = center + (total[stop] - total[first]) / np.maximum(count, 1)
        values = np.where(count > 1, mean, self.at((starts + stops) / 2))
        whole = self._run(starts) == self._run(stops)
        values[~(whole & self._inside(starts) & self._inside(stops))] = np.nan
        return values

    def derivative(
        self, instants: np.ndarray, order: int, span: float, look_ahead: bool
    ) -> np.ndarray:
        """Differentiate a polynomial fitted to the samples about an instant.

        Least squares of degree `order + 1`, as Savitzky and Golay (Anal.
        Chem. 36(8), 1627, 1964, doi 10.1021/ac60214a047), for samples at any
        times.

        Args:
            instants: Array of shape `(instants,)`.
            order: 1 for the velocity, 2 for the acceleration.
            span: Seconds of samples that are fitted.
            look_ahead: Whether they lie on both sides of the instant. If not,
                none is later than it.

        Returns:
            Array of shape `(instants, axes)`; NaN where a run does not hold
            all the samples.
        """
        # No run holds more samples than there are.
        samples = round(min(span / self.step, len(self.times))) + 1
        samples = max(samples, order + 3)
        newest = (
            np.searchsorted(self.times, instants + self._slack, "right") - 1
        )
        if look_ahead:
            newest = newest + samples // 2
        oldest = newest - samples + 1
        values = np.full((len(instants), self.movement.shape[1]), np.nan)
        run = self._run(instants)
        whole = self._inside(instants)
        whole &= (oldest >= self._first[run]) & (newest <= self._last[run])
        for part in np.array_split(
            np.flatnonzero(whole), whole.sum() // CHUNK + 1
        ):
            index = oldest[part, None] + np.arange(samples)
            # In units of the span: powers of seconds would lose digits.
            age = (self.times[index] - instants[part, None]) / span
            powers = age[..., None] ** np.arange(order + 2)
            fit = np.linalg.pinv(powers)[:, order]
            values[part] = np.einsum("bn,bna->ba", fit, self.movement[index])
        # The factorial of 1 or 2 is the number itself.
        return values * order / span**order

    def _run(self, instants: np.ndarray) -> np.ndarray:
        run = np.searchsorted(self.runs[:, 0], instants, side="right") - 1
        return np.maximum(run, 0)

    def _inside(self, instants: np.ndarray) -> np.ndarray:
        start, stop = self.runs[self._run(instants)].T
        return (instants >= start - self._slack) & (
            instants <= stop + self._slack
        )


def cosine_and_sine(angles: np.ndarray) -> np.ndarray:
    """Return `(n, 2 axes)` of angles `(n, axes)` in radians; NaN stays.

    Raises:
        ValueError: Angles that span more than two turns, such as degrees.
    """
    angles = np.asarray(angles, np.float64)
    known = angles[np.isfinite(angles)]
    if len(known) and np.ptp(known) > 4.2 * np.pi:
        raise ValueError(
            "A direction must be an angle in radians, within one turn. "
            f"Received: values from {known.min():.4g} to {known.max():.4g}; "
            "degrees are turned by `numpy.radians`"
        )
    pairs = np.stack([np.cos(angles), np.sin(angles)], axis=2)
    return pairs.reshape(len(angles), -1)


def _check_samples(
    times: np.ndarray, movement: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    times = check_array("times", times, "(samples,)", "uif")
    if np.ma.is_masked(movement):  # Missing, whatever lies beneath.
        movement = np.ma.filled(np.ma.asarray(movement, float), np.nan)
    movement = check_array(
        "movement", movement, "(samples,) or (samples, axes)"
    )
    if movement.ndim == 1:
        movement = movement[:, None]
    if len(times) != len(movement) or not movement.shape[1]:
        raise ValueError(
            "`movement` must have one row a sample of `times`, (samples, "
            f"axes). Received: times.shape={times.shape}, "
            f"movement.shape={movement.shape}"
        )
    times, movement = times.astype(np.float64), movement.astype(np.float64)
    if not np.isfinite(times).all():
        bad = ~np.isfinite(times)
        raise ValueError(
            f"`times` must be finite. Received: NaN or infinity in {bad.sum()} "
            f"of {len(times)} samples, the first at sample {np.argmax(bad)}. "
            "Leave those samples out."
        )
    back = np.flatnonzero(np.diff(times) <= 0)
    if len(back):
        raise ValueError(
            "`times` must rise from sample to sample. Received: "
            f"{len(back)} that do not, the first is sample {back[0] + 1}: "
            f"{times[back[0] + 1]:.6g} s after {times[back[0]]:.6g} s. Sort "
            "the samples by time and leave out those that are there twice."
        )
    return times, np.where(np.isfinite(movement), movement, np.nan)
