"""What each rule of learning in time learned, beside simple predictors."""

import dataclasses
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np

from keras_seqattn._training.tables import Tabulated
from keras_seqattn._training.tables import markdown_table
from keras_seqattn.learning_rules.search import Rates


@dataclasses.dataclass(frozen=True)
class SequenceResult:
    """What one rule learned.

    Args:
        rates: The `Rates` that were taken, in the method's unit.
        sgd: These as the optimizer has them: the output layer's learning rate,
            and how much faster the hidden layers learn.
        while_learning: Mean squared error of the last epoch of each seed, of
            each step's output before it learns.
        free_run: That of the test part, without a teacher.
        histories: Keras' histories.
        model: The network of the last seed.
    """

    rates: Rates
    sgd: Rates
    while_learning: tuple[float, ...]
    free_run: tuple[float, ...]
    histories: tuple[dict[str, list[float]], ...]
    model: keras.Model


@dataclasses.dataclass(frozen=True)
class SequenceReport(Tabulated):
    """What `compare_on_sequences` found.

    Args:
        units: Widths of the network, from inputs to outputs.
        levels: Mean squared errors of simple predictors, one a seed, by name.
        results: A `SequenceResult` for each method, by name.
    """

    units: tuple[int, ...]
    levels: dict[str, tuple[float, ...]]
    results: dict[str, SequenceResult]

    def table(self) -> str:
        """Return the errors as a markdown table."""
        rows = [
            [name, "", _mean(values), "", ""]
            for name, values in self.levels.items()
        ]
        for name, result in self.results.items():
            rows.append(
                [
                    name,
                    _mean(result.while_learning),
                    _mean(result.free_run),
                    f"{result.sgd.output:.3g}",
                    f"{result.sgd.ratio:.3g}",
                ]
            )
        return markdown_table(
            [
                f"MSE, {'-'.join(map(str, self.units))}",
                "while learning",
                "free run",
                "learning rate",
                "ratio",
            ],
            rows,
        )

    def to_dict(self) -> dict[str, Any]:
        """Return all numbers, for JSON."""
        return {
            "units": list(self.units),
            "levels": {name: [*found] for name, found in self.levels.items()},
            "results": {
                name: {
                    "rates": result.rates._asdict(),
                    "sgd": result.sgd._asdict(),
                    "while_learning": [*result.while_learning],
                    "free_run": [*result.free_run],
                    "histories": [*result.histories],
                }
                for name, result in self.results.items()
            },
        }


def _mean(values: Sequence[float]) -> str:
    if len(values) == 1:
        return f"{values[0]:.5f}"
    return f"{np.mean(values):.5f} ± {np.std(values, ddof=1):.5f}"
