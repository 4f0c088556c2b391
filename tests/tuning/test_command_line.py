import json
import os
import subprocess
import sys

import keras
import keras_tuner
import pytest

from tests.tuning.test_search import make_settings
from tuning.command_line import main
from tuning.command_line import read_arguments
from tuning.directory import SearchError
from tuning.early_backend import choose_backend
from tuning.executions import run_executions
from tuning.results import ranked
from tuning.search import search
from tuning.tuner import make_hypermodel

STEM = "tests.tuning.small_stem"


@pytest.fixture(scope="module")
def searched(tmp_path_factory):
    folder = tmp_path_factory.mktemp("searched")
    return search(make_settings(folder, max_trials=2, epochs=1), verbose=0)


def test_told_nothing():
    settings, found = read_arguments("burst_prop_network", [])
    assert settings.tuner == "random" and settings.max_trials == 20
    assert settings.seeds == (0,) and settings.data is None
    assert settings.directory == "results/tuning/burst_prop_network"
    assert settings.backend == keras.backend.backend()
    assert found.executor == "local" and not found.resume


def test_seeds_and_executions(capsys):
    def seeds(*arguments):
        return read_arguments("burst_prop_network", arguments)[0].seeds

    assert seeds("--seeds", "4", "2") == (4, 2)
    assert seeds("--executions-per-trial", "3") == (0, 1, 2)
    both = ("--executions-per-trial", "2", "--seeds")
    assert seeds(*both, "5", "6") == (5, 6)
    with pytest.raises(SystemExit):
        seeds(*both, "5")
    assert "2 needs as many --seeds" in capsys.readouterr().err


def test_resuming_takes_the_settings_that_are_there(searched):
    folder = searched.settings.directory
    settings, _ = read_arguments(STEM, ["--directory", folder, "--resume"])
    assert settings == searched.settings
    settings, _ = read_arguments(
        STEM, ["--directory", folder, "--resume", "--max-trials", "9"]
    )
    assert settings.max_trials == 9 and settings.epochs == 1
    with pytest.raises(SearchError, match="is one of tests"):
        read_arguments("neural_decoder", ["--directory", folder, "--resume"])


def test_refusals_are_one_line(searched, tmp_path):
    folder = searched.settings.directory
    for arguments, message in (
        (["--directory", folder], "error: There is a search in"),
        (
            ["--directory", folder, "--resume", "--seed", "8"],
            "error: .*seed is 0 there and 8 here",
        ),
        (
            ["--directory", str(tmp_path), "--retrain"],
            "error: There is no search in",
        ),
        (
            ["--directory", folder, "--retrain", "3"],
            "error: There are 2 completed trials",
        ),
        (["--max-trials", "0"], "error: `max_trials` must be a positive"),
        (
            ["--directory", folder, "--retrain", "--epochs", "7"],
            "error: .* There, epochs is 1. Leave them away",
        ),
        (
            ["--directory", folder, "--retrain", "--folds", "0", "9"],
            "error: `fold` must be one of",
        ),
    ):
        with pytest.raises(SystemExit, match=message):
            main(STEM, arguments)


def test_data_that_cannot_be_read_end_the_search(tmp_path):
    """And leave the directory free, or the search as it was."""
    for data, message in (
        (str(tmp_path / "none.npz"), "There is no recording at"),
        (__file__, "A recording must be an `.nwb` file"),
    ):
        arguments = ["--directory", str(tmp_path / "search"), "--data", data]
        with pytest.raises(SystemExit, match=message):
            main("neural_decoder", arguments)
    assert not (tmp_path / "search/trials/oracle.json").exists()


def test_another_backend_is_refused():
    backends = {"tensorflow", "jax", "torch"} - {keras.backend.backend()}
    with pytest.raises(SystemExit, match="error: Keras runs on"):
        main(STEM, ["--backend", sorted(backends)[0]])


def test_retraining_is_the_search_from_other_seeds(searched, capsys):
    folder = searched.settings.directory
    arguments = ["--directory", folder, "--retrain", "2", "--seeds", "5", "6"]
    main(STEM, [*arguments, "--folds", "0", "1", "--verbose", "0"])
    printed = capsys.readouterr().out.replace("─", "").split()
    with open(f"{folder}/retrain_2.md") as file:
        table = file.read()
    words = table.replace("|", " ").replace("---", "").split()
    assert printed[-len(words) :] == words
    with open(f"{folder}/retrain_2.json") as file:
        found = json.load(file)["found"]
    second = ranked(searched.oracle)[1]
    name = f"trial {second.trial_id}"
    assert list(found) == [name, "defaults"]
    for fold in (0, 1):
        outcome = run_executions(
            make_hypermodel(searched.settings, fold),
            second.hyperparameters.values,
            (5, 6),
            verbose=0,
        )
        assert found[name]["scores_by_fold"][fold] == [
            x["metrics"]["val_mse"] for x in outcome.executions
        ]
    scores = found[name]["scores_by_fold"]
    means = [sum(pair) / 2 for pair in zip(*scores, strict=True)]
    assert f"{means[0]:.4f}, {means[1]:.4f}" in table
    assert keras.saving.load_model(f"{folder}/retrain_2.keras").count_params()


