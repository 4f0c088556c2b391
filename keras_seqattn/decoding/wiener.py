"""Wiener filter and Wiener cascade: the newest bins, weighed and summed."""

from collections.abc import Iterator
from collections.abc import Sequence
from typing import Self

import numpy as np

from keras_seqattn._checks import check_choice
from keras_seqattn._checks import check_list
from keras_seqattn._checks import check_non_negative_number
from keras_seqattn._checks import check_positive_integer
from keras_seqattn.decoding.costs import Costs
from keras_seqattn.decoding.count_bins import CountScale
from keras_seqattn.decoding.count_bins import window_batches
from keras_seqattn.decoding.data import DecodingData
from keras_seqattn.decoding.simple_decoder import WindowDecoder
from keras_seqattn.decoding.simple_decoder import check_fitted
from keras_seqattn.decoding.simple_decoder import score

PENALTIES = tuple(10.0 ** np.arange(6))


class WienerFilter(WindowDecoder):
    """Ridge regression from the newest bins to the movement.

    The movement is a sum of the standardized counts of all units in
    `timesteps` bins, each with its weight. Penalty and transform of the
    counts are those with the best R2 on the validation part.

    Args:
        penalties: Numbers of at least 0, in units of training windows, to
            choose from. `[0]`: plain least squares. Default: the powers of
            ten from 1 to 10^5.
        transforms: Transforms of the counts to choose from, of `"sqrt"` and
            `None`. Default: that of the `DecodingData` and none.

    Raises:
        ValueError: Nothing to choose from, or an argument out of range.

    Example:
    ```python
    import keras_seqattn as ks

    recording = ks.tasks.simulated_reaching(bins=2000, units=20)
    data = ks.decoding.DecodingData(recording, timesteps=10)
    wiener = ks.decoding.WienerFilter().fit(data)
    print(wiener.score(data).r2 > 0.3)  # True

    wiener.reset()
    velocity = [wiener.push(counts) for counts in recording.spikes[:5]]
    print(velocity[-1].shape)  # (2,)
    ```
    """

    def __init__(
        self,
        penalties: Sequence[float] = PENALTIES,
        transforms: Sequence[str | None] | None = None,
    ) -> None:
        self.penalties = tuple(
            check_non_negative_number("penalties", penalty)
            for penalty in check_list("penalties", penalties)
        )
        self.transforms = check_transforms(transforms)
        if not self.penalties:
            raise ValueError(
                "`penalties` must hold at least one number. Received: none"
            )

    def fit(self, data: DecodingData, timesteps: int | None = None) -> Self:
        timesteps = data.timesteps if timesteps is None else timesteps
        timesteps = check_positive_integer("timesteps", timesteps)
        if timesteps > data.timesteps:
            raise ValueError(
                f"`timesteps` must be in 1 .. {data.timesteps}, the longest "
                f"window of `data`. Received: timesteps={timesteps}"
            )
        self.timesteps = timesteps
        best = -np.inf
        for transform in choose_from(self.transforms, data):
            scale = CountScale.of(data, transform)
            batches = window_batches(data, "validation", scale, timesteps)
            windows = np.concatenate([x for x, _ in batches])
            for penalty, (weights, bias) in self._candidates(data, scale):
                r2 = score(data, "validation", windows @ weights + bias).r2
                if r2 > best:
                    best, self.penalty, self.scale = r2, penalty, scale
                    self.weights, self.bias = weights, bias
        self.reset()
        return self

    def _candidates(
        self, data: DecodingData, scale: CountScale
    ) -> Iterator[tuple[float, tuple[np.ndarray, np.ndarray]]]:
        """Yield weights and bias for each penalty."""
        units = len(scale.standardizer.mean) * self.timesteps
        axes = data.recording.movement.shape[1]
        gram, cross = np.zeros((units, units)), np.zeros((units, axes))
        x_sum, y_sum, windows = np.zeros(units), np.zeros(axes), 0
        for x, y in window_batches(data, "train", scale, self.timesteps):
            gram += x.T @ x
            cross += x.T @ y
            x_sum, y_sum = x_sum + x.sum(axis=0), y_sum + y.sum(axis=0)
            windows += len(x)
        # Bins are standardized, windows not: a small mean is left.
        x_mean, y_mean = x_sum / windows, y_sum / windows
        gram -= windows * np.outer(x_mean, x_mean)
        cross -= windows * np.outer(x_mean, y_mean)
        sizes, axes_of_gram = np.linalg.eigh(gram)
        rotated = axes_of_gram.T @ cross
        # Without a penalty, what no window spans (a dead unit) has weight 0.
        spanned = sizes > 1e-12 * sizes[-1]
        for penalty in self.penalties:
            inverse = np.zeros(units)
            inverse[spanned] = 1 / (sizes[spanned] + penalty)
            weights = axes_of_gram @ (inverse[:, None] * rotated)
            yield penalty, (weights, y_mean - x_mean @ weights)

    def decode(self, windows: np.ndarray) -> np.ndarray:
        return windows @ self.weights + self.bias

    @property
    def costs(self) -> Costs:
        check_fitted(self, "weights")
        return Costs.of(self.weights.size + self.bias.size, self.weights.size)


