"""The comparison of classifiers over folds by subject."""

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np

from keras_seqattn._training.tables import Tabulated
from keras_seqattn._training.tables import markdown_table
from keras_seqattn._training.tables import mean_and_deviation
from keras_seqattn.activity.score import Score

BEST_TITLES = {
    True: "epoch chosen on validation subjects",
    False: "best epoch, chosen on the scored subjects",
}


@dataclasses.dataclass(frozen=True)
class FoldResult:
    """One training, scored on subjects it was not trained on.

    Attributes:
        final: The `Score` after the last epoch.
        best: The `Score` after the best epoch of `val_accuracy`.
        best_epoch: That epoch, from 1.
        history: For each epoch `loss`, `accuracy`, `val_loss`,
            `val_accuracy` and `val_macro_f1`. The last three are of the
            validation subjects, or, if there are none, of the scored ones.
    """

    final: Score
    best: Score
    best_epoch: int
    history: dict[str, list[float]]


@dataclasses.dataclass(frozen=True)
class ActivityReport(Tabulated):
    """What `classify_recordings` found.

    Every subject is held out in one fold, and every score is on held-out
    subjects. Scores of a seed are over all folds together: every window
    counts once.

    Attributes:
        settings: The arguments that the numbers depend on.
        classes: Names of the activities.
        folds: The subjects of each fold.
        results: For each cell and seed one `FoldResult` a fold.
        baselines: For each simple classifier one `Score` a fold.
        parameters: For each cell the number of parameters.
        chosen_by_validation: Whether `best` was chosen on subjects other
            than the scored ones. If not, it flatters.
    """

    settings: dict[str, Any]
    classes: tuple[str, ...]
    folds: tuple[tuple[int, ...], ...]
    results: dict[str, tuple[tuple[FoldResult, ...], ...]]
    baselines: dict[str, tuple[Score, ...]]
    parameters: dict[str, int]
    chosen_by_validation: bool

    def scores(self, cell: str, when: str = "final") -> tuple[Score, ...]:
        """Return the `Score` over all folds, one a seed.

        Args:
            cell: A key of `results`.
            when: `"final"` or `"best"`.
        """
        return tuple(
            Score.pooled([getattr(fold, when) for fold in folds])
            for folds in self.results[cell]
        )

    def table(self) -> str:
        """Return the comparison as a markdown table.

        One row a classifier: mean ± deviation over seeds, and the accuracy
        of the worst and the best fold (mean over seeds).
        """
        best = BEST_TITLES[self.chosen_by_validation]
        rows = [
            [
                name,
                *_columns([Score.pooled(folds)]),
                _range([[score.accuracy for score in folds]]),
                *("", "", ""),
            ]
            for name, folds in self.baselines.items()
        ]
        for cell, seeds in self.results.items():
            rows.append(
                [
                    cell,
                    *_columns(self.scores(cell)),
                    _range(
                        [[fold.final.accuracy for fold in s] for s in seeds]
                    ),
                    *_columns(self.scores(cell, "best"))[:2],
                    f"{self.parameters[cell]:,}",
                ]
            )
        return markdown_table(
            [
                *("classifier", "accuracy", "macro F1", "weighted F1"),
                "accuracy of folds",
                f"accuracy ({best})",
                *("macro F1 (same)", "parameters"),
            ],
            rows,
        )

    def to_dict(self) -> dict[str, Any]:
        """Return all numbers of the report, ready for JSON."""
        return {
            "settings": self.settings,
            "classes": list(self.classes),
            "folds": [list(subjects) for subjects in self.folds],
            "chosen_by_validation": self.chosen_by_validation,
            "parameters": self.parameters,
            "baselines": {
                name: {
                    **Score.pooled(scores).to_dict(),
                    "folds": [score.to_dict() for score in scores],
                }
                for name, scores in self.baselines.items()
            },
            "results": {
                cell: [
                    {
                        "seed": seed,
                        "final": final.to_dict(),
                        "best": best.to_dict(),
                        "folds": [
                            {
                                "final": fold.final.to_dict(),
                                "best": fold.best.to_dict(),
                                "best_epoch": fold.best_epoch,
                                "history": fold.history,
                            }
                            for fold in folds
                        ],
                    }
                    for seed, folds, final, best in zip(
                        self.settings["seeds"],
                        seeds,
                        self.scores(cell),
                        self.scores(cell, "best"),
                        strict=True,
                    )
                ]
                for cell, seeds in self.results.items()
            },
        }


def _columns(scores: Sequence[Score]) -> list[str]:
    return [
        mean_and_deviation([getattr(score, name) for score in scores])
        for name in ("accuracy", "macro_f1", "weighted_f1")
    ]


def _range(accuracies: Sequence[Sequence[float]]) -> str:
    """Seeds by folds."""
    folds = np.mean(accuracies, axis=0)
    return f"{folds.min():.3f} .. {folds.max():.3f}"
