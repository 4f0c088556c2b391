import dataclasses

import keras
import keras_tuner
import numpy as np
import pytest

from tests.tuning.small_stem import SmallHyperModel
from tuning.hypermodel import Configuration
from tuning.training import Training

PLAIN = Training(epochs=4, batch_size=8, learning_rate=0.02)


def rates(training, steps, at):
    schedule = training.make_optimizer(steps)._learning_rate
    return [float(schedule(step)) for step in at]


def test_schedules():
    at = (0, 10, 20, 30, 40)
    half = 0.02 * (1 + np.cos(np.pi / 4)) / 2
    np.testing.assert_allclose(
        rates(PLAIN, 10, at), [0.02, half, 0.01, 0.02 - half, 0], atol=1e-8
    )
    ending = dataclasses.replace(PLAIN, floor=0.05)
    np.testing.assert_allclose(rates(ending, 10, (40,)), [0.001], rtol=1e-5)
    constant = dataclasses.replace(PLAIN, schedule="constant")
    np.testing.assert_allclose(rates(constant, 10, at), 0.02, rtol=1e-6)
    stairs = dataclasses.replace(PLAIN, schedule="staircase", stair_epochs=2)
    np.testing.assert_allclose(
        rates(stairs, 10, (0, 19, 20, 39, 40)),
        [0.02, 0.02, 0.015, 0.015, 0.01125],
        rtol=1e-6,
    )
    warm = dataclasses.replace(PLAIN, warmup=0.25)
    np.testing.assert_allclose(
        rates(warm, 10, (0, 5, 10, 25, 40)),
        [0, 0.01, 0.02, 0.01, 0],
        atol=1e-8,
    )


def test_optimizers():
    sgd = dataclasses.replace(
        PLAIN, optimizer="sgd", momentum=0.7, weight_decay=0.03, clipnorm=None
    ).make_optimizer(10)
    assert isinstance(sgd, keras.optimizers.SGD) and sgd.momentum == 0.7
    assert (sgd.weight_decay, sgd.clipnorm) == (0.03, None)
    adam = PLAIN.make_optimizer(10)
    assert isinstance(adam, keras.optimizers.Adam)
    assert (adam.clipnorm, adam.weight_decay) == (1.0, None)
    for name in ("Nadam", "RMSprop"):
        other = dataclasses.replace(PLAIN, optimizer=name.lower())
        expected = getattr(keras.optimizers, name)
        assert isinstance(other.make_optimizer(10), expected)
    for momentum, expected in ((0.8, 0.8), ("epoch", 0.9)):
        averaged = dataclasses.replace(PLAIN, ema_momentum=momentum)
        assert averaged.make_optimizer(10).ema_momentum == expected
    assert not PLAIN.make_optimizer(10).use_ema
    with pytest.raises(ValueError, match="`schedule` must be one of"):
        dataclasses.replace(PLAIN, schedule="step").make_optimizer(10)


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
    model, found = OnePoint(dataclasses.replace(PLAIN, ema_momentum=0.8)).run(
        [seen]
    )
    average = None
    for weights in seen.steps:
        average = [
            new if average is None else 0.8 * old + 0.2 * new
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
