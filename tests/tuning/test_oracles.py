"""A kill between any two writes, without the trainings: all of them."""

import json

import keras_tuner
import pytest

from tuning import directory
from tuning import oracles
from tuning.directory import SearchError
from tuning.oracles import make_oracle

OBJECTIVE = keras_tuner.Objective("score", "max")


class Killed(BaseException):
    """In the place of SIGKILL: nothing may catch it."""


def new_oracle(tuner, folder, trials=6, epochs=4):
    oracle = make_oracle(tuner, OBJECTIVE, trials, epochs, seed=0)
    oracle._set_project_dir(folder, "trials")
    hp = keras_tuner.HyperParameters()
    hp.Float("x", 0.0, 1.0)
    hp.Choice("kind", ["a", "b", "c"])
    with hp.conditional_scope("kind", ["b"]):
        hp.Int("n", 1, 3)
    oracle.update_space(hp)
    if (folder / "trials" / "oracle.json").exists():
        oracle.reload()
    else:
        oracle.save()
    return oracle


def score(values):
    return {"a": 0.1, "b": 0.2, "c": 0.3}[values["kind"]] - values["x"] ** 2


def run(oracle, ran=None):
    """Run trials as a tuner does."""
    while True:
        trial = oracle.create_trial("tuner0")
        if trial.status == "STOPPED":
            return
        if ran is not None:
            ran.append(trial.trial_id)
        values = trial.hyperparameters.values
        trial.status = "COMPLETED"
        if trial.trial_id == "2":
            trial.status, trial.message = "INVALID", "It fails."
        else:
            oracle.update_trial(trial.trial_id, {"score": score(values)})
        oracle.end_trial(trial)


def records(folder):
    return {
        path.parent.name: path.read_bytes()
        for path in sorted(folder.glob("trials/trial_*/trial.json"))
    }


def finished(folder):
    found = {}
    for name, data in records(folder).items():
        trial = json.loads(data)
        if trial["status"] == "FAILED" or trial["score"] is not None:
            found[name] = data
    return found


def die_at(monkeypatch, number):
    """Let the process die in the place of write `number`, counted from 1.

    Returns a function that tells how many writes there were.
    """
    count = 0

    def write(path, data):
        nonlocal count
        count += 1
        if count == number:
            raise Killed
        directory.write_atomically(path, data)

    monkeypatch.setattr(oracles, "write_atomically", write)
    return lambda: count


@pytest.mark.parametrize("tuner", ["random", "grid", "hyperband", "bayesian"])
def test_a_kill_at_any_write_changes_no_trial(tuner, tmp_path, monkeypatch):
    writes = die_at(monkeypatch, 0)
    run(new_oracle(tuner, tmp_path / "whole"))
    total = writes()
    reference = records(tmp_path / "whole")
    assert len(reference) == 6
    moments = range(1, total + 1)
    if tuner == "bayesian":
        # A Gaussian process takes its time. It begins with trial 4.
        moments = [total - 12, total - 3]
    for number in moments:
        folder = tmp_path / str(number)
        die_at(monkeypatch, number)
        with pytest.raises(Killed):
            run(new_oracle(tuner, folder))
        before = finished(folder)
        die_at(monkeypatch, 0)
        again = []
        run(new_oracle(tuner, folder), again)
        now = records(folder)
        assert now == reference, number
        assert before == {name: now[name] for name in before}
        # What was finished is not run again.
        assert not {f"trial_{name}" for name in again} & set(before)


def test_kills_again_and_again(tmp_path, monkeypatch):
    monkeypatch.setattr(oracles, "MOST_STARTS", 100)
    die_at(monkeypatch, 0)
    run(new_oracle("random", tmp_path / "whole"))
    folder, done = tmp_path / "killed", []
    for _ in range(60):
        die_at(monkeypatch, 7)
        try:
            run(new_oracle("random", folder))
        except Killed:
            done.append(len(finished(folder)))
        else:
            break
    assert records(folder) == records(tmp_path / "whole")
    assert done == sorted(done) and len(done) > 3


def test_a_trial_that_kills_its_process_is_given_up(tmp_path):
    for number in range(oracles.MOST_STARTS):
        oracle = new_oracle("random", tmp_path)
        assert oracle.create_trial("tuner0").trial_id == "0", number
    oracle = new_oracle("random", tmp_path)
    given_up = oracle.trials["0"]
    assert given_up.status == "FAILED"
    assert "died in each of 5 runs" in given_up.message
    assert oracle.create_trial("tuner0").trial_id == "1"
    # And so it stays.
    oracle = new_oracle("random", tmp_path)
    assert oracle.trials["0"].status == "FAILED"
    assert oracle.end_order == ["0"]
    assert oracle.create_trial("tuner0").trial_id == "1"


