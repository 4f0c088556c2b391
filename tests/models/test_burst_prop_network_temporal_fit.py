"""How `BurstPropNetwork(mode="temporal")` behaves as a Keras model.

What it computes: test_burst_prop_network_temporal.py.
"""

import functools
import json

import keras
import numpy as np
import pytest

from keras_seqattn.models import BurstPropNetwork
from keras_seqattn.models._burst_prop import in_time as temporal_learning
from keras_seqattn.tasks import TaughtChunks
from tests import layer_checks
from tests.backend import BACKEND
from tests.backend import to_numpy
from tests.models.burst_prop_cases import SEQUENCES
from tests.models.burst_prop_cases import TARGETS
from tests.models.burst_prop_cases import TAUGHT
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
CARRIED = {"variant": "3cd91fb", "feedback_learning_rate": 0.1}


def one_by_one(reference, epochs=1, weight=WEIGHT):
    """The batches of `FIT`: the reference's rates, `(3, time, outputs)`."""
    for _ in range(epochs):
        outputs = []
        for n in range(3):
            reference.reset(1)
            part = slice(n, n + 1)
            outputs.append(
                run_temporal(reference, X[part], Y[part], weight[part] > 0)
            )
    return np.concatenate(outputs)


@functools.cache
def shared_model():
    """Compiled once: tests start it anew."""
    return temporal_network(temporal_reference())


@pytest.fixture
def fresh():
    model = shared_model()
    set_temporal_weights(model, temporal_reference())
    return model


@functools.cache
def one_epoch():
    reference = temporal_reference()
    one_by_one(reference)
    return reference


# Data of every kind.


def test_numpy(fresh):
    fresh.fit(X, Y, sample_weight=WEIGHT, **FIT)
    assert temporal_difference(fresh, one_epoch()) < 1e-5


def test_tf_data(fresh):
    import tensorflow as tf

    data = tf.data.Dataset.from_tensor_slices((X, Y, WEIGHT)).batch(1)
    fresh.fit(data, shuffle=False, verbose=0)
    assert temporal_difference(fresh, one_epoch()) < 1e-5


def test_data_loader(fresh):
    import torch

    data = torch.utils.data.TensorDataset(*map(torch.tensor, (X, Y, WEIGHT)))
    loader = torch.utils.data.DataLoader(data, batch_size=1)
    fresh.fit(loader, shuffle=False, verbose=0)
    assert temporal_difference(fresh, one_epoch()) < 1e-5


def test_generator(fresh):
    batches = (
        (X[n : n + 1], Y[n : n + 1], WEIGHT[n : n + 1]) for n in (0, 1, 2)
    )
    fresh.fit(batches, steps_per_epoch=3, shuffle=False, verbose=0)
    assert temporal_difference(fresh, one_epoch()) < 1e-5


def test_train_on_batch(fresh):
    for n in range(3):
        part = slice(n, n + 1)
        fresh.train_on_batch(X[part], Y[part], WEIGHT[part])
    assert temporal_difference(fresh, one_epoch()) < 1e-5


def test_only_the_sign_of_sample_weight_teaches(fresh):
    fresh.fit(X, Y, sample_weight=WEIGHT * 7 - 1, **FIT)
    assert temporal_difference(fresh, one_epoch()) < 1e-5


@pytest.mark.parametrize("weight", [WEIGHT[..., None], WEIGHT > 0])
def test_sample_weight_of_other_forms(weight):
    # A new model for each: Keras' losses take one shape in TensorFlow.
    model = temporal_network(temporal_reference())
    model.fit(X, Y, sample_weight=weight, **FIT)
    assert temporal_difference(model, one_epoch()) < 1e-5


# Who has a teacher when nobody says so.


def test_the_teacher_is_drawn():
    """With the stated probability, by the seed, and anew each time."""
    arguments = {"mode": "temporal", "teacher_probability": 0.3}
    targets = np.zeros((50, 200, 2), "float32")

    def draws(seed):
        model = BurstPropNetwork([3, 2], seed=seed, **arguments)
        found = [to_numpy(model._teacher(targets, None)) for _ in range(2)]
        return np.stack(found)

    first = draws(5)
    assert first.shape == (2, 50, 200, 1)
    # Four standard deviations, over all and of each step.
    assert abs(first.mean() - 0.3) < 4 * (0.21 / 20000) ** 0.5
    assert abs(first.mean((0, 1)) - 0.3).max() < 4.5 * (0.21 / 100) ** 0.5
    assert (first[0] != first[1]).mean() > 0.3
    np.testing.assert_array_equal(draws(5), first)
    assert (draws(6) != first).mean() > 0.3


