"""A trial again, from other seeds, beside the defaults."""

import dataclasses
import json
import pathlib
from collections.abc import Sequence
from typing import Any

import keras_tuner
import numpy as np

from keras_seqattn._training.tables import markdown_table
from keras_seqattn._training.tables import mean_and_deviation
from tuning.directory import SearchError
from tuning.directory import write_atomically
from tuning.executions import Outcome
from tuning.executions import run_executions
from tuning.oracles import Trial
from tuning.results import ranked
from tuning.results import searched_values
from tuning.settings import DEFAULTS_SPACE
from tuning.settings import Settings
from tuning.tuner import SearchTuner
from tuning.tuner import make_hypermodel


def retrain(
    settings: Settings,
    rank: int = 1,
    *,
    folds: Sequence[int] = (0,),
    verbose: int = 1,
) -> str:
    """Train the `rank`-th best trial and the defaults again, from each seed.

    A search's best score flatters: it is the best of many. From seeds that
    the search has not seen, by the same protocol, it is compared fairly.

    Args:
        settings: The search's, with other seeds.
        rank: 1 is the best trial. 0: the defaults alone.
        folds: Which parts of the data validate, one after another.
        verbose: 0 is silent, 1 shows progress bars.

    Returns:
        A table: each one's mean and deviation over the seeds. It is written
        to `retrain_<rank>.md`, every number to `retrain_<rank>.json`, and the
        model of the best seed to `retrain_<rank>.keras`.

    Raises:
        SearchError: There are fewer completed trials, or fewer folds.
    """
    directory = pathlib.Path(settings.directory)
    default = dataclasses.replace(settings, space=DEFAULTS_SPACE)
    points = {"defaults": (default, {})}
    if rank:
        trial = _trial(settings, rank)
        # Of Hyperband's trials, the epochs of this one.
        points = {
            f"trial {trial.trial_id}": (settings, searched_values(trial)),
            **points,
        }
    try:
        # Now, and not after the trainings of other folds.
        probe = make_hypermodel(default, max(folds))
        probe.validation(probe.configuration(keras_tuner.HyperParameters()))
    except ValueError as error:
        raise SearchError(str(error)) from error
    metric = probe.objective.name
    rows: list[list[str]] = []
    found: dict[str, Any] = {}
    for name, (point, values) in points.items():
        try:
            by_fold = _train(name, point, values, folds, verbose)
        except keras_tuner.errors.FailedTrialError as error:
            rows.append([name, f"failed: {error}", "", "", ""])
            found[name] = {"values": values, "error": str(error)}
            continue
        if name == next(iter(points)):
            write_atomically(
                directory / f"retrain_{rank}.keras", by_fold[0].model
            )
        scores = np.array(
            [
                [x["metrics"][metric] for x in outcome.executions]
                for outcome in by_fold
            ]
        )
        rows.append(_row(name, scores, by_fold[0]))
        found[name] = {
            "values": values,
            "scores_by_fold": scores.tolist(),
            "outcomes": [outcome.to_dict() for outcome in by_fold],
        }
    seeds = f"seeds {', '.join(map(str, settings.seeds))}"
    head = [settings.stem, metric, seeds, "parameters", "seconds"]
    table = markdown_table(head, rows)
    write_atomically(directory / f"retrain_{rank}.md", table + "\n")
    numbers = {**settings.to_dict(), "folds": list(folds), "found": found}
    write_atomically(
        directory / f"retrain_{rank}.json",
        json.dumps(numbers, indent=1, allow_nan=False),
    )
    return table


def _train(
    name: str,
    point: Settings,
    values: dict[str, Any],
    folds: Sequence[int],
    verbose: int,
) -> list[Outcome]:
    """Train one point from each seed, once a fold."""
    return [
        run_executions(
            make_hypermodel(point, fold),
            values,
            point.seeds,
            title=f"{name}, fold {fold}, ",
            verbose=verbose,
        )
        for fold in folds
    ]


def _row(name: str, scores: np.ndarray, outcome: Outcome) -> list[str]:
    """The table's row, from scores (folds, seeds)."""
    # The spread over the seeds of what is the mean over the folds.
    by_seed = scores.mean(axis=0)
    seconds = np.mean([x["seconds"] for x in outcome.executions])
    return [
        name,
        mean_and_deviation(by_seed.tolist()),
        ", ".join(f"{score:.4f}" for score in by_seed),
        f"{outcome.parameters:,}",
        f"{seconds:.0f}",
    ]


def _trial(settings: Settings, rank: int) -> Trial:
    oracle = SearchTuner(settings, verbose=0).oracle
    trials = ranked(oracle)
    if not 1 <= rank <= len(trials):
        raise SearchError(
            f"There are {len(trials)} completed trials in "
            f"{settings.directory!r}. Received: --retrain {rank}"
        )
    return trials[rank - 1]