class WienerCascade(WienerFilter):
    """A `WienerFilter` with a polynomial on each of its outputs.

    The polynomial is fitted to the filter's outputs on the training part.
    Outside of the range that they have there, it stays at its ends: where
    no data hold it, a cubic leaves for infinity.

    Reference:
        [Hunter & Korenberg, Biological Cybernetics 55, 135-144, 1986](
        https://doi.org/10.1007/BF00341929).

    Args:
        degree: Positive integer, degree of the polynomial. Default: 3.
        penalties: Those of `WienerFilter`.
        transforms: Those of `WienerFilter`.

    Raises:
        ValueError: An argument out of its range.

    Example:
    ```python
    import keras_seqattn as ks

    recording = ks.tasks.simulated_reaching(bins=2000, units=20)
    data = ks.decoding.DecodingData(recording, timesteps=10)
    cascade = ks.decoding.WienerCascade().fit(data)
    print(cascade.score(data).r2 > 0.3)  # True
    ```
    """

    def __init__(
        self,
        degree: int = 3,
        penalties: Sequence[float] = PENALTIES,
        transforms: Sequence[str | None] | None = None,
    ) -> None:
        super().__init__(penalties, transforms)
        self.degree = check_positive_integer("degree", degree)

    def fit(self, data: DecodingData, timesteps: int | None = None) -> Self:
        super().fit(data, timesteps)
        linear, true = [], []
        for x, y in window_batches(data, "train", self.scale, self.timesteps):
            linear.append(super().decode(x))
            true.append(y)
        outputs, movement = np.concatenate(linear), np.concatenate(true)
        self.lowest, self.highest = outputs.min(axis=0), outputs.max(axis=0)
        self.polynomials = np.stack(
            [
                # The smallest solution, should an output stand still.
                np.linalg.lstsq(powers, target, rcond=None)[0]
                for powers, target in zip(
                    np.moveaxis(self._powers(outputs), 1, 0),
                    movement.T,
                    strict=True,
                )
            ],
            axis=1,
        )
        return self

    def _powers(self, outputs: np.ndarray) -> np.ndarray:
        """Return powers 0 .. degree on a last axis, of -1 .. 1."""
        half = (self.highest - self.lowest) / 2
        middle = (self.highest + self.lowest) / 2
        inside = np.clip(outputs, self.lowest, self.highest) - middle
        scaled = inside / np.where(half > 0, half, 1)
        return scaled[..., None] ** np.arange(self.degree + 1)

    def decode(self, windows: np.ndarray) -> np.ndarray:
        powers = self._powers(super().decode(windows))
        return np.einsum("nap,pa->na", powers, self.polynomials)

    @property
    def costs(self) -> Costs:
        linear = super().costs
        # Horner's rule: one multiply-add a degree.
        products = self.degree * self.bias.size
        return Costs.of(
            linear.parameters + self.polynomials.size,
            linear.multiply_adds + products,
        )


def check_transforms(
    transforms: Sequence[str | None] | None,
) -> tuple[str | None, ...] | None:
    """Return transforms to choose from, or raise if there is a wrong one."""
    if transforms is None:
        return None
    found = check_list("transforms", transforms)
    if not found:
        raise ValueError(
            "`transforms` must be a list of at least one of 'sqrt' and None. "
            "Received: none"
        )
    return tuple(check_choice("transforms", x, ("sqrt", None)) for x in found)


def choose_from(
    transforms: tuple[str | None, ...] | None, data: DecodingData
) -> tuple[str | None, ...]:
    """Return the transforms that suit `data`, where none are given."""
    if transforms is None:
        return tuple(dict.fromkeys((data.transform, None)))
    if "sqrt" in transforms and data.recording.spikes.min() < 0:
        raise ValueError(
            "`transforms` must be [None] for rates that are negative. "
            f"Received: transforms={transforms}"
        )
    return transforms
