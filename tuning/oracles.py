"""KerasTuner's oracles, made to survive a SIGKILL at any moment.

An oracle chooses what is tried. KerasTuner's save their state as they go, but
not so that every moment is a good one to be killed in. What is mended here,
as of keras-tuner 1.4.8:

- files are written as a whole, by a temporary name;
- a trial that was finished but still noted as running is not run again;
- a trial that was begun but not noted is forgotten, and chosen again;
- a trial that is run again begins without the metrics of its first run;
- the state is saved once more when a trial is no longer noted as running;
- a grid goes on after a resume, and has more than two trials run at a time;
- Bayesian draws depend on how many trials there are, not on how often the
  search was resumed.
"""

import contextlib
import json
import pathlib
import warnings
from collections.abc import Callable
from typing import Any

import keras_tuner
import numpy as np
from keras_tuner.engine import trial as trials

from tuning.directory import SearchError
from tuning.directory import read_json
from tuning.directory import write_atomically

# A trial in which the process died this often is given up: it may be what
# kills it, as one that needs more memory than there is.
MOST_STARTS = 5

Trial = trials.Trial
TrialStatus = trials.TrialStatus
FINISHED = (TrialStatus.COMPLETED, TrialStatus.FAILED)
_STATUSES = (*FINISHED, TrialStatus.RUNNING, TrialStatus.INVALID)
_SPACE = {"space": [dict], "values": {str: str | float | int | None}}
_STATE = {
    "hyperparameters": _SPACE,
    "start_order": [str],
    "end_order": [str],
    "retry_queue": [str],
    "ongoing_trials": {str: str},
    "tried_so_far": [str],
    "id_to_hash": {str: str | None},
    "run_times": {str: int},
    "starts": {str: int},
}
_TRIAL = {
    "trial_id": str,
    "status": str,
    "score": float | int | None,
    "message": str | None,
    "hyperparameters": _SPACE,
    "metrics": {"metrics": {str: dict}},
}


class DurableOracle(keras_tuner.Oracle):
    """What all of them have in common.

    Attributes:
        on_end: Called with each trial that has ended.
        counts_starts: Whether a trial is given up that was begun
            `MOST_STARTS` times and never ended.
    """

    on_end: Callable[[Trial], None] | None = None
    counts_starts = True

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        # Failed trials are recorded, and never the end of a search.
        super().__init__(*args, max_consecutive_failed_trials=None, **kwargs)
        self.verbose = 0
        self._starts: dict[str, int] = {}

    @property
    def path(self) -> str:
        """The file of its state."""
        return self._get_oracle_fname()

    def create_trial(self, tuner_id: str) -> Trial:
        trial = super().create_trial(tuner_id)
        if trial.status == TrialStatus.RUNNING and self.counts_starts:
            starts = self._starts.get(trial.trial_id, 0)
            self._starts[trial.trial_id] = starts + 1
            self.save()
        return trial

    def end_trial(self, trial: Trial) -> None:
        super().end_trial(trial)
        self.save()
        if self.on_end is not None:
            self.on_end(self.trials[trial.trial_id])

    def forget_starts(self) -> None:
        """Do not count the runs of now: they end, but nothing killed them."""
        for trial in self.ongoing_trials.values():
            starts = self._starts.get(trial.trial_id, 0)
            self._starts[trial.trial_id] = max(starts - 1, 0)
        with contextlib.suppress(SearchError):
            self.save()

    def _killed_too_often(self, trial: Trial) -> bool:
        if self._starts.get(trial.trial_id, 0) < MOST_STARTS:
            return False
        trial.status = TrialStatus.FAILED
        trial.message = (
            f"The process died in each of {MOST_STARTS} runs of this trial. "
            "It may have run out of memory."
        )
        return True

    def get_state(self) -> dict[str, Any]:
        return {**super().get_state(), "starts": self._starts}

    def set_state(self, state: dict[str, Any]) -> None:
        super().set_state(state)
        self._starts = state["starts"]

    def save(self) -> None:
        _save_json(self.path, self.get_state())

    def _save_trial(self, trial: Trial) -> None:
        folder = pathlib.Path(self._project_dir) / f"trial_{trial.trial_id}"
        _save_json(folder / "trial.json", trial.get_state())

    def reload(self) -> None:
        # As a new oracle has it; of lists and dictionaries what is in them.
        own = {name: type(value) for name, value in self.get_state().items()}
        state = read_json(self.path, {**own, **_STATE})
        self.trials = {}
        try:
            for name in state["start_order"]:
                int(name)  # Which numbers are sorted by.
                folder = pathlib.Path(self._project_dir) / f"trial_{name}"
                self.trials[name] = _read_trial(folder / "trial.json", name)
            named = *state["end_order"], *state["retry_queue"]
            if unknown := sorted({*named} - self.trials.keys()):
                raise ValueError(f"trials that were never begun: {unknown}")
            self.set_state(state)
        # Of JSON of another shape KerasTuner raises what it stumbles upon.
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise SearchError(
                f"{self.path!r} is damaged: {type(error).__name__}: {error}. "
                "Restore it, or begin a new search in another directory."
            ) from error
        running = [trial.trial_id for trial in self.ongoing_trials.values()]
        self.ongoing_trials = {}
        again = []
        # Those that ran, and those that were waiting to run again.
        for name in sorted({*running, *self._retry_queue}):
            trial = self.trials[name]
            # A trial has its score when it has ended.
            if trial.status not in FINISHED or (
                trial.status == TrialStatus.COMPLETED and trial.score is None
            ):
                if not self._killed_too_often(trial):
                    trial.metrics = type(trial.metrics)()
                    again.append(name)
                    continue
                self._save_trial(trial)
            if name not in self.end_order:
                self.end_order.append(name)
        self._retry_queue = again[::-1]  # The last one is taken first.
        # Of a process that is no more.
        self.tuner_ids = set()