def test_a_drawn_teacher_teaches():
    """Always, with a probability of nearly 1."""
    model = temporal_network(temporal_reference(), teacher_probability=1 - 1e-7)
    model.fit(X, Y, **FIT)
    reference = temporal_reference()
    one_by_one(reference, weight=np.ones_like(WEIGHT))
    assert temporal_difference(model, reference) < 1e-5


# What `fit` says and does on the way.


def test_loss_metrics_validation_and_callbacks(tmp_path):
    model = temporal_network(
        temporal_reference(),
        ["mae"],
        compile_arguments={"weighted_metrics": ["mse"]},
    )
    history = model.fit(
        X,
        Y,
        sample_weight=WEIGHT,
        validation_data=(X[:2], Y[:2], WEIGHT[:2]),
        epochs=4,
        callbacks=[
            keras.callbacks.EarlyStopping("val_loss", patience=0, min_delta=9),
            keras.callbacks.ReduceLROnPlateau("val_loss", patience=1),
            keras.callbacks.ModelCheckpoint(tmp_path / "best.keras"),
            keras.callbacks.BackupAndRestore(tmp_path / "backup"),
            keras.callbacks.CSVLogger(tmp_path / "log.csv"),
        ],
        **FIT,
    ).history
    assert len(history["loss"]) == 2  # stopped early
    reference = temporal_reference()
    outputs = one_by_one(reference)
    error = ((outputs - Y) ** 2).mean(-1)
    # The weighted loss is over all steps, as the documentation says.
    assert abs(history["loss"][0] - (WEIGHT * error).mean()) < 1e-6
    assert abs(history["mae"][0] - np.abs(outputs - Y).mean()) < 1e-6
    weighted = (WEIGHT * error).sum() / WEIGHT.sum()
    assert abs(history["mse"][0] - weighted) < 1e-6

    one_by_one(reference)
    reference.reset(3)
    free = run_temporal(reference, X)
    np.testing.assert_allclose(model.predict(X, verbose=0), free, atol=1e-5)
    loss, mae, _ = model.evaluate(X, Y, batch_size=2, verbose=0)
    assert abs(loss - ((free - Y) ** 2).mean()) < 1e-5
    assert abs(mae - np.abs(free - Y).mean()) < 1e-5
    error = ((free - Y) ** 2).mean(-1)
    expected = (WEIGHT * error)[:2].mean()
    assert abs(history["val_loss"][-1] - expected) < 1e-5
    assert (tmp_path / "log.csv").read_text().count("\n") == 3
    kept = keras.saving.load_model(tmp_path / "best.keras")
    layer_checks.assert_same(kept(X), free, 1e-5)


@pytest.mark.parametrize(
    "compile_arguments",
    [
        {"jit_compile": False},
        {"run_eagerly": True},
        # Torch compiles a loop over time for half a minute.
        {"jit_compile": True if BACKEND != "torch" else "auto"},
    ],
)
def test_compiled_or_not(compile_arguments):
    reference = temporal_reference(batch=3, **CARRIED)
    model = temporal_network(
        reference, compile_arguments=compile_arguments, batch=3, **CARRIED
    )
    x, y, taught = X[:, :7], Y[:, :7], TAUGHT[:, :7] | (np.arange(7) == 5)
    model.fit(x, y, sample_weight=taught.astype("float32"), **TOGETHER)
    run_temporal(reference, x, y, taught)
    assert temporal_difference(model, reference) < 1e-5


def test_steps_per_execution():
    def fit():
        model = temporal_network(
            temporal_reference(), compile_arguments={"steps_per_execution": 3}
        )
        model.fit(X, Y, sample_weight=WEIGHT, **FIT)
        return model

    if BACKEND == "torch":  # Keras 3.15 refuses
        with pytest.raises(ValueError, match="steps_per_execution"):
            fit()
    else:
        assert temporal_difference(fit(), one_epoch()) < 1e-5


def test_learning_rate_schedule():
    """It counts batches, not steps."""
    model = temporal_network(temporal_reference())
    schedule = keras.optimizers.schedules.PiecewiseConstantDecay(
        [0, 1], [0.5, 0.0, 0.25]
    )
    model.compile(keras.optimizers.SGD(schedule), "mse")
    model.fit(X, Y, sample_weight=WEIGHT, **FIT)
    assert int(to_numpy(model.optimizer.iterations)) == 3
    reference = temporal_reference()
    for n, factor in ((0, 1.0), (2, 0.5)):
        reference.rates = [factor * r for r in temporal_reference().rates]
        reference.reset(1)
        part = slice(n, n + 1)
        run_temporal(reference, X[part], Y[part], TAUGHT[part, :8])
    assert temporal_difference(model, reference) < 1e-5


