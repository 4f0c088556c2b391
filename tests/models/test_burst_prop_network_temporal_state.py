"""What `BurstPropNetwork(mode="temporal")` carries from batch to batch."""

import functools

import keras
import numpy as np
import pytest

from keras_seqattn.models import BurstPropNetwork
from keras_seqattn.tasks import TaughtChunks
from tests import layer_checks
from tests.backend import to_numpy
from tests.models.burst_prop_cases import SEQUENCES
from tests.models.burst_prop_cases import TARGETS
from tests.models.burst_prop_cases import TEACHER
from tests.models.burst_prop_cases import run_temporal
from tests.models.burst_prop_cases import set_temporal_weights
from tests.models.burst_prop_cases import temporal_difference
from tests.models.burst_prop_cases import temporal_network
from tests.models.burst_prop_cases import temporal_reference

# Short: three batches of one sequence, or one batch of three.
X, Y, WEIGHT = SEQUENCES[:, :8], TARGETS[:, :8], TEACHER[:, :8]
FIT = {"batch_size": 1, "shuffle": False, "verbose": 0}
TOGETHER = {"batch_size": 3, "shuffle": False, "verbose": 0}
CARRIED = {"variant": "burst_probability_change", "feedback_learning_rate": 0.1}


def states(model):
    found = [v for v in model.weights if v.name.startswith("state_")]
    assert found
    return found


@functools.cache
def stateful_model():
    return temporal_network(
        temporal_reference(**CARRIED),
        batch=3,
        stateful=True,
        seed=4,
        teacher_probability=0.4,
        **CARRIED,
    )


@pytest.fixture
def carried():
    model = stateful_model()
    set_temporal_weights(model, temporal_reference())
    model.reset_state()
    return model


def test_chunks_and_epochs_equal_one_run(carried):
    chunks = TaughtChunks(X, Y, chunk_steps=4, teacher_probability=0.4)
    carried.fit(chunks, epochs=3, shuffle=False, verbose=0)
    reference = temporal_reference(**CARRIED)
    for epoch in range(3):
        run_temporal(reference, X, Y, chunks.teacher(epoch) > 0)
    assert temporal_difference(carried, reference) < 1e-5
    # A call begins at rest and leaves the state alone.
    before = to_numpy(states(carried))
    free = carried.predict(X, verbose=0)
    two = carried.predict(X[:2], batch_size=1, verbose=0)
    layer_checks.assert_same(two, free[:2])
    layer_checks.assert_same(states(carried), before, 0)
    reference.feedback_rate = 0.0
    reference.reset(3)
    np.testing.assert_allclose(free, run_temporal(reference, X), atol=1e-5)


def test_reset_state(carried):
    x, y, weight = X[:, :4], Y[:, :4], np.ones((3, 4))
    reference = temporal_reference(**CARRIED)
    for _ in range(2):
        for _ in range(2):
            carried.train_on_batch(x, y, weight)
            run_temporal(reference, x, y, weight > 0)
        carried.reset_state()
        reference.reset(3)
    assert temporal_difference(carried, reference) < 1e-5

    class Begin(keras.callbacks.Callback):
        def on_epoch_begin(self, epoch, logs=None):
            self.model.reset_state()

    run_temporal(reference, x, y, weight > 0)
    reference.reset(3)
    run_temporal(reference, x, y, weight > 0)
    carried.fit(
        x, y, sample_weight=weight, epochs=2, callbacks=[Begin()], **TOGETHER
    )
    assert temporal_difference(carried, reference) < 1e-5


def test_averages_are_carried_too():
    """And a reset gives them their first values, which are not 0."""
    model = temporal_network(temporal_reference(), batch=3, stateful=True)
    reference = temporal_reference()
    for _ in range(2):
        for start in (0, 4):
            part = slice(start, start + 4)
            model.train_on_batch(X[:, part], Y[:, part], WEIGHT[:, part])
        run_temporal(reference, X, Y, WEIGHT > 0)
        assert temporal_difference(model, reference) < 1e-5
        model.reset_state()
        reference.reset(3)


def test_resumed_training_equals_uninterrupted_training(carried, tmp_path):
    """With its state, and with the stream that draws the teacher."""
    x, y = X[:, :4], Y[:, :4]
    carried.fit(x, y, epochs=3, **TOGETHER)
    carried.save(tmp_path / "half.keras")
    carried.fit(x, y, epochs=3, **TOGETHER)
    resumed = keras.saving.load_model(tmp_path / "half.keras")
    assert resumed.stateful
    half = to_numpy(resumed.trainable_variables)
    resumed.fit(x, y, epochs=3, **TOGETHER)
    layer_checks.assert_same(resumed.weights, carried.weights, 1e-7)
    for old, new in zip(half, resumed.trainable_variables, strict=True):
        assert np.abs(to_numpy(new) - old).max() > 0
    layer_checks.assert_same(
        resumed.optimizer.iterations, carried.optimizer.iterations, 0
    )


@pytest.mark.process
def test_file_loads_on_every_backend(carried, tmp_path):
    layer_checks.check_file_loads_on_every_backend(carried, X, tmp_path)


def test_states_need_a_batch_size():
    unknown = BurstPropNetwork([3, 2], mode="temporal", stateful=True)
    with pytest.raises(ValueError, match=r"needs a fixed batch size.*of None"):
        unknown.build((None, None, 4))
    carried = temporal_network(temporal_reference(), batch=3, stateful=True)
    # TensorFlow finds a wrong size when the step runs, in its own words.
    with pytest.raises(Exception, match=r"(?s)same number of seq.*, 3|\[\?,3,"):
        carried.fit(X, Y, batch_size=2, shuffle=False, verbose=0)
    plain = BurstPropNetwork([3, 2], mode="temporal")
    for model in (plain, BurstPropNetwork([3, 2])):
        with pytest.raises(ValueError, match="Only a network with `mode='tem"):
            model.reset_state()
    # Not yet built, there is nothing to reset; `fit` builds it.
    model = BurstPropNetwork([3, 2], mode="temporal", stateful=True)
    model.reset_state()
    model.compile("sgd", "mse")
    model.fit(X[:, :4], Y[:, :4], **TOGETHER)
    assert {v.shape[0] for v in states(model)} == {3}
