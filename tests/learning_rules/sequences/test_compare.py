import dataclasses
import json
import types

import numpy as np
import pytest

import keras_seqattn as ks
from keras_seqattn import learning_rules
from keras_seqattn.learning_rules.search import FIRST_SEED
from keras_seqattn.learning_rules.sequences.methods import SequenceMethod
from tests.backend import to_numpy


def draw(seed):
    task = ks.tasks.Sinusoids(inputs=5, targets=2, steps=40, seed=seed)
    levels = {"mean": 0.1 + seed / 100 if seed < 10 else 9.0}
    return learning_rules.TaughtSequences(
        *task.sample(), *task.sample(), levels
    )


def test_comparison():
    called = []
    report = learning_rules.compare_on_sequences(
        draw,
        [3],
        dataclasses.replace(learning_rules.SEQUENCE_RECIPE, epochs=2),
        methods=["output only", "burstprop"],
        search=learning_rules.RateSearch(
            trials=2, repeats=0, output=(0.05, 0.5), ratio=(1.0, 8.0)
        ),
        seeds=[0, 3],
        chunk_steps=20,
        callbacks=lambda name, data: called.append((name, data)) or [],
        verbose=0,
    )
    assert [name for name, _ in called] == ["output only"] * 2 + [
        "burstprop"
    ] * 2
    np.testing.assert_array_equal(called[1][1].x_train, draw(3).x_train)
    assert report.units == (5, 3, 2)
    assert report.levels == {"mean": (0.1, 0.13)}
    kernels = {}
    for name, result in report.results.items():
        network = result.model
        error = np.mean((network.predict(draw(3).x_test) - draw(3).y_test) ** 2)
        assert abs(result.free_run[1] - error) < 1e-6
        assert result.while_learning[0] == result.histories[0]["mse"][-1]
        assert len(result.histories[0]["mse"]) == 2
        rate = float(to_numpy(network.optimizer.learning_rate))
        method = learning_rules.SEQUENCE_METHODS[name]
        assert abs(rate / result.rates.output - method.rate_unit) < 1e-6
        kernels[name] = to_numpy(network.burst_layers[0].kernel)
    # The same first weights, which output-only learning leaves as they are.
    random = np.random.default_rng(3)
    first = random.normal(0, (2 / 8) ** 0.5, (5, 3))
    np.testing.assert_allclose(kernels["output only"], first, atol=1e-6)
    moved = np.abs(kernels["burstprop"] - first)
    assert 1e-6 < moved.max() < 1
    table = report.table()
    assert table.startswith("| MSE, 5-3-2 | while learning | free run |")
    assert "| mean |  | 0.11500 ± 0.02121 |" in table
    assert json.loads(json.dumps(report.to_dict()))["units"] == [5, 3, 2]


def test_the_best_rate_is_taken(monkeypatch):
    """And a rate that ends in NaN is not."""
    search = learning_rules.RateSearch(
        trials=3, repeats=0, output=(0.1, 10), ratio=(1.0, 2.0)
    )
    good, fair, bad = search
    errors = {good: 0.1, fair: 0.3, bad: np.nan}

    def build(method, units, rates, *_):
        return types.SimpleNamespace(
            fit=lambda *_, **__: types.SimpleNamespace(history={"mse": [1.0]}),
            predict=lambda x, **_: draw(0).y_test + errors[rates],
        )

    def compare():
        return learning_rules.compare_on_sequences(
            lambda seed: draw(0),
            [3],
            methods=["burstprop"],
            search=search,
            seeds=[0],
            chunk_steps=20,
            verbose=0,
        ).results["burstprop"]

    monkeypatch.setattr(SequenceMethod, "build", build)
    found = compare()
    assert found.rates == good
    assert abs(found.free_run[0] - 0.01) < 1e-6
    errors.update(dict.fromkeys(errors, np.nan))
    with pytest.raises(ValueError, match="burstprop ended in NaN"):
        compare()


def test_finalists_learn_the_sequences_of_other_seeds(monkeypatch):
    drawn, trained = [], []

    def build(method, units, rates, seed, shape):
        trained.append((rates, seed))
        return types.SimpleNamespace(
            fit=lambda *_, **__: types.SimpleNamespace(history={"mse": [1.0]}),
            predict=lambda x, **_: errors[rates][seed - FIRST_SEED],
        )

    def draw_and_tell(seed):
        drawn.append(seed)
        return draw(seed)

    search = learning_rules.RateSearch(trials=2, finalists=2, repeats=1)
    lucky, steady = search
    # Each seed's error is of its own sequences.
    y = {n: draw(FIRST_SEED + n).y_test for n in range(2)}
    assert np.abs(y[0] - y[1]).max() > 0.1
    errors = {
        lucky: {0: y[0] + 0.1, 1: y[1] + 0.9},
        steady: {0: y[0] + 0.2, 1: y[1] + 0.2},
    }
    errors[steady][3 - FIRST_SEED] = draw(3).y_test + 0.5
    monkeypatch.setattr(SequenceMethod, "build", build)
    report = learning_rules.compare_on_sequences(
        draw_and_tell,
        [3],
        methods=["burstprop"],
        search=search,
        seeds=[3],
        chunk_steps=20,
        verbose=0,
    )
    result = report.results["burstprop"]
    assert result.rates == steady
    np.testing.assert_allclose(result.free_run, [0.25], rtol=1e-6)
    assert drawn == [FIRST_SEED, FIRST_SEED + 1, 3]
    assert [seed - FIRST_SEED for _, seed in trained[:-1]] == [0, 0, 1, 1]


def test_bad_arguments():
    for arguments, message in (
        ({"methods": ["hebb"]}, "`methods` must be one of"),
        ({"seeds": []}, "`seeds` must hold"),
        ({"recipe": learning_rules.RECIPE}, "`momentum` must be 0.0"),
        ({"hidden_units": [0]}, "`hidden_units` must be a positive integer"),
    ):
        with pytest.raises(ValueError, match=message):
            learning_rules.compare_on_sequences(
                draw, **{"hidden_units": [3], "verbose": 0, **arguments}
            )
