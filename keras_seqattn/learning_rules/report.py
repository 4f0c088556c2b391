"""What each rule learned, beside simple predictors."""

import dataclasses
from typing import Any

import numpy as np

from keras_seqattn.learning_rules.search import Rates
from keras_seqattn.learning_rules.search import RateSearch
from keras_seqattn.markdown import markdown_table


@dataclasses.dataclass(frozen=True)
class Trial:
    """One training of a search.

    Args:
        rates: The `Rates` it tried, in the method's units.
        error: Its error on the validation images, in 0 .. 1.
        mse: Its mean squared error on them.
        history: Keras' history, with `val_accuracy` at each epoch.
    """

    rates: Rates
    error: float
    mse: float
    history: dict[str, list[float]]


@dataclasses.dataclass(frozen=True)
class MethodResult:
    """What one rule learned.

    Args:
        trials: The search, a `Trial` each.
        best: The one whose rates were taken.
        sgd: These rates as the optimizer has them: the output layer's
            learning rate, and how much faster each layer learns than the one
            above.
        test_errors: One a seed, in 0 .. 1.
        histories: Keras' history of each seed's training.
    """

    trials: tuple[Trial, ...]
    best: Trial
    sgd: Rates
    test_errors: tuple[float, ...]
    histories: tuple[dict[str, list[float]], ...]

    @property
    def error(self) -> float:
        """Mean test error over the seeds."""
        return float(np.mean(self.test_errors))


@dataclasses.dataclass(frozen=True)
class LearningReport:
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
            [name, _percent(error), "", "", "", ""]
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
                    apart,
                    _percent(result.best.error),
                    f"{result.sgd.output:.3g}",
                    ratio,
                ]
            )
        return markdown_table(
            [
                f"{self.name}, {'-'.join(map(str, self.units))}",
                "test error, %",
                "minus backpropagation's",
                "validation error, %",
                "learning rate",
                "ratio",
            ],
            rows,
        )

    def to_dict(self) -> dict[str, Any]:
        """Return all numbers, for JSON."""
        found = dataclasses.asdict(self)
        for result in found["results"].values():
            for trial in (*result["trials"], result["best"]):
                trial["rates"] = dict(
                    zip(Rates._fields, trial["rates"], strict=True)
                )
                # A lost trial has none, and JSON knows no infinity.
                if not np.isfinite(trial["mse"]):
                    trial["mse"] = None
            result["sgd"] = dict(
                zip(Rates._fields, result["sgd"], strict=True)
            )
        return found


def _percent(*errors: float) -> str:
    mean = f"{100 * np.mean(errors):.2f}"
    if len(errors) == 1:
        return mean
    return f"{mean} ± {100 * np.std(errors, ddof=1):.2f}"
