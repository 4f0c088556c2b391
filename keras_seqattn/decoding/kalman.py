"""Kalman filter: movement that moves on, corrected by each bin's counts."""

import collections
import dataclasses
from collections.abc import Sequence
from typing import Any
from typing import Self

import numpy as np

from keras_seqattn._checks import check_array
from keras_seqattn._checks import check_list
from keras_seqattn._checks import check_non_negative_integer
from keras_seqattn._checks import check_positive_number
from keras_seqattn.decoding.costs import Costs
from keras_seqattn.decoding.count_bins import CountScale
from keras_seqattn.decoding.count_bins import runs_of
from keras_seqattn.decoding.data import DecodingData
from keras_seqattn.decoding.simple_decoder import SimpleDecoder
from keras_seqattn.decoding.simple_decoder import check_fitted
from keras_seqattn.decoding.wiener import check_transforms
from keras_seqattn.decoding.wiener import choose_from

# Keeps the observation noise invertible where a unit is dead or has a twin;
# counts have variance 1.
LEAST_NOISE = 1e-8

# What is derived twice; else the state takes an integral and a derivative.
PLACES = ("position", "direction")


class KalmanFilter(SimpleDecoder):
    """A linear model of movement and of counts, and its best estimate.

    The state holds position, velocity and acceleration. It moves on by
    `x' = A x + w`, and the standardized counts are `z = C x + q`, `lag` bins
    before. Matrices and noises are fitted by least squares to training bins
    that follow each other in one segment. With them, the gain of the filter
    settles within seconds; the settled gain is used from the first bin on,
    so that a bin costs two small products. Decoding begins at the training
    mean, and anew at each seam. Lag and transform of the counts are those
    with the best R2 on the validation part.

    A recording holds one of the three. To a velocity its integral from the
    segment's first bin on and its change to the next bin are added (also to
    movement of another name); to a position or direction its first and
    second change.

    Reference:
        [Wu et al., Neural Computation 18(1), 80-118, 2006](
        https://doi.org/10.1162/089976606774841585).

    Args:
        lags: Integers of at least 0 to choose from, in bins: the counts of
            how many bins ago tell of the movement now. Default: 0 to 6.
        noise_scale: Number above 0. The noise of the state is divided by it:
            above 1, the filter trusts the counts less. Default: 1.
        position: Array `(bins, axes)`, the position in every bin of the
            recording, in place of the integral of a velocity.
        transforms: Transforms of the counts to choose from, of `"sqrt"` and
            `None`. Default: that of the `DecodingData` and none.

    Raises:
        ValueError: Nothing to choose from, or an argument out of range.

    Example:
    ```python
    import keras_seqattn as ks

    recording = ks.tasks.simulated_reaching(bins=2000, units=20)
    data = ks.decoding.DecodingData(recording, timesteps=10)
    kalman = ks.decoding.KalmanFilter(lags=range(3)).fit(data)
    print(kalman.score(data).r2 > 0.3)  # True

    kalman.reset()
    velocity = [kalman.push(counts) for counts in recording.spikes[:5]]
    print(velocity[-1].shape)  # (2,)
    ```
    """

    has_window = False
    model: "LinearModel"
    _state: np.ndarray
    _waiting: collections.deque[np.ndarray | None]

    def __init__(
        self,
        lags: Sequence[int] = range(7),
        noise_scale: float = 1.0,
        position: Any = None,
        transforms: Sequence[str | None] | None = None,
    ) -> None:
        self.lags = tuple(
            check_non_negative_integer("lags", lag)
            for lag in check_list("lags", lags)
        )
        if not self.lags:
            raise ValueError(
                "`lags` must hold at least one integer. Received: none"
            )
        self.noise_scale = check_positive_number("noise_scale", noise_scale)
        self.position = (
            None
            if position is None
            else check_array("position", position, "(bins, axes)").astype(float)
        )
        self.transforms = check_transforms(transforms)

    def fit(self, data: DecodingData, timesteps: int | None = None) -> Self:
        self._check_position(data)
        runs = runs_of(data, _scored(data, data.bins("train")))
        states, runs = self._states(data, runs)
        known = states[np.concatenate(runs)]
        axes = data.recording.movement.shape[1]
        self.center, deviation = known.mean(axis=0), known.std(axis=0)
        # An axis that stands still has no scale.
        self.spread = np.where(deviation > 0, deviation, 1.0)
        states = (states - self.center) / self.spread
        is_place = _is_place(data)
        self._moved = slice(0, axes) if is_place else slice(axes, 2 * axes)
        best = -np.inf
        for transform in choose_from(self.transforms, data):
            self.scale = CountScale.of(data, transform)
            scaled = self.scale(data.recording.spikes)
            for lag in self.lags:
                try:
                    self.model = LinearModel.fit(
                        states, scaled, runs, lag, self.noise_scale
                    )
                except np.linalg.LinAlgError:  # A gain that is not finite.
                    continue
                r2 = self.score(data, "validation").r2
                if r2 > best:
                    best, chosen = r2, (self.scale, self.model)
        if not np.isfinite(best):
            raise ValueError(
                "The Kalman filter found no gain that is finite. Received: a "
                f"state of the variances {(deviation**2).tolist()}"
            )
        self.scale, self.model = chosen
        self.reset()
        return self

    @property
    def lag(self) -> int:
        """The chosen lag in bins."""
        check_fitted(self, "model")
        return self.model.lag

    def predict(self, data: DecodingData, part: str = "test") -> np.ndarray:
        check_fitted(self, "model")
        self.scale.check_units(data)
        model = self.model
        scaled = self.scale(data.recording.spikes)
        states = np.zeros((len(scaled), len(self.center)))
        for run in runs_of(data, data.bins(part)):
            corrections = scaled[run] @ model.gain.T
            state = np.zeros(len(self.center))
            for index, number in enumerate(run):
                if index < model.lag:
                    state = model.transition @ state
                else:
                    correction = corrections[index - model.lag]
                    state = model.step @ state + correction
                states[number] = state
        return self._movement(states[data.ends[part]])

    def push(self, counts: Any) -> np.ndarray:
        """Decode the next bin; one that is missing corrects nothing."""
        check_fitted(self, "model")
        model = self.model
        self._waiting.append(
            None if counts is None else self.scale.one_bin(counts)
        )
        arrived = len(self._waiting) > model.lag
        scaled = self._waiting.popleft() if arrived else None
        if scaled is None:
            self._state = model.transition @ self._state
        else:
            self._state = model.step @ self._state + model.gain @ scaled
        return self._movement(self._state)

    def reset(self) -> None:
        check_fitted(self, "model")
        self._state = np.zeros(len(self.center))
        self._waiting = collections.deque()

    @property
    def costs(self) -> Costs:
        check_fitted(self, "model")
        gain, step = self.model.gain, self.model.step
        # The transition is held for bins that are missing.
        return Costs.of(gain.size + 2 * step.size, gain.size + step.size)

    def _movement(self, states: np.ndarray) -> np.ndarray:
        states = states * self.spread + self.center
        return states[..., self._moved]

    def _states(
        self, data: DecodingData, runs: list[np.ndarray]
    ) -> tuple[np.ndarray, list[np.ndarray]]:
        """Return states of all bins, and the runs in which they are known."""
        movement = data.recording.movement.astype("float64")
        if _is_place(data):
            first, shorter = _changes(movement, runs)
            second, shorter = _changes(first, shorter)
            parts = [movement, first, second]
        else:
            position = self.position
            if position is None:
                position = np.zeros_like(movement)
                for run in runs:
                    position[run] = np.cumsum(movement[run], axis=0)
            change, shorter = _changes(movement, runs)
            parts = [position, movement, change]
        if not any(len(run) > 1 for run in shorter):
            raise ValueError(
                "A Kalman filter needs training bins that follow each other. "
                f"Received: {len(runs)} runs of at most "
                f"{max(map(len, runs), default=0)} bins"
            )
        return np.concatenate(parts, axis=1), shorter

    def _check_position(self, data: DecodingData) -> None:
        if self.position is None:
            return
        quantity = data.recording.quantity
        if _is_place(data):
            raise ValueError(
                f"`position` must be None where the recording holds a "
                f"{quantity}. Received: an array"
            )
        bins = len(data.recording.movement)
        if self.position.ndim != 2 or len(self.position) != bins:
            raise ValueError(
                "`position` must have the shape (bins, axes), one row for "
                f"each of the recording's {bins} bins. "
                f"Received: position.shape={self.position.shape}"
            )
        if not np.isfinite(self.position).all():
            raise ValueError("`position` must be finite. Received: NaN in it")


