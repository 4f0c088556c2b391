"""The comparison of decoders of one recording."""

import dataclasses
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np

from keras_seqattn._training.tables import Tabulated
from keras_seqattn._training.tables import markdown_table
from keras_seqattn._training.tables import mean_and_deviation
from keras_seqattn.decoding.costs import COST_TITLES
from keras_seqattn.decoding.costs import Costs
from keras_seqattn.decoding.costs import cost_cells
from keras_seqattn.decoding.data import Coverage
from keras_seqattn.decoding.latency import Latency
from keras_seqattn.decoding.predictions import Predictions
from keras_seqattn.decoding.score import Score
from keras_seqattn.decoding.simple_decoder import SimpleDecoder
from keras_seqattn.decoding.timestep_selection import TimestepRecommendation
from keras_seqattn.decoding.timestep_selection import TimestepSelection

POOLING_TITLES = {"last": "no attention", "attention": "attention"}


@dataclasses.dataclass(frozen=True)
class DecodingReport(Tabulated):
    """What `decode_recording` found. Test scores unless stated.

    Attributes:
        timesteps: The full window T.
        settings: The arguments that the numbers depend on.
        selection: The attention's proposal, from `select_timesteps`.
        recommendation: The window checked on validation windows; its
            `timesteps` is the recommended T*.
        cells: For each `(pooling, timesteps)` of the four compared decoders,
            one `Score` a seed.
        baselines: For each `(name, timesteps)` of the simple decoders, one
            `Score`: `"training mean"` (chance level, 0 timesteps),
            `"Wiener filter"`, `"Wiener cascade"`, `"Kalman filter"` (1: it
            takes in bin after bin) and those given.
        wiener_curve: The Wiener filter's validation R2 for each window length
            tried.
        latency: For each `(pooling, timesteps)` of the four decoders, the
            `Latency` of one window.
        parameters: For each of the same, the number of parameters.
        costs: For each key of `cells` and `baselines` the `Costs`, or `None`
            where they cannot be counted.
        simple_decoders: The fitted decoders of `baselines`, to `push` counts
            to.
        decoder: The decoder without attention at T*, of the seed that did
            best on validation windows, from spike counts to movement.
        test_windows: Spike counts of the test windows at T*.
        predictions: What that decoder says of the test windows, with times.
        coverage: For each part a `Coverage`: how many of its bins, and so how
            much of its movement, the windows decode.
        folds: For each row of `fold_table`, by `(name, timesteps)`, a tuple
            a fold with one `Score` a seed. Empty if none were asked for.
    """

    timesteps: int
    settings: dict[str, Any]
    selection: TimestepSelection
    recommendation: TimestepRecommendation
    cells: dict[tuple[str, int], tuple[Score, ...]]
    baselines: dict[tuple[str, int], Score]
    wiener_curve: dict[int, float]
    latency: dict[tuple[str, int], Latency]
    parameters: dict[tuple[str, int], int]
    costs: dict[tuple[str, int], Costs | None]
    simple_decoders: dict[tuple[str, int], SimpleDecoder]
    decoder: keras.Model
    test_windows: np.ndarray
    predictions: Predictions
    coverage: dict[str, Coverage]
    folds: dict[tuple[str, int], list[tuple[Score, ...]]] = dataclasses.field(
        default_factory=dict
    )

    @property
    def test_movement(self) -> np.ndarray:
        """The true movement of the test windows."""
        return self.predictions.true

    def score_by(self, labels: str | Sequence[Any]) -> dict[Any, Score]:
        """Score the test windows of each label: `Predictions.score_by`."""
        return self.predictions.score_by(labels)

    def fold_table(self) -> str:
        """Return the scores over blocks of time as a markdown table."""
        return markdown_table(
            [
                "decoder",
                "timesteps",
                "R2 of folds",
                "of seeds",
                "worst",
                "best",
            ],
            [
                [
                    name,
                    str(timesteps),
                    mean_and_deviation(means),
                    f"± {np.mean(spread):.3f}" if spread else "",
                    f"{min(means):.3f}",
                    f"{max(means):.3f}",
                ]
                for (name, timesteps), scores in self.folds.items()
                for means in [[_mean_r2(fold) for fold in scores]]
                for spread in [
                    [
                        np.std([score.r2 for score in fold], ddof=1)
                        for fold in scores
                        if len(fold) > 1
                    ]
                ]
            ],
        )

    def table(self) -> str:
        """Return the comparison as a markdown table."""
        axes = range(self.test_movement.shape[1])
        angular = ["error (deg)"] * self.predictions.recording.is_direction
        rows: list[tuple[str, tuple[str, int], Sequence[Score], str]] = [
            (key[0], key, [score], "") for key, score in self.baselines.items()
        ]
        for key, cell in self.cells.items():
            p50, p95 = self.latency[key].p50, self.latency[key].p95
            rows.append(
                (POOLING_TITLES[key[0]], key, cell, f"{p50:.2f} / {p95:.2f}")
            )
        return markdown_table(
            [
                *("decoder", "timesteps", "test R2"),
                *(f"R2 axis {axis}" for axis in axes),
                *("correlation", "RMSE", *angular, *COST_TITLES),
                "latency p50 / p95 (ms)",
            ],
            [
                [
                    name,
                    str(key[1]),
                    mean_and_deviation([score.r2 for score in scores]),
                    *(
                        f"{np.mean([s.r2_per_axis[axis] for s in scores]):.3f}"
                        for axis in axes
                    ),
                    f"{np.mean([score.correlation for score in scores]):.3f}",
                    f"{_mean_rmse(scores):.4g}",
                    *(_mean_error(scores) for _ in angular),
                    *cost_cells(self.costs[key]),
                    latency,
                ]
                for name, key, scores, latency in rows
            ],
        )

    def to_dict(self) -> dict[str, Any]:
        """Return all numbers of the report, ready for JSON."""
        return {
            "timesteps": self.timesteps,
            "settings": self.settings,
            "proposed_timesteps": self.selection.timesteps,
            "proposed_timesteps_per_seed": list(self.selection.per_seed),
            "proposal_agreement": self.selection.agreement,
            "proposed_timesteps_quantiles": list(self.selection.quantiles),
            "threshold": self.selection.threshold,
            "attention_profile": self.selection.profile.tolist(),
            "recommended_timesteps": self.recommendation.timesteps,
            "tolerance": self.recommendation.tolerance,
            "validation_r2": {
                str(k): list(v) for k, v in self.recommendation.scores.items()
            },
            "wiener_validation_r2": {
                str(k): v for k, v in self.wiener_curve.items()
            },
            "coverage": {
                name: dataclasses.asdict(part)
                for name, part in self.coverage.items()
            },
            "folds": [
                {
                    "decoder": name,
                    "timesteps": k,
                    "seeds_by_fold": [
                        [dataclasses.asdict(score) for score in fold]
                        for fold in scores
                    ],
                }
                for (name, k), scores in self.folds.items()
            ],
            "test": [
                {
                    "decoder": POOLING_TITLES[pooling],
                    "timesteps": k,
                    "parameters": self.parameters[pooling, k],
                    "costs": self._costs_to_dict(pooling, k),
                    "latency_ms": dataclasses.asdict(self.latency[pooling, k]),
                    "seeds": [dataclasses.asdict(score) for score in scores],
                }
                for (pooling, k), scores in self.cells.items()
            ],
            "baselines": [
                {
                    "decoder": name,
                    "timesteps": k,
                    "costs": self._costs_to_dict(name, k),
                    **dataclasses.asdict(score),
                }
                for (name, k), score in self.baselines.items()
            ],
        }

    def _costs_to_dict(self, name: str, k: int) -> dict[str, int] | None:
        costs = self.costs[name, k]
        return None if costs is None else dataclasses.asdict(costs)


def _mean_r2(scores: Sequence[Score]) -> float:
    return float(np.mean([score.r2 for score in scores]))


def _mean_rmse(scores: Sequence[Score]) -> float:
    """Return the root of the mean squared error over axes and seeds."""
    return float(np.sqrt(np.mean([np.square(s.rmse) for s in scores])))


def _mean_error(scores: Sequence[Score]) -> str:
    return f"{np.mean([score.angular_error for score in scores]):.1f}"
