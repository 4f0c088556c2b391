"""Ray with real worker processes; one cluster of two for all tests."""

import os
import pathlib
import signal
import warnings

import keras
import keras_tuner
import pytest

from tests.backend import BACKEND
from tests.tuning import traced_stem
from tuning import ray_executor
from tuning.data_files import read_files
from tuning.data_files import unpacked
from tuning.directory import SearchError
from tuning.executions import Outcome
from tuning.search import search
from tuning.settings import Settings
from tuning.tuner import run_values

ray = ray_executor.import_ray(local=True)
pytestmark = pytest.mark.usefixtures("cluster")


@pytest.fixture(scope="module")
def cluster():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Ray's own
        ray.init(
            "local",
            num_cpus=2,
            include_dashboard=False,
            log_to_driver=False,
            object_store_memory=100 * 2**20,
        )
    assert ray.nodes()[0]["NodeManagerAddress"] == "127.0.0.1"
    yield
    ray.shutdown()


def settings(directory, data=None, trials=6):
    return Settings(
        stem="tests.tuning.traced_stem",
        directory=str(directory),
        backend=BACKEND,
        data=None if data is None else str(data),
        tuner="grid",
        max_trials=trials,
    )


def statuses(tuner):
    return {
        trial.hyperparameters.values["number"]: trial.status
        for trial in tuner.oracle.trials.values()
    }


def test_a_worker_killed_in_the_middle_of_a_trial(tmp_path):
    traces, directory = tmp_path / "traces", tmp_path / "search"
    traces.mkdir()
    tuner = search(settings(directory, traces), "ray", workers=2, verbose=0)
    assert traced_stem.runs(traces) == {0: 1, 1: 2, 2: 1, 3: 1, 4: 1, 5: 1}
    # All are there, and each counts once.
    assert statuses(tuner) == {
        number: "FAILED" if number == traced_stem.RAISES else "COMPLETED"
        for number in range(6)
    }
    assert sorted(tuner.oracle.end_order) == sorted(tuner.oracle.trials)
    assert not tuner.oracle.ongoing_trials
    for name, trial in tuner.oracle.trials.items():
        folder = directory / "trials" / f"trial_{name}"
        values = trial.hyperparameters.values
        if trial.status == "FAILED":
            assert "Number 3 raises." in trial.message
            assert "Number 3 raises." in (folder / "error.txt").read_text()
            continue
        (observation,) = trial.metrics.get_history("val_mse")
        assert len(observation.value) == 1
        alone = run_values(settings(directory), values).metrics["val_mse"]
        assert trial.score == pytest.approx(alone, abs=1e-6)
        # The workers' models have come here.
        model = keras.saving.load_model(folder / "model.keras")
        assert model.layers[1].units == values["number"] + 1
        outputs = model.predict(traced_stem.X[16:], verbose=0)
        error = float(((outputs - traced_stem.Y[16:]) ** 2).mean())
        assert trial.score == pytest.approx(error, abs=1e-5)

    # It goes on, elsewhere, and what was finished stays as it was.
    done = {p: p.read_bytes() for p in directory.glob("trials/*/trial.json")}
    tuner = search(
        settings(directory, traces, trials=7), resume=True, verbose=0
    )
    assert statuses(tuner)[6] == "COMPLETED"
    assert done == {path: path.read_bytes() for path in done}
    assert sum(traced_stem.runs(traces).values()) == 8


def outcome(score):
    metrics = {"val_mse": score, "best_epoch": 1.0, "epochs": 1.0}
    metrics["hopeless"] = 0.0
    execution = {"seed": 0, "seconds": 0.0, "history": {}, "metrics": metrics}
    return Outcome((execution,), b"model", 1)


def test_trials_that_cannot_be_run(tmp_path, monkeypatch):
    def run_trial(settings, values, files):
        if values["number"] == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        if values["number"] == 1:
            raise keras_tuner.errors.FailedTrialError("It was NaN.")
        return outcome(float(values["number"]))

    monkeypatch.setattr(ray_executor, "run_trial", run_trial)
    tuner = search(
        settings(tmp_path, trials=3), "ray", workers=1, retries=0, verbose=0
    )
    assert list(statuses(tuner).values()) == ["FAILED", "FAILED", "COMPLETED"]
    killed, nan, _ = tuner.oracle.trials.values()
    assert "WorkerCrashedError" in killed.message
    assert "It was NaN." in nan.message
    assert [t.score for t in tuner.oracle.get_best_trials()] == [2.0]


def test_what_is_no_fault_of_a_trial_ends_the_search(tmp_path, monkeypatch):
    def run_trial(settings, values, files):
        raise SearchError("The disk is full.")

    monkeypatch.setattr(ray_executor, "run_trial", run_trial)
    with pytest.raises(SearchError, match="The disk is full"):
        search(settings(tmp_path), "ray", verbose=0)


def test_data_go_where_the_trials_are(tmp_path):
    data = tmp_path / "data"
    (data / "part").mkdir(parents=True)
    (data / "part" / "more").write_bytes(b"12")
    (data / "offset").write_text("1000")
    found = search(
        settings(tmp_path / "search", data, trials=1),
        "ray",
        address="auto",
        verbose=0,
    )
    assert 1000 < found.oracle.get_best_trials()[0].score < 1100
    assert not traced_stem.runs(data)  # The worker had a copy.

    copy = unpacked(read_files(str(data)))
    assert pathlib.Path(copy, "part", "more").read_bytes() == b"12"
    copy = unpacked(read_files(str(data / "offset")))
    assert pathlib.Path(copy).read_text() == "1000"
    assert read_files("additive") is None and read_files(None) is None


def test_arguments(tmp_path):
    tuner = search(settings(tmp_path, trials=1), verbose=0)
    with pytest.raises(SearchError, match=r"has the 64 CPUs .* There: 2 CPUs"):
        ray_executor.run(tuner, cpus_per_trial=64)
    for name, value in (
        ("workers", 0),
        ("cpus_per_trial", 0),
        ("gpus_per_trial", -1),
        ("retries", -1),
    ):
        with pytest.raises(ValueError, match=f"`{name}` must be"):
            ray_executor.run(tuner, **{name: value})
