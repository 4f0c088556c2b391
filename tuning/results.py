"""What a search has found so far: tables, figure, logs, the best model."""

import csv
import io
import json
import math
import pathlib
import time
from typing import Any

import keras_tuner
import numpy as np

from keras_seqattn._training.tables import markdown_table
from tuning.directory import SearchError
from tuning.directory import read_json
from tuning.directory import write_atomically
from tuning.hparams import write_hparams
from tuning.hypermodel import StemHyperModel
from tuning.oracles import FINISHED
from tuning.oracles import DurableOracle
from tuning.oracles import Trial
from tuning.oracles import TrialStatus
from tuning.settings import Settings
from tuning.settings import other_seeds
from tuning.settings import stem_module


class Results:
    """Writes what a search has found, after each trial.

    In the search's directory: `results.md` and `results.csv`, all trials;
    `tensorboard/`, for its HParams page; of the best trial `best_model.keras`,
    `recipe.json`, how it was trained, and `model.json`, its builder's
    arguments; and in the end `parameters.png`, the score against each
    parameter.

    Args:
        settings: The search's.
        oracle: Its oracle.
        hypermodel: Its hypermodel.
        verbose: 0 is silent, 1 prints a line a trial.
    """

    def __init__(
        self,
        settings: Settings,
        oracle: DurableOracle,
        hypermodel: StemHyperModel,
        verbose: int = 1,
    ) -> None:
        self.settings = settings
        self.oracle = oracle
        self.hypermodel = hypermodel
        self.objective = hypermodel.objective
        self.directory = pathlib.Path(settings.directory)
        self.verbose = verbose
        self._best: str | None = None

    def follow(self) -> None:
        """Write after each trial from now on."""
        self._start = time.monotonic()
        self._before = len(self._finished())
        self.oracle.on_end = self._on_end

    def finish(self) -> None:
        """Write everything."""
        self._write()
        if self._ranked():
            self._draw()

    def _on_end(self, trial: Trial) -> None:
        if trial.status not in FINISHED:
            return
        self._write()
        write_hparams(
            self.directory / "tensorboard" / f"trial_{trial.trial_id}",
            trial.trial_id,
            searched_values(trial),
            self._outcome(trial),
        )
        if self.verbose:
            print(self._line(trial), flush=True)

    def _finished(self) -> list[Trial]:
        return [t for t in self.oracle.trials.values() if t.status in FINISHED]

    def _ranked(self) -> list[Trial]:
        return ranked(self.oracle)

    def _folder(self, trial: Trial) -> pathlib.Path:
        return self.directory / "trials" / f"trial_{trial.trial_id}"

    def _outcome(self, trial: Trial) -> dict[str, Any]:
        path = self._folder(trial) / "outcome.json"
        found = {"parameters": None, "executions": [], "remark": ""}
        # A failed trial has none.
        if trial.status == TrialStatus.COMPLETED and path.exists():
            try:
                return {
                    **found,
                    **read_json(path, _outcome_shape(self.objective)),
                }
            except SearchError:
                # The score is the trial's own, and the search may go on.
                found["remark"] = "outcome.json cannot be read"
        return found

    def _write_recipe(self, trial: Trial) -> None:
        """Write what a workflow needs to train as the trial was trained."""
        hp = keras_tuner.HyperParameters()
        hp.values = dict(trial.hyperparameters.values)
        found = self.hypermodel.configuration(hp)
        recipe = self.hypermodel.recipe(found)
        for name, settings in (
            ("model.json", {"model": found.model, "others": found.others}),
            ("recipe.json", recipe.to_dict()),
        ):
            write_atomically(
                self._folder(trial) / name,
                json.dumps(settings, indent=1, default=repr) + "\n",
            )

    def _write(self) -> None:
        best = self._ranked()[:1]
        names = sorted(
            {name for t in self._finished() for name in searched_values(t)}
        )
        order = {t.trial_id: i for i, t in enumerate(self._ranked(), 1)}
        rows = [
            self._row(trial, order.get(trial.trial_id), names)
            for trial in sorted(
                self._finished(),
                key=lambda t: order.get(t.trial_id, math.inf),
            )
        ]
        head = [
            *("rank", "trial", self.objective.name, "deviation", "parameters"),
            *("best epoch", "epochs", "seconds", "remark", *names),
        ]
        text = io.StringIO()
        csv.writer(text, lineterminator="\n").writerows([head, *rows])
        write_atomically(self.directory / "results.csv", text.getvalue())
        shown = [[_short(cell) for cell in row] for row in rows]
        write_atomically(
            self.directory / "results.md",
            f"{self._preface()}\n{markdown_table(head, shown)}\n",
        )
        for trial in self._ranked():
            # Here, since a process may be killed after the end of a trial.
            if not (self._folder(trial) / "recipe.json").exists():
                self._write_recipe(trial)
        for trial in best:
            self._copy(trial)

    def _copy(self, best: Trial) -> None:
        if best.trial_id == self._best:
            return
        for source, name in (
            ("recipe.json", "recipe.json"),
            ("model.json", "model.json"),
            ("model.keras", "best_model.keras"),
        ):
            path = self._folder(best) / source
            # The model may be on another machine.
            if path.exists():
                write_atomically(self.directory / name, path.read_bytes())
        if path.exists():
            self._best = best.trial_id

    def _row(
        self, trial: Trial, rank: int | None, names: list[str]
    ) -> list[Any]:
        outcome = self._outcome(trial)
        metrics = [
            {"seconds": x["seconds"], **x["metrics"]}
            for x in outcome["executions"]
        ]
        scores = [x[self.objective.name] for x in metrics]
        values = searched_values(trial)

        def mean(name: str) -> float | None:
            return (
                float(np.mean([x[name] for x in metrics])) if metrics else None
            )

        return [
            rank,
            int(trial.trial_id),
            trial.score if rank else None,
            float(np.std(scores, ddof=1)) if len(scores) > 1 else None,
            outcome["parameters"],
            *(mean("best_epoch"), mean("epochs"), mean("seconds")),
            self._remark(trial, metrics) or outcome["remark"],
            *(values.get(name) for name in names),
        ]

    def _remark(self, trial: Trial, metrics: list[dict[str, float]]) -> str:
        if trial.status == TrialStatus.FAILED:
            message = trial.message or ""
            lines = message.strip().splitlines() or ["no message"]
            return f"failed: {lines[-1][:200]}"
        if any(x["hopeless"] for x in metrics):
            return "stopped: no better than a guess"
        return ""

    def _preface(self) -> str:
        aim = {"max": "more is better", "min": "less is better"}
        settings = ", ".join(
            f"{name} {value}" for name, value in self.settings.to_dict().items()
        )
        return (
            f"# Search: {self.settings.stem}\n\n{settings}.\n\n"
            f"{len(self._finished())} trials finished. "
            f"`{self.objective.name}`: "
            f"{aim[self.objective.direction]}; the mean over the seeds at each "
            "training's best epoch, on data that are neither trained on nor "
            "the test's.\n\n"
            "The best trial again, from other seeds, beside the defaults:\n\n"
            f"    {retrain_command(self.settings)}\n"
        )

    def _line(self, trial: Trial) -> str:
        done, total = len(self._finished()), self.settings.max_trials
        what = self._remark(trial, []) or (
            f"{self.objective.name} {trial.score:.4f}"
        )
        best = self._ranked()[:1]
        if best:
            what += f"; best {best[0].score:.4f}, trial {best[0].trial_id}"
        spent = time.monotonic() - self._start
        left = spent / max(done - self._before, 1) * (total - done)
        filled = round(20 * done / total)
        return (
            f"[{'=' * filled}{'.' * (20 - filled)}] {done}/{total} trials, "
            f"{spent / 60:.1f} min, {left / 60:.1f} to go. "
            f"Trial {trial.trial_id}: {what}"
        )

    def _draw(self) -> None:
        # matplotlib takes its time, and is needed once.
        from tuning.figure import draw_parameters

        data = io.BytesIO()
        figure = draw_parameters(
            [(searched_values(t), t.score) for t in self._ranked()],
            self.objective.name,
            {
                hp.name
                for hp in self.oracle.get_space().space
                if getattr(hp, "sampling", None) == "log"
            },
        )
        figure.savefig(data, format="png", dpi=100)
        write_atomically(self.directory / "parameters.png", data.getvalue())