# The state that is carried.


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
    before = to_numpy(carried._state)
    free = carried.predict(X, verbose=0)
    two = carried.predict(X[:2], batch_size=1, verbose=0)
    layer_checks.assert_same(two, free[:2])
    layer_checks.assert_same(carried._state, before, 0)
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
    assert {v.shape[0] for v in model._state} == {3}


# Refusals.


@pytest.mark.parametrize(
    "optimizer",
    [
        "adam",
        "rmsprop",
        keras.optimizers.SGD(0.1, momentum=0.9),
        keras.optimizers.SGD(0.1, clipnorm=1.0),
        keras.optimizers.SGD(0.1, weight_decay=1e-3),
        keras.optimizers.SGD(0.1, use_ema=True),
        keras.optimizers.SGD(0.1, gradient_accumulation_steps=2),
        keras.optimizers.LossScaleOptimizer(keras.optimizers.SGD(0.1)),
    ],
)
def test_only_plain_sgd(optimizer):
    model = BurstPropNetwork([3, 2], mode="temporal")
    with pytest.raises(ValueError, match=r"plain `keras.optimizers.SGD\(lear"):
        model.compile(optimizer, "mse")


def test_plain_sgd_by_any_name():
    model = BurstPropNetwork([3, 2], mode="temporal")
    for optimizer in ("sgd", None, keras.optimizers.SGD(0.3, name="mine")):
        model.compile(optimizer, "mse")


def test_no_replicas(monkeypatch):
    """When compiled, or in `fit` if compiled outside the scope."""
    compiled = temporal_network(temporal_reference())
    monkeypatch.setattr(temporal_learning, "replicas", lambda: 2)
    model = BurstPropNetwork([3, 2], mode="temporal")
    with pytest.raises(ValueError, match=r"cannot be spread.*of 2 replicas"):
        model.compile("sgd", "mse")
    with pytest.raises(ValueError, match=r"cannot be spread.*of 2 replicas"):
        compiled.fit(X, Y, **FIT)


@pytest.mark.parametrize(
    "arguments, message",
    [
        ({"variant": "2017"}, "`variant` must be one of"),
        ({"teacher_probability": 0}, "must be a finite number above 0"),
        ({"teacher_probability": 1}, "`teacher_probability` must be below 1"),
        ({"teacher_strength": 0}, "`teacher_strength` must be a finite"),
        ({"average_rate": 0}, "`average_rate` must be a number above 0"),
        ({"average_rate": 2}, "`average_rate` must be a number above 0"),
        ({"apical_delay": 2}, r"`apical_delay` must be one of \(0, 1\)"),
        ({"feedback_learning_rate": -1}, "`feedback_learning_rate` must be"),
        ({"weight_decay": 1}, "`weight_decay` must be"),
        ({"burst_probability": 0}, "`burst_probability` must be"),
        ({"burst_probability": 0.6}, "at most 0.5"),
        ({"feedback_stddev": 0}, "`feedback_stddev` must be"),
        ({"learning_rate_multipliers": [1]}, "one number for each of the 2"),
        ({"seed": 0.5}, "`seed` must be an integer"),
        ({"units": [3]}, "needs a hidden layer"),
        ({"feedback": "tied"}, "`feedback` says nothing in mode 'temporal'"),
        ({"recurrent": True}, "`recurrent` says nothing in mode 'temporal'"),
        ({"recurrent_learning_rate": 0.1}, "`recurrent_learning_rate` says n"),
        ({"kernel_regularizer": "l2"}, "`kernel_regularizer` says nothing"),
        ({"bias_regularizer": "l2"}, "`bias_regularizer` says nothing"),
        ({"apical_delay": 0}, "`apical_delay` says nothing.*moving_average"),
        ({"feedback_learning_rate": 1}, "`feedback_learning_rate` says noth"),
        (
            {"variant": "fd8336a", "burst_probability": 0.3},
            "`burst_probability` says nothing.*variant 'fd8336a'.*at 0.2",
        ),
        ({"variant": "7df5f65", "teacher_strength": 1}, "says nothing"),
        ({"variant": "3cd91fb", "average_rate": 0.2}, "says nothing"),
        ({"mode": "rate", "variant": "fd8336a"}, "`variant` says nothing in m"),
        ({"mode": "rate", "teacher_probability": 0.1}, "`teacher_probability`"),
        ({"mode": "rate", "teacher_strength": 1}, "`teacher_strength` says"),
        ({"mode": "rate", "average_rate": 0.1}, "`average_rate` says nothing"),
        ({"mode": "rate", "apical_delay": 0}, "`apical_delay` says nothing"),
        ({"mode": "rate", "feedback_learning_rate": 1}, "says nothing in mode"),
    ],
)
def test_bad_arguments(arguments, message):
    with pytest.raises(ValueError, match=message):
        BurstPropNetwork(**{"units": [3, 2], "mode": "temporal", **arguments})


