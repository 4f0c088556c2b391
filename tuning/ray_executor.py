"""Trials as Ray tasks: the oracle stays here, trainings go to the cluster.

Where a trial runs, that it runs again when its worker or its machine dies, and
how its result comes back is Ray's business. What is tried, what it scored and
how a search is resumed is KerasTuner's, in this process alone: so a result is
counted once, however often Ray had to begin it.
"""

import contextlib
import dataclasses
import os
import pathlib
import traceback
import warnings
from collections.abc import Iterator
from typing import Any

import keras_tuner

from keras_seqattn._checks import check_non_negative_integer
from keras_seqattn._checks import check_non_negative_number
from keras_seqattn._checks import check_positive_integer
from tuning.data_files import DataFiles
from tuning.data_files import read_files
from tuning.data_files import unpacked
from tuning.directory import SearchError
from tuning.executions import Outcome
from tuning.oracles import Trial
from tuning.oracles import TrialStatus
from tuning.settings import Settings
from tuning.threads import thread_environment
from tuning.tuner import SearchTuner
from tuning.tuner import run_values

ROOT = pathlib.Path(__file__).parents[1]


def run(
    tuner: SearchTuner,
    *,
    address: str | None = None,
    workers: int | None = None,
    cpus_per_trial: int = 1,
    gpus_per_trial: float = 0.0,
    retries: int = 3,
) -> None:
    """Run all trials of a search on a Ray cluster.

    Args:
        tuner: From `make_tuner`.
        address: Of a cluster, as `ray.init` takes it: `"ray://host:10001"`,
            `"auto"`, `"host:6379"`. This code and the data are sent there.
            Default: processes of this machine.
        workers: The most trials at a time. Default: as many as the cluster
            has CPUs (and GPUs) for when the search begins.
        cpus_per_trial: Cores that a trial reserves, and threads that it uses.
        gpus_per_trial: GPUs that a trial reserves; a half shares one.
        retries: How often a trial begins again when its process or machine
            died. After that it is recorded as failed.

    Raises:
        SearchError: There is no cluster at `address`, or none of its machines
            could run a trial.
    """
    if workers is not None:
        check_positive_integer("workers", workers)
    check_positive_integer("cpus_per_trial", cpus_per_trial)
    check_non_negative_number("gpus_per_trial", gpus_per_trial)
    check_non_negative_integer("retries", retries)
    # Ray's `retries` count. That this process ends says nothing of a trial.
    tuner.oracle.counts_starts = False
    ray = import_ray(local=address is None)
    with _connected(ray, address):
        room = _room(ray, cpus_per_trial, gpus_per_trial)
        task = ray.remote(run_trial).options(
            num_cpus=cpus_per_trial,
            num_gpus=gpus_per_trial,
            max_retries=retries,
            runtime_env={
                "env_vars": {
                    # Before Keras is imported.
                    "KERAS_BACKEND": tuner.settings.backend,
                    **thread_environment(cpus_per_trial),
                }
            },
        )
        files = None if address is None else read_files(tuner.settings.data)
        sent = ray.put(files)
        slots = [f"ray{number}" for number in range(workers or room)]
        if tuner.verbose:
            print(f"Ray: up to {len(slots)} trials at a time", flush=True)
        _run_all(
            ray,
            tuner,
            lambda values: task.remote(tuner.settings, values, sent),
            slots,
        )


def import_ray(local: bool) -> Any:
    """Import Ray, which is an extra.

    Args:
        local: Whether a cluster of this machine alone is wanted. It listens
            on 127.0.0.1 alone, if Ray was not imported before.
    """
    if local:
        # As Ray does anyway on the two systems that the variable names. Read
        # at import.
        os.environ.setdefault("RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER", "0")
    try:
        import ray
    except ImportError as error:
        raise ImportError(
            "`--executor ray` needs Ray: pip install 'keras_seqattn[ray]', "
            "or 'ray[default,client]'."
        ) from error
    return ray


def run_trial(
    settings: Settings, values: dict[str, Any], files: DataFiles | None
) -> Outcome:
    """One trial, in a worker. It writes nothing but temporary files."""
    if files is not None:
        settings = dataclasses.replace(settings, data=unpacked(files))
    return run_values(settings, values)


