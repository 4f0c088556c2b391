import dataclasses

import keras
import keras_tuner
import numpy as np
import pytest

from keras_seqattn._training.recipe import Recipe
from tests.tuning.small_stem import SmallHyperModel
from tuning.hypermodel import Configuration

PLAIN = Recipe(epochs=4, batch_size=8, learning_rate=0.02)


class OnePoint(SmallHyperModel):
    """The small stem with one given training."""

    def __init__(self, training, measure=None):
        super().__init__()
        self.training = training
        if measure is not None:
            self.measure = measure

    def point(self, hp):
        return Configuration({}, self.training)

    def run(self, callbacks=()):
        keras.utils.set_random_seed(0)
        hp = keras_tuner.HyperParameters()
        model = self.build(hp)
        return model, self.fit(hp, model, callbacks=callbacks)


class Weights(keras.callbacks.Callback):
    def on_train_begin(self, logs=None):
        self.steps = []

    def on_train_batch_end(self, batch, logs=None):
        self.steps.append(self.model.get_weights())


def test_the_averages_of_the_weights_are_scored_and_kept():
    seen = Weights()
    model, found = OnePoint(dataclasses.replace(PLAIN, average=0.8)).run([seen])
    average = None
    for step, weights in enumerate(seen.steps):
        momentum = min(0.8, (1 + step) / (10 + step))
        average = [
            momentum * old + (1 - momentum) * new
            for old, new in zip(average or weights, weights, strict=True)
        ]
    assert found["best_epoch"] == found["epochs"] == 4
    for mean, kept, last in zip(
        average, model.get_weights(), seen.steps[-1], strict=True
    ):
        np.testing.assert_allclose(kept, mean, rtol=1e-4, atol=1e-5)
        assert np.abs(kept - last).max() > 1e-4
    point = OnePoint(PLAIN)
    x = point.validation(point.configuration(keras_tuner.HyperParameters()))
    outputs = model.predict(x, verbose=0)
    assert point.measure(outputs)["val_mse"] == pytest.approx(
        found["val_mse"], rel=1e-4
    )


def scripted(values):
    """A measure that says what it is told, epoch after epoch."""
    left = list(values)
    return lambda outputs: {"val_mse": left.pop(0)}


def test_the_best_epoch_is_kept_and_patience_ends_a_training():
    seen = Weights()
    training = dataclasses.replace(PLAIN, epochs=9, patience=2)
    values = [5.0, 3.0, 4.0, 2.0, 2.0, 6.0, 1.0]
    model, found = OnePoint(training, scripted(values)).run([seen])
    assert found["val_mse"] == 2.0
    assert (found["best_epoch"], found["epochs"]) == (4, 6)
    for kept, then in zip(
        model.get_weights(), seen.steps[4 * 2 - 1], strict=True
    ):
        np.testing.assert_array_equal(kept, then)


def test_a_training_no_better_than_a_guess_is_stopped():
    training = dataclasses.replace(PLAIN, epochs=16)
    hypermodel = OnePoint(training, scripted([5.0] * 9))
    hypermodel.level = lambda: 5.0
    _, found = hypermodel.run()
    assert (found["hopeless"], found["epochs"]) == (1, 4)
    hypermodel = OnePoint(training, scripted([5.0, 4.9] + [6.0] * 14))
    hypermodel.level = lambda: 5.0
    _, found = hypermodel.run()
    assert (found["hopeless"], found["epochs"]) == (0, 16)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_a_score_that_is_no_number_fails(bad):
    hypermodel = OnePoint(PLAIN, scripted([1.0, bad]))
    with pytest.raises(
        keras_tuner.errors.FailedTrialError, match="NaN in epoch 2"
    ):
        hypermodel.run()


def test_folds_and_spaces_out_of_range():
    with pytest.raises(ValueError, match="`fold` must be one of"):
        SmallHyperModel(fold=2)
    with pytest.raises(ValueError, match="`space` must be one of"):
        SmallHyperModel("wide")