def _read_trial(path: pathlib.Path, name: str) -> Trial:
    """Read a trial; one that cannot be read is listed as failed."""
    try:
        trial = Trial.from_state(read_json(path, _TRIAL))
        if trial.status not in _STATUSES:
            raise ValueError(f"status {trial.status!r}")
        if trial.trial_id != name:
            raise ValueError(f"trial_id {trial.trial_id!r}")
    # Of JSON of another shape KerasTuner raises what it stumbles upon.
    except (
        AttributeError,
        KeyError,
        SearchError,
        TypeError,
        ValueError,
    ) as error:
        trial = Trial(keras_tuner.HyperParameters(), name, TrialStatus.FAILED)
        trial.message = f"{path.name} cannot be read: {error}"
    return trial


class RandomOracle(DurableOracle, keras_tuner.oracles.RandomSearchOracle):
    """Random search: settings drawn independently of each other."""


class BayesianOracle(
    DurableOracle, keras_tuner.oracles.BayesianOptimizationOracle
):
    """Bayesian optimization: a Gaussian process of the scores so far."""

    def populate_space(self, trial_id: str) -> dict[str, Any]:
        self._random_state = np.random.RandomState(
            self.seed + len(self.start_order)
        )
        from sklearn.exceptions import ConvergenceWarning

        with warnings.catch_warnings():
            # Of few scores the process knows no length scale. Never mind.
            warnings.simplefilter("ignore", ConvergenceWarning)
            return super().populate_space(trial_id)


class HyperbandOracle(DurableOracle, keras_tuner.oracles.HyperbandOracle):
    """Hyperband: many settings for few epochs, the best of them for more."""


class GridOracle(DurableOracle, keras_tuner.oracles.GridSearchOracle):
    """All settings, in order. Ranges without steps have ten values each."""

    def populate_space(self, trial_id: str) -> dict[str, Any]:
        found = super().populate_space(trial_id)
        if found["status"] == TrialStatus.RUNNING:
            # The next one need not wait for this one's end.
            self._populate_next.append(trial_id)
        return found

    def reload(self) -> None:
        super().reload()
        # Each trial's neighbour in the order is what the oracle looks for.
        ordered: list[str] = []
        for name in self.start_order:
            place = len(ordered)
            while (
                place
                and self._compare(
                    self.trials[ordered[place - 1]].hyperparameters.values,
                    self.trials[name].hyperparameters.values,
                )
                > 0
            ):
                place -= 1
            ordered.insert(place, name)
        for name in ordered:
            self._ordered_ids.insert(name)
        self._populate_next = list(self.start_order)


def _save_json(path: Any, state: dict[str, Any]) -> None:
    write_atomically(path, json.dumps(state))


def make_oracle(
    tuner: str,
    objective: keras_tuner.Objective,
    max_trials: int,
    epochs: int,
    seed: int,
) -> DurableOracle:
    """Return a new oracle.

    Args:
        tuner: `"random"`, `"bayesian"`, `"hyperband"` or `"grid"`.
        objective: What is searched for.
        max_trials: The most trials.
        epochs: The most epochs of a trial, for Hyperband.
        seed: Integer, not negative.
    """
    # KerasTuner takes a seed of 0 for none.
    settings: dict[str, Any] = {"objective": objective, "seed": seed + 1}
    if tuner == "hyperband":
        # As many rounds as there are trials: their number ends the search.
        oracle = HyperbandOracle(
            max_epochs=epochs, hyperband_iterations=max_trials, **settings
        )
        oracle.max_trials = max_trials
        return oracle
    if tuner == "bayesian":
        # KerasTuner's own is three draws a parameter: never less than 30 here.
        settings["num_initial_points"] = max(3, max_trials // 3)
    kinds: dict[str, Callable[..., DurableOracle]] = {
        "random": RandomOracle,
        "bayesian": BayesianOracle,
        "grid": GridOracle,
    }
    return kinds[tuner](max_trials=max_trials, **settings)
