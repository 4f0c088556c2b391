"""What each rule learned, beside simple predictors."""

import dataclasses
from typing import Any

import keras
import numpy as np

from keras_seqattn._training.tables import Tabulated
from keras_seqattn._training.tables import markdown_table
from keras_seqattn.learning_rules.search import Rates
from keras_seqattn.learning_rules.search import RateSearch
from keras_seqattn.learning_rules.search import Trial


@dataclasses.dataclass(frozen=True)
class MethodResult:
    """What one rule learned.

    Args:
        trials: The search, a `Trial` each.
        best: The finalist whose rates were taken.
        sgd: These rates as the optimizer has them: the output layer's
            learning rate, and how much faster each layer learns than the one
            above.
        test_errors: One a seed, in 0 .. 1.
        histories: Keras' history of each seed's training.
        model: The network, trained from the last seed, not compiled.
    """

    trials: tuple[Trial, ...]
    best: Trial
    sgd: Rates
    test_errors: tuple[float, ...]
    histories: tuple[dict[str, list[float]], ...]
    model: keras.Model

    @property
    def error(self) -> float:
        """Mean test error over the seeds."""
        return float(np.mean(self.test_errors))


@dataclasses.dataclass(frozen=True)
class LearningReport(Tabulated):
    """What `compare_learning_rules` found.

    Args:
        name: What the images are.
        units: Widths of the network, from pixels to classes.
        images: How many for training in the search, for validation, and for
            the test. The last trainings have the first two.
        settings: Seeds, epochs, batch size and momentum.
        search: The `RateSearch` of every method.
        baselines: Test errors of simple predictors, by name.
        results: A `MethodResult` for each method, by name.
    """

    name: str
    units: tuple[int, ...]
    images: tuple[int, int, int]
    settings: dict[str, Any]
    search: RateSearch
    baselines: dict[str, float]
    results: dict[str, MethodResult]

    def table(self) -> str:
        """Return the errors, in percent, as a markdown table."""
        rows = [
            [name, _percent(error), "", "", "", "", ""]
            for name, error in self.baselines.items()
        ]
        reference = self.results.get("backpropagation")
        for name, result in self.results.items():
            apart = ""
            if reference is not None and result is not reference:
                apart = f"{100 * (result.error - reference.error):+.2f}"
            ratio = f"{result.sgd.ratio:.3g}" if result.sgd.ratio else "0"
            rows.append(
                [
                    name,
                    _percent(*result.test_errors),
                    f"{100 * np.median(result.test_errors):.2f}",
                    apart,
                    _percent(*result.best.errors),
                    f"{result.sgd.output:.3g}",
                    ratio,
                ]
            )
        return markdown_table(
            [
                f"{self.name}, {'-'.join(map(str, self.units))}",
                "test error, %",
                "median",
                "minus backpropagation's",
                "validation error, %",
                "learning rate",
                "ratio",
            ],
            rows,
        )

    def to_dict(self) -> dict[str, Any]:
        """Return all numbers, for JSON."""
        return {
            "name": self.name,
            "units": list(self.units),
            "images": list(self.images),
            "settings": self.settings,
            "search": dataclasses.asdict(self.search),
            "baselines": self.baselines,
            "results": {
                name: {
                    "best": result.best.to_dict(),
                    "trials": [trial.to_dict() for trial in result.trials],
                    "sgd": result.sgd._asdict(),
                    "test_errors": list(result.test_errors),
                    "histories": list(result.histories),
                }
                for name, result in self.results.items()
            },
        }


def _percent(*errors: float) -> str:
    mean = f"{100 * np.mean(errors):.2f}"
    if len(errors) == 1:
        return mean
    return f"{mean} ± {100 * np.std(errors, ddof=1):.2f}"