def _run_all(
    ray: Any, tuner: SearchTuner, submit: Any, slots: list[str]
) -> None:
    """Keep all slots busy until the oracle has nothing more to try.

    To the oracle each slot is a worker, which has one trial at a time.
    """
    free, running = slots[::-1], {}
    try:
        while True:
            stopped = False
            while free and not stopped:
                trial = tuner.oracle.create_trial(free[-1])
                if trial.status == TrialStatus.RUNNING:
                    result = submit(dict(trial.hyperparameters.values))
                    running[result] = free.pop(), trial
                elif trial.status == TrialStatus.STOPPED or running:
                    # Nothing more, or nothing before a trial has ended.
                    stopped = True
            if not running:
                return
            for result in ray.wait(list(running))[0]:
                slot, trial = running.pop(result)
                _record(ray, tuner, trial, result)
                free.append(slot)
    finally:
        for result in running:  # A search that was interrupted.
            ray.cancel(result, force=True)


def _record(ray: Any, tuner: SearchTuner, trial: Trial, result: Any) -> None:
    """Tell the oracle what became of a trial. Called once for each.

    What else may be raised, as by a lost connection, says nothing of the
    trial: it ends the search, and the trial runs again when that is resumed.
    """
    kinds = ray.exceptions
    try:
        outcome = ray.get(result)
    except keras_tuner.errors.FatalError:
        raise
    except (
        kinds.RayTaskError,
        kinds.WorkerCrashedError,
        kinds.OutOfMemoryError,
        kinds.NodeDiedError,
        kinds.ObjectLostError,
    ) as error:
        trial.status = TrialStatus.INVALID
        if isinstance(error, keras_tuner.errors.FailedTrialError):
            trial.status = TrialStatus.FAILED
        trial.message = "".join(traceback.format_exception(error))
        tuner.write_error(trial.trial_id, trial.message)
    else:
        tuner.write_outcome(trial.trial_id, outcome)
        tuner.oracle.update_trial(trial.trial_id, outcome.metrics)
        trial.status = TrialStatus.COMPLETED
    tuner.oracle.end_trial(trial)


@contextlib.contextmanager
def _connected(ray: Any, address: str | None) -> Iterator[None]:
    """Connect to a cluster, or start one here. A connection is left alone."""
    if ray.is_initialized():
        yield
        return
    options: dict[str, Any] = {"log_to_driver": False}
    if address is None:
        # Ray reads an address from RAY_ADDRESS too, unless told "local".
        options |= {"address": "local", "include_dashboard": False}
    else:
        modules = [str(ROOT / name) for name in ("keras_seqattn", "tuning")]
        options |= {"address": address, "runtime_env": {"py_modules": modules}}
    with warnings.catch_warnings():
        # JAX fears a fork that goes on with its threads' locks. These are
        # followed by an exec at once.
        warnings.filterwarnings("ignore", r"os\.fork\(\) was called")
        try:
            ray.init(**options)
        except ConnectionError as error:
            raise SearchError(
                f"No Ray cluster answers at {address!r}: {error}. Start it "
                "with `ray start --head`, see that its port can be reached, "
                "and if it asks for a token set RAY_AUTH_MODE=token here."
            ) from error
    try:
        yield
    finally:
        ray.shutdown()


def _room(ray: Any, cpus: int, gpus: float) -> int:
    """How many trials the cluster can run at a time."""
    machines = [node["Resources"] for node in ray.nodes() if node["Alive"]]
    room = 0
    for machine in machines:
        trials = machine.get("CPU", 0) // cpus
        if gpus:
            trials = min(trials, machine.get("GPU", 0) // gpus)
        room += int(trials)
    if not room:
        found = [
            f"{machine.get('CPU', 0):g} CPUs and {machine.get('GPU', 0):g} GPUs"
            for machine in machines
        ]
        raise SearchError(
            f"No machine of the Ray cluster has the {cpus} CPUs and {gpus:g} "
            "GPUs of a trial, so all would wait for ever. Lower "
            "--cpus-per-trial or --gpus-per-trial, or add machines. There: "
            f"{'; '.join(found) or 'no machine'}"
        )
    return room
