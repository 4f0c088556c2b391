"""The comparison of classifiers over folds by subject."""

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np

from keras_seqattn._checks import check_choice
from keras_seqattn._training.tables import Tabulated
from keras_seqattn._training.tables import breakdown_table
from keras_seqattn._training.tables import markdown_table
from keras_seqattn._training.tables import mean_and_deviation
from keras_seqattn.activity.fold_result import FoldResult
from keras_seqattn.activity.score import Score

BEST_TITLES = {
    True: "epoch chosen on validation subjects",
    False: "best epoch, chosen on the scored subjects",
}


@dataclasses.dataclass(frozen=True, eq=False)
class ActivityReport(Tabulated):
    """What `classify_recordings` found.

    Every subject is held out in one fold, and every score is on held-out
    subjects. Scores of a seed are over all folds together: every window
    counts once.

    Attributes:
        settings: The arguments that the numbers depend on.
        classes: Names of the activities.
        y: Integers `(windows,)`, the true classes.
        subject: Array `(windows,)`, who was recorded.
        folds: The subjects of each fold.
        results: For each cell and seed one `FoldResult` a fold.
        baselines: For each simple classifier one `Score` a fold.
        parameters: For each cell the number of parameters.
        chosen_by_validation: Whether `best` was chosen on subjects other
            than the scored ones. If not, it flatters.
    """

    settings: dict[str, Any]
    classes: tuple[str, ...]
    y: np.ndarray
    subject: np.ndarray
    folds: tuple[tuple[int | str, ...], ...]
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

    def predictions(
        self,
        cell: str | None = None,
        *,
        seed: int | None = None,
        method: str = "predict",
    ) -> np.ndarray:
        """Return what was said of each window by who was not trained on it.

        As scikit-learn's `cross_val_predict`, after the last epoch.

        Args:
            cell: A key of `results`. Default: the only one.
            seed: One of the seeds. Default: the first.
            method: `"predict"` or `"predict_proba"`.

        Returns:
            The windows in their own order: indices into `classes`,
            `(windows,)`; or probabilities, `(windows, classes)`.

        Raises:
            ValueError: Another cell, seed or method, or no cell of several.
        """
        check_choice("method", method, ("predict", "predict_proba"))
        seeds = self.settings["seeds"]
        seed = seeds[0] if seed is None else check_choice("seed", seed, seeds)
        found = np.empty((len(self.y), len(self.classes)), "float32")
        results = self.results[self._cell(cell)][seeds.index(seed)]
        for subjects, result in zip(self.folds, results, strict=True):
            found[np.isin(self.subject, subjects)] = result.probabilities
        return found if method == "predict_proba" else found.argmax(axis=1)

    def per_class(
        self, cell: str | None = None
    ) -> dict[str, tuple[float, ...]]:
        """Return the recall of each class, one number a seed.

        Args:
            cell: A key of `results`, or of `baselines` (as of one seed).
                Default: the only key of `results`.
        """
        scores = (
            [Score.pooled(self.baselines[cell])]
            if cell in self.baselines
            else self.scores(self._cell(cell))
        )
        recall = [score.recall_per_class for score in scores]
        return {
            name: tuple(float(seed[code]) for seed in recall)
            for code, name in enumerate(self.classes)
        }

    def per_subject(
        self, cell: str | None = None
    ) -> dict[int | str, tuple[Score, ...]]:
        """Return the `Score` of each subject, one a seed.

        Args:
            cell: A key of `results`. Default: the only one.
        """
        predicted = [
            self.predictions(cell, seed=seed) for seed in self.settings["seeds"]
        ]
        return {
            one.item(): tuple(
                Score.of(self.y[own], seed[own], len(self.classes))
                for seed in predicted
            )
            for one in np.unique(self.subject)
            for own in [self.subject == one]
        }

    def class_table(self) -> str:
        """Return the recall of each class in markdown, one row a class."""
        cells = [*self.baselines, *self.results]
        there = np.bincount(self.y, minlength=len(self.classes))
        return breakdown_table(
            "recall of",
            dict(zip(self.classes, there.tolist(), strict=True)),
            {cell: self.per_class(cell) for cell in cells},
        )

    def subject_table(self) -> str:
        """Return the accuracy on each subject in markdown, one row each."""
        who, there = np.unique(self.subject, return_counts=True)
        return breakdown_table(
            "accuracy on subject",
            dict(zip(who.tolist(), there.tolist(), strict=True)),
            {
                cell: {
                    one: [score.accuracy for score in scores]
                    for one, scores in self.per_subject(cell).items()
                }
                for cell in self.results
            },
        )

    def _cell(self, cell: str | None) -> str:
        if cell is None and len(self.results) == 1:
            return next(iter(self.results))
        return check_choice("cell", cell, self.results)

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
                        "subjects": [
                            {"subject": one, **scores[number].to_dict()}
                            for one, scores in by_subject.items()
                        ],
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
                    for number, (seed, folds, final, best) in enumerate(
                        zip(
                            self.settings["seeds"],
                            seeds,
                            self.scores(cell),
                            self.scores(cell, "best"),
                            strict=True,
                        )
                    )
                ]
                for cell, seeds in self.results.items()
                for by_subject in [self.per_subject(cell)]
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
