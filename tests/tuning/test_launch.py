"""KerasTuner's chief and workers on 127.0.0.1."""

import json
import os
import pathlib
import subprocess
import sys

import keras_tuner
import pytest

from tests.backend import BACKEND
from tests.tuning import traced_stem
from tuning.launch import launch
from tuning.oracles import MOST_STARTS
from tuning.oracles import make_oracle

ROOT = pathlib.Path(__file__).parents[2]


def test_a_killed_worker_begins_again(tmp_path):
    traces, directory = tmp_path / "traces", tmp_path / "search"
    traces.mkdir()
    done = subprocess.run(
        [
            *(sys.executable, "-m", "tuning.launch", "--workers", "2"),
            *("tests.tuning.traced_stem", "--data", str(traces)),
            *("--tuner", "grid", "--max-trials", "3"),
            *("--directory", str(directory)),
        ],
        env={**os.environ, "KERAS_BACKEND": BACKEND},
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=400,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count("was killed by SIGKILL: again") == 1
    assert traced_stem.runs(traces) == {0: 1, 1: 2, 2: 1}
    oracle = json.loads((directory / "trials" / "oracle.json").read_text())
    assert sorted(oracle["end_order"]) == ["0", "1", "2"]
    assert oracle["ongoing_trials"] == {}
    for name in oracle["end_order"]:
        folder = directory / "trials" / f"trial_{name}"
        trial = json.loads((folder / "trial.json").read_text())
        assert trial["status"] == "COMPLETED"
        outcome = json.loads((folder / "outcome.json").read_text())
        (execution,) = outcome["executions"]
        assert trial["score"] == execution["metrics"]["val_mse"]
    # The chief's, and nobody else's.
    assert done.stdout.count("| rank | trial |") == 1
    assert (directory / "best_model.keras").exists()


@pytest.mark.parametrize(
    ("scene", "restarts", "message", "begun"),
    [
        ("worker late", 0, None, 3),
        ("worker fails", 5, "worker1 ended with exit code 3", 3),
        ("worker killed", 2, "worker1 was killed by SIGTERM, and no", 5),
        ("chief fails", 5, "The chief ended with exit code 4", 1),
        ("chief killed", 5, "The chief ended by SIGKILL", 1),
    ],
)
def test_no_process_is_left(scene, restarts, message, begun, tmp_path):
    command = ["tests.tuning.short_lived", scene, str(tmp_path)]
    found = launch(command, 2, threads=3, restarts=restarts)
    assert found is None if message is None else found.startswith(message)
    traces = [path.name.split("_") for path in tmp_path.iterdir()]
    assert begun <= len(traces) <= max(begun, 3)
    for _, pid, _ in traces:
        with pytest.raises(ProcessLookupError):
            os.kill(int(pid), 0)


def test_a_trial_that_kills_its_worker_is_given_up(tmp_path):
    oracle = make_oracle(
        "random", keras_tuner.Objective("val_mse", "min"), 2, 1, 0
    )
    oracle.hyperparameters.Int("number", 0, 100)
    oracle._set_project_dir(tmp_path, "trials")
    given = [
        oracle.create_trial("worker0").trial_id for _ in range(MOST_STARTS + 1)
    ]
    assert given == ["0"] * MOST_STARTS + ["1"]
    assert oracle.end_order == ["0"]
    assert oracle.trials["0"].status == "FAILED"
    assert "died in each of" in oracle.trials["0"].message