def test_more_trials_after_the_end(tmp_path):
    run(new_oracle("random", tmp_path / "short", trials=4))
    oracle = new_oracle("random", tmp_path / "short", trials=6)
    run(oracle)
    whole = new_oracle("random", tmp_path / "whole", trials=6)
    run(whole)
    assert [t.hyperparameters.values for t in oracle.trials.values()] == [
        t.hyperparameters.values for t in whole.trials.values()
    ]


def test_the_seed_says_what_is_tried(tmp_path):
    def values(seed, name):
        oracle = make_oracle("random", OBJECTIVE, 5, 4, seed)
        oracle._set_project_dir(tmp_path / name, "trials")
        hp = keras_tuner.HyperParameters()
        hp.Float("x", 0.0, 1.0)
        oracle.update_space(hp)
        trials = [oracle.create_trial(f"tuner{n}") for n in range(5)]
        return [trial.hyperparameters.values["x"] for trial in trials]

    assert values(0, "a") == values(0, "b")
    assert values(0, "c") != values(1, "d")


def test_failures_end_no_search(tmp_path):
    oracle = new_oracle("random", tmp_path, trials=8)
    for _ in range(8):
        trial = oracle.create_trial("tuner0")
        trial.status, trial.message = "INVALID", "It fails."
        oracle.end_trial(trial)
    assert oracle.create_trial("tuner0").status == "STOPPED"
    assert {t.status for t in oracle.trials.values()} == {"FAILED"}


def test_bayesian_search_leaves_trials_for_its_model():
    oracle = make_oracle("bayesian", OBJECTIVE, 30, 4, 0)
    assert oracle.num_initial_points == 10


@pytest.mark.parametrize("tuner", ["random", "grid", "hyperband"])
def test_four_trials_run_at_once(tuner, tmp_path):
    oracle = new_oracle(tuner, tmp_path)
    found = [oracle.create_trial(f"ray{i}") for i in range(4)]
    assert [trial.status for trial in found] == ["RUNNING"] * 4
    values = [tuple(t.hyperparameters.values.items()) for t in found]
    assert len(set(values)) == 4


def test_stops_in_order_are_no_deaths(tmp_path):
    for _ in range(oracles.MOST_STARTS + 1):
        oracle = new_oracle("random", tmp_path)
        assert oracle.create_trial("tuner0").trial_id == "0"
        oracle.forget_starts()
    assert oracle.trials["0"].status == "RUNNING"
    for _ in range(oracles.MOST_STARTS + 1):
        oracle = new_oracle("random", tmp_path)
        oracle.counts_starts = False
        assert oracle.create_trial("tuner0").trial_id == "0"


@pytest.mark.parametrize(
    "change",
    [
        lambda found: {**found, "status": "DONE"},
        lambda found: {"status": "COMPLETED"},
        lambda found: {**found, "metrics": 3},
        lambda found: {**found, "score": "0.5"},
        lambda found: {**found, "trial_id": "2"},
        lambda found: [found],
    ],
)
def test_a_trial_that_cannot_be_read_is_listed(tmp_path, change):
    run(new_oracle("random", tmp_path))
    path = tmp_path / "trials" / "trial_1" / "trial.json"
    text = json.dumps(change(json.loads(path.read_text())))
    path.write_text(text)
    oracle = new_oracle("random", tmp_path)
    trial = oracle.trials["1"]
    assert trial.status == "FAILED" and "cannot be read" in trial.message
    assert len(oracle.trials) == 6 and path.read_text() == text


@pytest.mark.parametrize(
    "changes",
    [
        {"ongoing_trials": None},
        {"run_times": {"0": "1"}},
        {"seed": "a"},
        {"start_order": [{}]},
        {"start_order": ["a"]},
        {"end_order": 0.5},
        {"end_order": ["99"]},
        {"retry_queue": [7]},
        {"tried_so_far": 7},
        {"hyperparameters": {"space": [7], "values": {}}},
    ],
)
def test_a_state_of_another_shape_is_told(tmp_path, changes):
    run(new_oracle("random", tmp_path))
    path = tmp_path / "trials" / "oracle.json"
    state = {**json.loads(path.read_text()), **changes}
    path.write_text(json.dumps(state))
    with pytest.raises(SearchError, match=r"oracle\.json' is damaged"):
        new_oracle("random", tmp_path)
