import dataclasses
import json

import keras
import numpy as np
import pytest

from keras_seqattn._training.seeded_model import EndedInNaN
from keras_seqattn.learning_rules import RECIPE
from keras_seqattn.learning_rules import RateSearch
from keras_seqattn.learning_rules import Recipe
from keras_seqattn.learning_rules import RuleTrainer
from keras_seqattn.learning_rules import compare_learning_rules
from tests.learning_rules.images.cases import images
from tests.learning_rules.images.cases import recipe


class Watch(keras.callbacks.Callback):
    def on_epoch_end(self, epoch, logs=None):
        logs["watched"] = 10.0 + epoch


def test_comparison():
    methods = ["backpropagation", "burstprop"]
    report = compare_learning_rules(
        images(),
        [6],
        recipe(10),
        methods=methods,
        search=RateSearch(2, 1, 1, output=(0.04, 0.08), ratio=(1.0, 4.0)),
        seeds=[0, 1],
        callbacks=lambda name: [Watch()] if name == "burstprop" else [],
        verbose=0,
    )
    assert report.units == (6, 6, 3) and report.images == (32, 8, 8)
    assert list(report.results) == methods
    assert report.results["backpropagation"].error < 0.1
    assert report.results["burstprop"].error < 0.1
    for name, result in report.results.items():
        assert len(result.test_errors) == 2
        # The better half was trained twice; the best of it was taken.
        assert [len(trial.errors) for trial in result.trials] == [2, 1]
        first = [(t.errors[0], t.mses[0]) for t in result.trials]
        assert first == sorted(first)
        assert result.best is result.trials[0]
        np.testing.assert_allclose(
            [1 - h["val_accuracy"][-1] for h in result.best.histories],
            result.best.errors,
            atol=1e-6,
        )
        # No test image is looked at before the end.
        wanted = {"accuracy", "loss", "mse"}
        if name == "burstprop":
            wanted.add("watched")
        assert set(result.histories[0]) == wanted
        # The model is the last seed's.
        test = images()
        outputs = result.model.predict(test.x_test, verbose=0)
        error = np.mean(outputs.argmax(axis=-1) != test.y_test)
        assert error == pytest.approx(result.test_errors[1])
    assert report.results["burstprop"].histories[1]["watched"][9] == 19

    table = report.table().splitlines()
    assert table[0].startswith("| three, 6-6-3 | test error, % | median |")
    assert [row.split(" | ")[0] for row in table[2:]] == [
        "| chance",
        "| logistic",
        *(f"| {name}" for name in methods),
    ]
    numbers = json.loads(json.dumps(report.to_dict(), allow_nan=False))
    assert numbers["results"]["burstprop"]["test_errors"] == list(
        report.results["burstprop"].test_errors
    )
    assert numbers["search"]["ratio"] == [1.0, 4.0]


def test_a_training_that_ends_in_nan_loses_the_search(monkeypatch, capsys):
    fit = RuleTrainer.fit

    def fail_once(self, rates, *arguments, **named):
        if rates.output > 0.04:
            raise EndedInNaN("ended in NaN")
        return fit(self, rates, *arguments, **named)

    monkeypatch.setattr(RuleTrainer, "fit", fail_once)
    report = compare_learning_rules(
        images(),
        [4],
        recipe(1),
        methods=["backpropagation"],
        search=RateSearch(3, 3, 0, output=(0.01, 0.09), ratio=(1.0, 2.0)),
        seeds=[0],
    )
    result = report.results["backpropagation"]
    assert result.best.rates.output < 0.04
    lost = [t.to_dict() for t in result.trials if t.rates.output > 0.04]
    assert [trial["mses"] for trial in lost] == [[None]]
    assert lost[0]["errors"] == [1]
    shown = capsys.readouterr().out
    assert "backpropagation, learning rates" in shown
    assert "backpropagation, seed 0" in shown


def test_comparison_checks():
    for settings, message in (
        ({"methods": ["magic"]}, "`methods` must be one of"),
        ({"seeds": []}, "`seeds` must hold at least one"),
        (
            {"recipe": dataclasses.replace(RECIPE, learning_rate=1e-3)},
            "only epochs, batch_size, momentum may differ .*`learning_rate` "
            "must be 0.003. Received: learning_rate=0.001",
        ),
        ({"recipe": Recipe()}, "`optimizer` must be 'sgd'"),
        ({"hidden_units": [0]}, "`hidden_units` must be a positive integer"),
    ):
        with pytest.raises(ValueError, match=message):
            compare_learning_rules(images(), **settings)