def _outcome_shape(objective: keras_tuner.Objective) -> dict[str, Any]:
    number = float | int
    names = (objective.name, "best_epoch", "epochs", "hopeless")
    execution = {
        "seconds": number,
        "metrics": dict.fromkeys(names, number),
        "history": {str: [number]},
    }
    return {"parameters": int, "executions": [execution]}


def ranked(oracle: keras_tuner.Oracle) -> list[Trial]:
    """Return the completed trials, the best one first, of equals the first."""
    sign = -1 if oracle.objective.direction == "max" else 1
    completed = [
        trial
        for trial in oracle.trials.values()
        # It has its score when it has ended.
        if trial.status == TrialStatus.COMPLETED and trial.score is not None
    ]
    return sorted(
        completed,
        key=lambda trial: (sign * trial.score, int(trial.trial_id)),
    )


def searched_values(trial: Trial) -> dict[str, Any]:
    """Return a trial's values without those that Hyperband adds."""
    return {
        name: value
        for name, value in trial.hyperparameters.values.items()
        if not name.startswith("tuner/") or name == "tuner/epochs"
    }


def retrain_command(settings: Settings, rank: int = 1) -> str:
    """Return the command that trains a trial again from other seeds."""
    seeds = " ".join(map(str, other_seeds(settings.seeds)))
    return (
        f"python -m {stem_module(settings.stem)} "
        f"--directory {settings.directory} "
        f"--retrain {rank} --seeds {seeds}"
    )


def _short(cell: Any) -> str:
    if cell is None:
        return ""
    if isinstance(cell, float):
        return f"{cell:.4g}"
    return str(cell).replace("|", "\\|")
