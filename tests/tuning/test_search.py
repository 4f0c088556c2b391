import contextlib
import csv
import errno
import json
import pathlib
import signal
import subprocess
import sys

import keras
import keras_tuner
import numpy as np
import pytest

from keras_seqattn._training.recipe import Recipe
from tests.tuning import small_stem
from tuning import directory
from tuning import interrupt
from tuning import search as search_module
from tuning.directory import SearchError
from tuning.executions import run_executions
from tuning.figure import draw_parameters
from tuning.results import Results
from tuning.results import ranked
from tuning.search import search
from tuning.settings import Settings
from tuning.tuner import run_values


def make_settings(folder, **changes):
    return Settings(
        **{
            "stem": "tests.tuning.small_stem",
            "directory": str(folder),
            "backend": keras.backend.backend(),
            "max_trials": 3,
            "seeds": (0, 1),
            **changes,
        }
    )


def read_table(folder):
    with open(pathlib.Path(folder) / "results.csv", newline="") as file:
        return list(csv.DictReader(file))


def scores(folder):
    return {
        path.parent.name: path.read_bytes()
        for path in pathlib.Path(folder).glob("trials/*/trial.json")
    }


@pytest.fixture(scope="module")
def done(tmp_path_factory):
    """A search that has ended."""
    folder = tmp_path_factory.mktemp("search") / "small"
    return search(make_settings(folder), verbose=0)


@pytest.fixture
def folder(done):
    return pathlib.Path(done.settings.directory)


def test_the_table_says_what_the_trials_were(done, folder):
    rows = read_table(folder)
    best = ranked(done.oracle)
    assert [row["rank"] for row in rows] == ["1", "2", "3"]
    for row, trial in zip(rows, best, strict=True):
        assert int(row["trial"]) == int(trial.trial_id)
        assert float(row["val_mse"]) == trial.score
        for name, value in trial.hyperparameters.values.items():
            assert row[name] == str(value)
        outcome = json.loads(
            (folder / f"trials/trial_{trial.trial_id}/outcome.json").read_text()
        )
        each = [x["metrics"]["val_mse"] for x in outcome["executions"]]
        assert [x["seed"] for x in outcome["executions"]] == [0, 1]
        assert np.mean(each) == trial.score
        assert float(row["deviation"]) == pytest.approx(np.std(each, ddof=1))
        # The best epoch's.
        for execution in outcome["executions"]:
            curve = execution["history"]["val_mse"]
            assert execution["metrics"]["val_mse"] == min(curve)
            assert execution["metrics"]["best_epoch"] == 1 + np.argmin(curve)
    assert [float(row["val_mse"]) for row in rows] == sorted(
        float(row["val_mse"]) for row in rows
    )
    text = (folder / "results.md").read_text()
    assert "`val_mse`: less is better" in text
    assert "--retrain 1 --seeds 2 3 4" in text
    assert text.count("\n| ") == 4


def test_the_best_model_is_kept(done, folder):
    best = ranked(done.oracle)[0]
    saved = (folder / "best_model.keras").read_bytes()
    path = folder / f"trials/trial_{best.trial_id}/model.keras"
    assert saved == path.read_bytes()
    model = keras.saving.load_model(folder / "best_model.keras")
    assert not model.compiled
    outcome = json.loads((path.parent / "outcome.json").read_text())
    found = np.mean((model.predict(small_stem.X[20:]) - small_stem.Y[20:]) ** 2)
    assert found == pytest.approx(
        min(x["metrics"]["val_mse"] for x in outcome["executions"]), rel=1e-5
    )
    assert outcome["parameters"] == model.count_params()


def test_the_best_recipe_is_kept(done, folder):
    best = folder / f"trials/trial_{ranked(done.oracle)[0].trial_id}"
    # As a kill right after the end of a trial leaves them.
    (best / "recipe.json").unlink()
    (folder / "recipe.json").unlink()
    Results(done.settings, done.oracle, done.hypermodel, verbose=0).finish()
    for trial in ranked(done.oracle):
        values = trial.hyperparameters.values
        recipe = Recipe(
            epochs=2,
            batch_size=8,
            learning_rate=values["rate"],
            optimizer=values["optimizer"],
        )
        model = {"model": {"units": values["units"]}, "others": {}}
        place = folder / f"trials/trial_{trial.trial_id}"
        for path in (place, folder) if place == best else (place,):
            assert Recipe.load(path / "recipe.json") == recipe
            assert json.loads((path / "model.json").read_text()) == model


