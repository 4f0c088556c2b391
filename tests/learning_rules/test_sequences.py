import json
import types

import keras
import numpy as np
import pytest

import keras_seqattn as ks
from keras_seqattn import learning_rules
from keras_seqattn.learning_rules.sequences import compare as sequences
from tests.backend import to_numpy
from tests.models.burst_prop_cases import SEQUENCES
from tests.models.burst_prop_cases import TARGETS
from tests.models.burst_prop_cases import TAUGHT
from tests.models.burst_prop_cases import TAUGHT_TARGETS
from tests.models.burst_prop_cases import TEACHER
from tests.models.burst_prop_cases import set_temporal_weights
from tests.models.burst_prop_cases import temporal_reference


def learn(network, aligned):
    """Sixty steps of the error itself, in float64."""
    for t in range(TAUGHT.shape[1]):
        for m in (2, 1, 0):
            network.e[m] = network._rate(m, SEQUENCES[:, t])
        e = network.e[2]
        where = TAUGHT[:, t, None]
        top = signal = where * (TARGETS[:, t] - e) * e * (1 - e)
        deltas = [top]
        for m in (1, 0):
            e = network.e[m]
            if aligned:
                signal = (top @ network.Y[m].T) * e * (1 - e)
            else:
                signal = (signal @ network.W[m + 1].T) * e * (1 - e)
            deltas.insert(0, signal)
        for m, delta in enumerate(deltas):
            network._learn(m, delta, TAUGHT[:, t])
    return network


@pytest.mark.parametrize("aligned", [False, True])
def test_rules_equal_float64(aligned):
    start = temporal_reference()
    kind = sequences.SequenceBackpropagation
    if aligned:
        kind = sequences.SequenceFeedbackAlignment
    model = kind(
        start.units,
        mode="temporal",
        learning_rate_multipliers=[r / start.rates[0] for r in start.rates],
    )
    model.build((None, None, 4))
    set_temporal_weights(model, start)
    model.compile(keras.optimizers.SGD(start.rates[0]), "mse")
    model.train_on_batch(SEQUENCES, TAUGHT_TARGETS, TEACHER)
    learn(start, aligned)
    for layer, kernel, bias in zip(
        model.burst_layers, start.W, start.b, strict=True
    ):
        np.testing.assert_allclose(to_numpy(layer.kernel), kernel, atol=1e-5)
        np.testing.assert_allclose(to_numpy(layer.bias), bias, atol=1e-5)


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
        methods=["output only", "burstprop"],
        search=learning_rules.RateSearch(
            trials=2, output=(0.05, 0.5), ratio=(1.0, 8.0)
        ),
        seeds=[0, 3],
        epochs=2,
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
        trials=3, output=(0.1, 10), ratio=(1.0, 2.0)
    )
    good, fair, bad = search
    errors = {good: 0.1, fair: 0.3, bad: np.nan}

    def network(method, units, rates, *_):
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

    monkeypatch.setattr(sequences, "_network", network)
    found = compare()
    assert found.rates == good
    assert abs(found.free_run[0] - 0.01) < 1e-6
    errors.update(dict.fromkeys(errors, np.nan))
    with pytest.raises(ValueError, match="burstprop ended in NaN"):
        compare()


def test_bad_arguments():
    for arguments, message in (
        ({"methods": ["hebb"]}, "`methods` must be one of"),
        ({"seeds": []}, "`seeds` must hold"),
        ({"epochs": 0}, "`epochs` must be a positive integer"),
        ({"hidden_units": [0]}, "`hidden_units` must be a positive integer"),
    ):
        with pytest.raises(ValueError, match=message):
            learning_rules.compare_on_sequences(
                draw, **{"hidden_units": [3], "verbose": 0, **arguments}
            )
