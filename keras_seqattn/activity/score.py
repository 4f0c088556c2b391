"""How well activities were recognized."""

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np


@dataclasses.dataclass(frozen=True, eq=False)
class Score:
    """How well a classifier does on some windows.

    Args:
        confusion: Integer array of shape `(classes, classes)`, the windows
            of each true class (row) that were taken for each class (column).
    """

    confusion: np.ndarray

    @classmethod
    def of(
        cls, true: np.ndarray, predicted: np.ndarray, classes: int
    ) -> "Score":
        """Count true and predicted labels, integers in 0 .. classes - 1."""
        confusion = np.zeros((classes, classes), "int64")
        np.add.at(confusion, (true, predicted), 1)
        return cls(confusion)

    @classmethod
    def pooled(cls, scores: "Sequence[Score]") -> "Score":
        """The score on the windows of all `scores` together."""
        return cls(np.sum([score.confusion for score in scores], axis=0))

    @property
    def accuracy(self) -> float:
        """The share of windows that were recognized."""
        return float(np.trace(self.confusion) / self.confusion.sum())

    @property
    def recall_per_class(self) -> np.ndarray:
        """The share of each class that was recognized; NaN for none there."""
        there = self.confusion.sum(axis=1)
        return np.where(
            there > 0,
            np.diagonal(self.confusion) / np.maximum(there, 1),
            np.nan,
        )

    @property
    def f1_per_class(self) -> np.ndarray:
        """F1 of each class; NaN for one that neither is nor was named."""
        there = self.confusion.sum(axis=1) + self.confusion.sum(axis=0)
        return np.where(
            there > 0,
            2 * np.diagonal(self.confusion) / np.maximum(there, 1),
            np.nan,
        )

    @property
    def macro_f1(self) -> float:
        """The mean of F1 over the classes there or predicted."""
        return float(np.nanmean(self.f1_per_class))

    @property
    def weighted_f1(self) -> float:
        """The mean of F1 over the windows, each with its true class's."""
        there = self.confusion.sum(axis=1)
        return float(np.nansum(self.f1_per_class * there) / there.sum())

    def to_dict(self) -> dict[str, Any]:
        """Return the numbers, ready for JSON."""
        return {
            "accuracy": self.accuracy,
            "macro_f1": self.macro_f1,
            "weighted_f1": self.weighted_f1,
            "confusion": self.confusion.tolist(),
        }