@pytest.mark.parametrize(
    "text",
    ["{", "[]", '{"parameters": 1}', '{"parameters": 1, "executions": true}'],
)
def test_an_outcome_that_cannot_be_read_is_a_remark(done, folder, text):
    best = ranked(done.oracle)[0]
    path = folder / f"trials/trial_{best.trial_id}/outcome.json"
    whole = path.read_text()
    path.write_text(text)
    results = Results(done.settings, done.oracle, done.hypermodel, verbose=0)
    results.finish()
    row = read_table(folder)[0]
    assert row["remark"] == "outcome.json cannot be read"
    assert float(row["val_mse"]) == best.score and row["parameters"] == ""
    path.write_text(whole)
    results.finish()
    assert read_table(folder)[0]["remark"] == ""


def test_a_trial_depends_on_its_settings_and_seeds_alone(done):
    trial = ranked(done.oracle)[1]
    values = trial.hyperparameters.values
    assert run_values(done.settings, values).metrics["val_mse"] == trial.score
    again = run_executions(done.hypermodel, values, (1, 0), verbose=0)
    assert again.metrics["val_mse"] == trial.score
    others = run_executions(done.hypermodel, values, (7,), verbose=0)
    assert others.metrics["val_mse"] != trial.score


def test_tensorboard_reads_the_trials(done, folder):
    from tensorboard.backend.event_processing.event_file_loader import (
        EventFileLoader,
    )
    from tensorboard.plugins.hparams import metadata

    for trial in ranked(done.oracle):
        path = folder / f"tensorboard/trial_{trial.trial_id}"
        (file,) = path.iterdir()
        events = list(EventFileLoader(str(file)).Load())
        found = [value for event in events for value in event.summary.value]
        content = found[0].metadata.plugin_data.content
        start = metadata.parse_session_start_info_plugin_data(content)
        values = trial.hyperparameters.values
        assert start.hparams["units"].number_value == values["units"]
        assert start.hparams["optimizer"].string_value == values["optimizer"]
        last = {value.tag: value for value in found}
        assert last["val_mse"].tensor.float_val[0] == pytest.approx(trial.score)
        assert sum(value.tag == "epoch/val_mse" for value in found) == 2


def test_the_figure_has_a_panel_a_parameter(done, folder):
    assert (folder / "parameters.png").read_bytes()[:4] == b"\x89PNG"
    trials = [(t.hyperparameters.values, t.score) for t in ranked(done.oracle)]
    panels = draw_parameters(trials, "val_mse", {"rate"}).axes
    assert [ax.get_xlabel() for ax in panels] == ["optimizer", "rate", "units"]
    assert panels[1].get_xscale() == "log"
    points, best = (c.get_offsets() for c in panels[1].collections)
    np.testing.assert_allclose(points, [(v["rate"], s) for v, s in trials])
    np.testing.assert_allclose(best, points[:1])


def test_more_trials_by_resuming(done, tmp_path):
    settings = make_settings(tmp_path / "search", max_trials=2)
    search(settings, verbose=0)
    before = scores(tmp_path / "search")
    tuner = search(make_settings(tmp_path / "search"), resume=True, verbose=0)
    now = scores(tmp_path / "search")
    assert before == {name: now[name] for name in before}
    assert [t.score for t in ranked(tuner.oracle)] == [
        t.score for t in ranked(done.oracle)
    ]


@pytest.mark.nan
def test_faults_are_recorded_and_the_search_goes_on(tmp_path):
    tuner = search(
        make_settings(
            tmp_path, space="faults", tuner="grid", max_trials=9, seeds=(0,)
        ),
        verbose=0,
    )
    rows = {row["fault"]: row for row in read_table(tmp_path)}
    assert len(rows) == len(tuner.oracle.trials) == 5
    assert rows["none"]["remark"] == "stopped: no better than a guess"
    assert rows["hopeless"]["remark"] == "stopped: no better than a guess"
    assert rows["hopeless"]["epochs"] == "3.0"
    assert rows["raise"]["remark"] == (
        "failed: RuntimeError: This trial raises."
    )
    assert rows["memory"]["remark"] == "failed: MemoryError: No memory."
    assert "ended in NaN in epoch" in rows["nan"]["remark"]
    for fault in ("raise", "memory", "nan"):
        assert rows[fault]["rank"] == rows[fault]["val_mse"] == ""
        trial = tuner.oracle.trials[rows[fault]["trial"]]
        assert trial.status == "FAILED" and trial.score is None
        text = (
            tmp_path / f"trials/trial_{trial.trial_id}/error.txt"
        ).read_text()
        assert text.startswith("Traceback")


def test_a_search_whose_trials_all_fail_ends(tmp_path):
    tuner = search(
        make_settings(tmp_path, space="only_faults", max_trials=5), verbose=0
    )
    assert len(tuner.oracle.trials) == 5
    assert ranked(tuner.oracle) == []
    assert len(read_table(tmp_path)) == 5
    assert not (tmp_path / "best_model.keras").exists()