def test_generate_needs_a_rule_of_2017():
    for arguments in ({"mode": "temporal"}, {}):
        model = BurstPropNetwork([3, 2], **arguments)
        with pytest.raises(ValueError, match="`generate` needs `mode='temp"):
            model.generate(X)
    model = BurstPropNetwork([3, 2], mode="temporal", variant="3cd91fb")
    with pytest.raises(ValueError, match="`start` must be an integer"):
        model.generate(X, start=-1)


@pytest.mark.parametrize(
    "x, message",
    [
        (X[..., :3], r"\(batch, time, 4\).*shape=\(3, 8, 3\)"),
        (X[:, 0], r"\(batch, time, 4\).*shape=\(3, 4\)"),
        (X[:, :0], r"at least one step.*shape=\(3, 0, 4\)"),
    ],
    ids=["features", "rank", "steps"],
)
def test_bad_inputs(x, message):
    # Not the shared model: on JAX a step that fails takes its values along.
    fresh = temporal_network(temporal_reference())
    with pytest.raises(ValueError, match=message):
        fresh(x)
    with pytest.raises(ValueError, match=message):
        fresh.predict(x, verbose=0)
    with pytest.raises((ValueError, RuntimeError), match=message):
        fresh.train_on_batch(x, Y[:, : x.shape[1]])
    model = BurstPropNetwork([3, 2], mode="temporal", variant="3cd91fb")
    model.build((None, None, 4))
    with pytest.raises(ValueError, match=message):
        model.generate(x)
    if x.ndim == 2:
        with pytest.raises(ValueError, match=r"of rank 3.*\(3, 4\)"):
            BurstPropNetwork([3, 2], mode="temporal").build(x.shape)


@pytest.mark.parametrize(
    "y, weight, message",
    [
        (Y[..., :1], WEIGHT, r"shape \(batch, time, 2\).*\(3, 8, 1\)"),
        (Y[:, 0], WEIGHT, r"shape \(batch, time, 2\).*\(3, 2\)"),
        (Y[:, :5], WEIGHT, r"y of shape \(3, 5, 2\), for \(3, 8\)"),
        (Y[:1], WEIGHT, r"y of shape \(1, 8, 2\), for \(3, 8\)"),
        (Y, WEIGHT[:, 0], "one number for each step"),
        (Y, WEIGHT[:, :1], r"for each step.*\(3, 1\), for \(3, 8\)"),
        (Y, WEIGHT.T.copy(), r"for each step.*\(8, 3\), for \(3, 8\)"),
        (Y, Y, "one number for each step"),
    ],
)
def test_bad_targets_and_weights(y, weight, message):
    model = temporal_network(temporal_reference())
    with pytest.raises(ValueError, match=message):
        model.train_on_batch(X, y, weight)


# The model as a Keras object.


def test_config_round_trip():
    model = BurstPropNetwork(
        (4, 3),
        mode="temporal",
        variant="7df5f65",
        teacher_probability=0.1,
        apical_delay=0,
        feedback_learning_rate=0.2,
        feedback_stddev=3.0,
        learning_rate_multipliers=(1, 0.5),
        weight_decay=0.01,
        stateful=True,
        seed=7,
    )
    config = json.loads(json.dumps(model.get_config()))
    twin = BurstPropNetwork.from_config(config)
    assert json.loads(json.dumps(twin.get_config())) == config
    for name in ("variant", "apical_delay", "feedback_learning_rate", "seed"):
        assert getattr(twin, name) == getattr(model, name)
    average = {
        "burst_probability": 0.3,
        "teacher_strength": 2.0,
        "average_rate": 0.2,
    }
    twin = BurstPropNetwork.from_config(
        BurstPropNetwork([4, 3], mode="temporal", **average).get_config()
    )
    for name, value in average.items():
        assert getattr(twin, name) == getattr(twin._rule, name) == value


def test_weights_of_a_network():
    model = BurstPropNetwork([6, 5, 2], mode="temporal", feedback_stddev=3.0)
    model.build((None, None, 40))
    assert model.compute_output_shape((None, 9, 40)) == (None, 9, 2)
    assert len(model.trainable_variables) == 6
    drawn = [to_numpy(kernel) for kernel in model.feedback_kernels]
    assert [kernel.shape for kernel in drawn] == [(6, 2), (5, 2)]
    assert np.abs(drawn[0][:5] - drawn[1]).max() > 0.1
    assert 1.5 < np.concatenate(drawn).std() < 5
    inputs = keras.Input((None, 40))
    functional = keras.Model(inputs, model(inputs))
    x = np.ones((2, 3, 40), "float32")
    layer_checks.assert_same(functional.predict(x, verbose=0), model(x))
