"""How KerasTuner trains a trial here."""

import functools
import json
import os
import pathlib
import traceback
from typing import Any

import keras_tuner

from tuning import interrupt
from tuning.directory import SearchError
from tuning.directory import write_atomically
from tuning.executions import Outcome
from tuning.executions import run_executions
from tuning.hypermodel import StemHyperModel
from tuning.oracles import Trial
from tuning.oracles import make_oracle
from tuning.settings import Settings
from tuning.settings import stem_class


def make_hypermodel(settings: Settings, fold: int = 0) -> StemHyperModel:
    """Return the hypermodel of a search. It reads its data when it needs them.

    Args:
        settings: The search's.
        fold: Which part of the data validates.
    """
    return stem_class(settings.stem)(
        settings.space, settings.data, settings.epochs, fold
    )


@functools.lru_cache(maxsize=1)
def _kept_hypermodel(settings: Settings) -> StemHyperModel:
    # It keeps its data from trial to trial.
    return make_hypermodel(settings)


def run_values(settings: Settings, values: dict[str, Any]) -> Outcome:
    """Train one trial's settings in this process, and write nothing.

    Args:
        settings: The search's.
        values: `trial.hyperparameters.values`.
    """
    return run_executions(
        _kept_hypermodel(settings), values, settings.seeds, verbose=0
    )


class SearchTuner(keras_tuner.Tuner):
    """KerasTuner's tuner, with a training a seed in each trial.

    Args:
        settings: The search's.
        verbose: 0 is silent, 1 shows progress.

    Raises:
        SearchError: The data cannot be used, or the environment makes this
            process a chief or a worker of KerasTuner's.
    """

    def __init__(self, settings: Settings, verbose: int = 1) -> None:
        if "KERASTUNER_ORACLE_IP" in os.environ:
            raise SearchError(
                "KERASTUNER_ORACLE_IP is set, which asks for KerasTuner's own "
                "chief and workers. They are not used here: unset it, and "
                "for many processes or machines take --executor ray."
            )
        self.settings = settings
        self.verbose = verbose
        hypermodel = make_hypermodel(settings)
        probe = hypermodel.configuration(keras_tuner.HyperParameters())
        try:
            hypermodel.batches(probe, 0)
        except (ValueError, OSError, ImportError) as error:
            # Here, or every trial would fail by it.
            raise SearchError(f"The data cannot be used: {error}") from error
        super().__init__(
            make_oracle(
                settings.tuner,
                hypermodel.objective,
                settings.max_trials,
                probe.training.epochs,
                settings.seed,
            ),
            hypermodel,
            directory=settings.directory,
            project_name="trials",
        )

    def run_trial(self, trial: Trial) -> dict[str, float]:
        title = f"Trial {int(trial.trial_id) + 1} of {self.oracle.max_trials}, "
        try:
            outcome = run_executions(
                self.hypermodel,
                trial.hyperparameters.values,
                self.settings.seeds,
                title=title,
                verbose=self.verbose,
            )
        except Exception:
            interrupt.check()  # It may be the fault.
            self.write_error(trial.trial_id, traceback.format_exc())
            raise
        interrupt.check()
        self.write_outcome(trial.trial_id, outcome)
        return outcome.metrics

    def write_outcome(self, trial_id: str, outcome: Outcome) -> None:
        """Write what a trial came to beside KerasTuner's own record of it."""
        folder = self._folder(trial_id)
        write_atomically(folder / "model.keras", outcome.model)
        write_atomically(
            folder / "outcome.json",
            json.dumps(outcome.to_dict(), allow_nan=False),
        )

    def write_error(self, trial_id: str, message: str) -> None:
        """Write why a trial failed."""
        write_atomically(self._folder(trial_id) / "error.txt", message)

    def _folder(self, trial_id: str) -> pathlib.Path:
        return pathlib.Path(self.project_dir) / f"trial_{trial_id}"

    def _populate_initial_space(self) -> None:
        # Spaces declare all their parameters: no model is built to find them.
        hp = self.oracle.get_space()
        self.hypermodel.declare_hyperparameters(hp)
        self.oracle.update_space(hp)

    # Whether there is a search to go on with is seen by the oracle's file:
    # KerasTuner's own is written after the first trial.
    def _get_tuner_fname(self) -> str:
        return self.oracle.path

    def save(self) -> None:
        self.oracle.save()

    def reload(self) -> None:
        self.oracle.reload()