def test_a_full_disk_ends_the_search_and_resuming_goes_on(
    done, tmp_path, monkeypatch
):
    replace = directory.os.replace

    def full(part, path):
        if pathlib.Path(path).match("trial_2/model.keras"):
            raise OSError(errno.ENOSPC, "No space left on device")
        replace(part, path)

    settings = make_settings(tmp_path)
    with monkeypatch.context() as patch:
        patch.setattr(directory.os, "replace", full)
        with pytest.raises(
            SearchError, match=r"trial_2/model.keras'.*No space"
        ):
            search(settings, verbose=0)
    before = scores(tmp_path)
    tuner = search(settings, resume=True, verbose=0)
    now = scores(tmp_path)
    for name in ("trial_0", "trial_1"):
        assert before[name] == now[name]
    assert [t.score for t in ranked(tuner.oracle)] == [
        t.score for t in ranked(done.oracle)
    ]


def test_missing_packages_are_named_at_once(tmp_path, monkeypatch):
    monkeypatch.setattr(
        search_module, "find_spec", lambda name: name != "sklearn" or None
    )
    with pytest.raises(SearchError, match=r"needs sklearn: .*\[tuning\]"):
        search(make_settings(tmp_path, tuner="bayesian"), verbose=0)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("tuner", ["bayesian", "hyperband"])
def test_other_tuners(tuner, tmp_path):
    # The last trial is the first one that learns from the others.
    trials = 6 if tuner == "hyperband" else 4
    found = search(
        make_settings(
            tmp_path, tuner=tuner, max_trials=trials, seeds=(0,), epochs=4
        ),
        verbose=0,
    )
    assert len(ranked(found.oracle)) == trials
    if tuner == "hyperband":
        epochs = [row["epochs"] for row in read_table(tmp_path)]
        assert sorted(epochs) == ["2.0"] * 5 + ["4.0"]
        # A promoted trial is a training of its own.
        trial = max(found.oracle.trials.values(), key=lambda t: t.trial_id)
        values = trial.hyperparameters.values
        again = run_values(found.settings, values)
        assert again.metrics["val_mse"] == trial.score


def test_any_keras_tuner_can_use_a_hypermodel(tmp_path):
    tuner = keras_tuner.RandomSearch(
        small_stem.HYPERMODEL(),
        small_stem.HYPERMODEL.objective,
        max_trials=1,
        directory=tmp_path,
    )
    tuner.search()
    assert tuner.oracle.get_best_trials()[0].score > 0


def test_kerastuners_own_workers_are_refused(tmp_path, monkeypatch):
    """A chief would serve, and wait for ever."""
    monkeypatch.setenv("KERASTUNER_ORACLE_IP", "127.0.0.1")
    monkeypatch.setenv("KERASTUNER_ORACLE_PORT", "8000")
    for name in ("chief", "worker-1"):
        monkeypatch.setenv("KERASTUNER_TUNER_ID", name)
        with pytest.raises(SearchError, match=r"ORACLE_IP is set.*ray"):
            search(make_settings(tmp_path), verbose=0)
    assert not (tmp_path / "trials").exists()


@pytest.mark.timeout(900)
def test_ten_kills_change_no_trial(tmp_path):
    """SIGKILL at random moments, of real processes with real trainings."""
    done = subprocess.run(
        [
            *(sys.executable, "-m", "tests.tuning.kill_and_resume"),
            *(str(tmp_path), "random"),
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    found = json.loads(done.stdout.splitlines()[-1])
    assert len(found["moments"]) >= 10
    assert found["finished"] == sorted(found["finished"])
    assert found["finished"][-1] > 0, found
    assert found["trials"] == 6
    assert set(found["same"].values()) == {True}, found


@pytest.fixture
def ctrl_c():
    """As in a process that a terminal began: one in the background ignores."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("ctrl_c")
@pytest.mark.parametrize("lost", [True, False])
def test_the_first_interrupt_ends_the_search(tmp_path, monkeypatch, lost):
    """Also one that comes out as a fault of the trial."""
    begun = []

    def trial(*arguments, **options):
        begun.append(arguments)
        try:
            signal.raise_signal(signal.SIGINT)
        except KeyboardInterrupt:
            if not lost:
                raise
        raise RuntimeError("a callback was interrupted")

    monkeypatch.setattr("tuning.tuner.run_executions", trial)
    before = signal.getsignal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt):
        search(make_settings(tmp_path / "search"), verbose=0)
    assert len(begun) == 1 and signal.getsignal(signal.SIGINT) is before
    interrupt.check()  # Forgotten: the next training goes its way.


@pytest.mark.usefixtures("ctrl_c")
def test_a_lost_interrupt_ends_a_training():
    with interrupt.remembered():
        with contextlib.suppress(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
        model = keras.Sequential([keras.layers.Dense(1)])
        model.compile("sgd", "mse")
        with pytest.raises(KeyboardInterrupt):
            model.fit(
                np.ones((8, 2)),
                np.ones((8, 1)),
                batch_size=2,
                verbose=0,
                callbacks=[interrupt.StopAtInterrupt()],
            )
    interrupt.check()
