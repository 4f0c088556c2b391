"""How well movement was decoded."""

import dataclasses

import numpy as np

from keras_seqattn._checks import check_array


@dataclasses.dataclass(frozen=True)
class Score:
    """How well a decoder does on one part of a recording.

    Attributes:
        r2: Coefficient of determination, axes weighted by their variance.
        r2_per_axis: The same for each axis; 0 for an axis that stands still.
        correlation: Pearson correlation, mean over axes; 0 where the axis
            or the decoded values stand still.
        rmse: Root of the mean squared error of each axis, in its own unit.
        angular_error: Median error of a direction in degrees, by its cosine
            and sine; `None` for anything else.
    """

    r2: float
    r2_per_axis: tuple[float, ...]
    correlation: float
    rmse: tuple[float, ...] = ()
    angular_error: float | None = None

    @classmethod
    def of(
        cls, true: np.ndarray, decoded: np.ndarray, direction: bool = False
    ) -> "Score":
        """Score decoded values.

        Args:
            true: Array of shape `(bins, axes)`.
            decoded: Array of the same shape.
            direction: Whether pairs of axes are cosine and sine of an angle.

        Raises:
            ValueError: Shapes that differ, or no numbers.
        """
        true, decoded = (
            check_array(name, values, "(bins, axes)").astype(np.float64)
            for name, values in (("true", true), ("decoded", decoded))
        )
        if true.shape != decoded.shape or not true.size:
            raise ValueError(
                "`true` and `decoded` must be of one shape (bins, axes), none "
                f"of them 0. Received: {true.shape} and {decoded.shape}"
            )
        if direction and true.shape[1] % 2:
            raise ValueError(
                "A direction has a cosine and a sine, so an even number of "
                f"axes. Received: {true.shape[1]}"
            )
        residual = np.sum((true - decoded) ** 2, axis=0)
        a, b = true - true.mean(axis=0), decoded - decoded.mean(axis=0)
        total = np.where(stands_still(true), 0.0, np.sum(a * a, axis=0))
        # A constant, such as the training mean, correlates with nothing.
        varies = ~stands_still(decoded) & (total > 0)
        norm = np.sqrt(np.sum(a * a, axis=0) * np.sum(b * b, axis=0))
        correlation = np.where(
            varies, np.sum(a * b, axis=0) / np.where(varies, norm, 1), 0
        )
        return cls(
            # What an axis that stands still adds is no share of a variance.
            r2=float(_r2(residual[total > 0].sum(), total.sum())),
            r2_per_axis=tuple(_r2(residual, total).tolist()),
            correlation=float(correlation.mean()),
            rmse=tuple(np.sqrt(residual / len(true)).tolist()),
            angular_error=_angular_error(true, decoded) if direction else None,
        )


def stands_still(values: np.ndarray) -> np.ndarray:
    """Return which axes vary by no more than the rounding of their values."""
    spread = np.ptp(values, axis=0)
    # float32's rounding: movement and decoded values come from there.
    return spread <= 1e-6 * np.abs(values).max(axis=0)


def _r2(residual: np.ndarray, total: np.ndarray) -> np.ndarray:
    varies = total > 0
    return np.where(varies, 1 - residual / np.where(varies, total, 1), 0.0)


def _angular_error(true: np.ndarray, decoded: np.ndarray) -> float:
    difference = _angle(decoded) - _angle(true)
    wrapped = np.abs((difference + np.pi) % (2 * np.pi) - np.pi)
    return float(np.degrees(np.median(wrapped)))


def _angle(pairs: np.ndarray) -> np.ndarray:
    return np.arctan2(pairs[:, 1::2], pairs[:, 0::2])