def test_retraining_takes_other_seeds_and_the_searchs_backend(
    searched, tmp_path
):
    arguments = ["--directory", searched.settings.directory, "--retrain"]
    settings, _ = read_arguments(STEM, arguments)
    assert searched.settings.seeds == (0, 1) and settings.seeds == (2, 3, 4)
    assert settings.backend == searched.settings.backend
    others = {"tensorflow", "jax", "torch"} - {settings.backend}
    there = {**settings.to_dict(), "backend": min(others)}
    (tmp_path / "settings.json").write_text(json.dumps(there))
    (tmp_path / "trials").mkdir()
    (tmp_path / "trials/oracle.json").write_text("{}")
    with pytest.raises(SearchError, match=f"is of {min(others)}"):
        read_arguments(STEM, ["--directory", str(tmp_path), "--retrain"])


@pytest.mark.nan
def test_a_retraining_in_nan_leaves_the_others(searched, monkeypatch, capsys):
    def run(hypermodel, *arguments, **options):
        if hypermodel.space != "defaults":
            raise keras_tuner.errors.FailedTrialError("NaN in epoch 1.")
        return run_executions(hypermodel, *arguments, **options)

    monkeypatch.setattr("tuning.retrain.run_executions", run)
    folder = searched.settings.directory
    arguments = ["--directory", folder, "--retrain", "1", "--seeds", "5"]
    main(STEM, [*arguments, "--verbose", "0"])
    table = capsys.readouterr().out
    assert "failed: NaN in epoch 1." in table
    assert table.count(" defaults  ") == 1


def test_the_defaults_alone_need_no_search(tmp_path, capsys):
    main(
        STEM,
        ["--directory", str(tmp_path), "--retrain", "0", "--verbose", "0"],
    )
    assert " defaults  " in capsys.readouterr().out
    assert (tmp_path / "retrain_0.keras").exists()


def test_the_backend_is_chosen_early(tmp_path, monkeypatch):
    def chosen(*arguments, variable=None):
        monkeypatch.delenv("KERAS_BACKEND", raising=False)
        if variable:
            monkeypatch.setenv("KERAS_BACKEND", variable)
        choose_backend(arguments, "neural_decoder")
        return os.environ.get("KERAS_BACKEND")

    there = ("--directory", str(tmp_path), "--resume")
    assert chosen("--epochs", "3") is None
    assert chosen("--backend", "jax") == "jax"
    assert chosen("--backend=jax", variable="tensorflow") == "jax"
    assert chosen(*there) is None
    (tmp_path / "settings.json").write_text('{"backend": "jax"}')
    assert chosen(*there) == "jax"
    assert chosen(*there, variable="tensorflow") == "tensorflow"
    assert chosen(*there[:2]) is None  # A new search, which is refused.
    usual = tmp_path / "results/tuning/neural_decoder"
    usual.mkdir(parents=True)
    (usual / "settings.json").write_text('{"backend": "torch"}')
    monkeypatch.chdir(tmp_path)
    assert chosen("--retrain", "--seeds", "1", "2") == "torch"
    assert chosen("--resume") == "torch" and chosen() is None
    assert chosen("--backend", "mxnet") is None


def test_as_a_user_runs_it(tmp_path):
    """In a process of its own, the backend named on the command line alone."""
    backend = keras.backend.backend()
    environment = {**os.environ, "PYTHONPATH": os.getcwd()}
    # Another one, which the command line overrules.
    environment["KERAS_BACKEND"] = "jax" if backend == "torch" else "torch"
    done = subprocess.run(
        [
            *(sys.executable, "-m", "tuning.burst_prop_network"),
            *("--backend", backend, "--directory", str(tmp_path)),
            *("--max-trials", "1", "--epochs", "2"),
        ],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert f"backend {backend}" in done.stdout
    assert "1/1 trials" in done.stdout
    assert "Trial 1 of 1, seed 0" in done.stdout
    assert (tmp_path / "parameters.png").exists()