@dataclasses.dataclass(frozen=True)
class LinearModel:
    """How a state moves on, what counts it gives, and the settled gain.

    Attributes:
        transition: A, `(states, states)`.
        transition_noise: W, the covariance of `w`.
        observation: C, `(units, states)`.
        observation_noise: Q, the covariance of `q`.
        gain: K, `(states, units)`.
        step: `(I - K C) A`: state to state where counts have come.
        lag: In bins.
    """

    transition: np.ndarray
    transition_noise: np.ndarray
    observation: np.ndarray
    observation_noise: np.ndarray
    gain: np.ndarray
    step: np.ndarray
    lag: int

    @classmethod
    def fit(
        cls,
        states: np.ndarray,
        counts: np.ndarray,
        runs: list[np.ndarray],
        lag: int = 0,
        noise_scale: float = 1.0,
    ) -> "LinearModel":
        """Fit by least squares to bins within runs."""
        before, after = _pairs(runs, 1)
        a, w = _regression(states[before], states[after])
        w = w / noise_scale
        told, telling = _pairs(runs, lag)[::-1]
        c, q = _regression(states[told], counts[telling])
        q = q + LEAST_NOISE * np.eye(len(q))
        gain = settled_gain(a, w, c, q)
        step = (np.eye(len(a)) - gain @ c) @ a
        return cls(a, w, c, q, gain, step, lag)


