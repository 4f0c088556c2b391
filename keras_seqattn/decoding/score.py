"""How well movement was decoded."""

import dataclasses

import numpy as np


@dataclasses.dataclass(frozen=True)
class Score:
    """How well a decoder does on one part of a recording.

    Attributes:
        r2: Coefficient of determination, axes weighted by their variance.
        r2_per_axis: The same for each axis; 0 for an axis that stands still.
        correlation: Pearson correlation, mean over axes; 0 where the axis
            or the decoded values stand still.
    """

    r2: float
    r2_per_axis: tuple[float, ...]
    correlation: float

    @classmethod
    def of(cls, true: np.ndarray, decoded: np.ndarray) -> "Score":
        true = np.asarray(true, dtype=np.float64)
        decoded = np.asarray(decoded, dtype=np.float64)
        residual = np.sum((true - decoded) ** 2, axis=0)
        total = np.sum((true - true.mean(axis=0)) ** 2, axis=0)
        a, b = true - true.mean(axis=0), decoded - decoded.mean(axis=0)
        # A constant, such as the training mean, correlates with nothing.
        varies = decoded.std(axis=0) > 1e-7 * np.abs(decoded).max(axis=0)
        varies &= total > 0
        norm = np.sqrt(np.sum(a * a, axis=0) * np.sum(b * b, axis=0))
        correlation = np.where(
            varies, np.sum(a * b, axis=0) / np.where(varies, norm, 1), 0
        )
        return cls(
            r2=float(_r2(residual.sum(), total.sum())),
            r2_per_axis=tuple(_r2(residual, total).tolist()),
            correlation=float(correlation.mean()),
        )


def _r2(residual: np.ndarray, total: np.ndarray) -> np.ndarray:
    varies = total > 0
    return np.where(varies, 1 - residual / np.where(varies, total, 1), 0.0)