def settled_gain(
    transition: np.ndarray,
    transition_noise: np.ndarray,
    observation: np.ndarray,
    observation_noise: np.ndarray,
    steps: int = 20_000,
) -> np.ndarray:
    """Return the Kalman gain at which the Riccati iteration settles.

    With `S = C' Q^-1 C`, each step is as large as the state, not as the
    number of units: `P' = P (I + S P)^-1` after, and `P = A P' A' + W` before
    the next bin's counts. The gain is `P' C' Q^-1`.
    """
    informed = np.linalg.solve(observation_noise, observation).T
    information = informed @ observation
    identity = np.eye(len(transition))
    before, gain = transition_noise, np.zeros_like(informed)
    with np.errstate(over="ignore", invalid="ignore"):
        for _ in range(steps):
            after = np.linalg.solve(identity + before @ information, before)
            previous, gain = gain, after @ informed
            change = np.abs(gain - previous).max()
            if not change > 1e-12 * np.abs(gain).max():
                break
            before = transition @ after @ transition.T + transition_noise
            # Rounding would make it less symmetric with every step.
            before = (before + before.T) / 2
    return gain


def _regression(x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the matrix from x to y, and what is left as a covariance."""
    solution = np.linalg.lstsq(x, y, rcond=None)[0]
    rest = y - x @ solution
    return solution.T, rest.T @ rest / len(rest)


def _pairs(
    runs: list[np.ndarray], distance: int
) -> tuple[np.ndarray, np.ndarray]:
    """Return earlier and later bins of one run, `distance` bins apart."""
    long = [run for run in runs if len(run) > distance]
    if not long:
        raise ValueError(
            "A segment of the training part must be longer than the lag. "
            f"Received: a lag of {distance} bins, segments of at most "
            f"{max(map(len, runs))} bins with a known state"
        )
    earlier = [run[: len(run) - distance] for run in long]
    return np.concatenate(earlier), np.concatenate(
        [run[distance:] for run in long]
    )


def _changes(
    values: np.ndarray, runs: list[np.ndarray]
) -> tuple[np.ndarray, list[np.ndarray]]:
    """Return changes to the next bin, and the runs without the last bin."""
    changes = np.zeros_like(values)
    shorter = [run[:-1] for run in runs if len(run) > 1]
    for run in shorter:
        changes[run] = values[run + 1] - values[run]
    return changes, shorter


def _scored(data: DecodingData, bins: np.ndarray) -> np.ndarray:
    """Leave out bins whose movement is not known."""
    return bins[np.asarray(data.recording.scored)[bins]]


def _is_place(data: DecodingData) -> bool:
    return data.recording.quantity.startswith(PLACES)
