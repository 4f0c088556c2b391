"""How `BurstPropNetwork(mode="temporal")` behaves as a Keras model.

What it computes: test_burst_prop_network_temporal.py. What it carries from
batch to batch: test_burst_prop_network_temporal_state.py.
"""

import functools
import json
import zipfile

import keras
import numpy as np
import pytest

from keras_seqattn.models import BurstPropNetwork
from keras_seqattn.models._burst_prop.as_coded import VARIANTS_BY_COMMIT
from keras_seqattn.models._burst_prop.rule import Change
from keras_seqattn.models._burst_prop.rule import layer_events
from keras_seqattn.models._burst_prop.rule import layers_rest
from tests import layer_checks
from tests.backend import BACKEND
from tests.backend import to_numpy
from tests.models.burst_prop_cases import SEQUENCES
from tests.models.burst_prop_cases import TARGETS
from tests.models.burst_prop_cases import TAUGHT
from tests.models.burst_prop_cases import TEACHER
from tests.models.burst_prop_cases import KeepOutputs
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


class TeacherAsOutput:
    """A rule that learns nothing, and says where there is a teacher."""

    def rest(self, features, units):
        return layers_rest(features, units)

    def step(self, weights, state, x, target, taught):
        trace, events = layer_events(weights, state, x)
        changes = [
            Change(seen, 0 * e, taught)
            for seen, e in zip(trace, events, strict=True)
        ]
        output = taught + 0 * events[-1]
        state = {"trace": trace, "events": events}
        return state, output, changes, weights.feedback


class SaysWhoTeaches(BurstPropNetwork):
    def _make_rule(self):
        return TeacherAsOutput()


def test_the_teacher_is_drawn():
    """With the stated probability, by the seed, and anew each time."""
    arguments = {"mode": "temporal", "teacher_probability": 0.3}
    targets = np.zeros((50, 200, 2), "float32")

    def draws(seed):
        kept = KeepOutputs(targets.shape)
        model = SaysWhoTeaches([3, 2], seed=seed, **arguments)
        model.compile("sgd", "mse", metrics=[kept])
        found = []
        for _ in range(2):
            model.train_on_batch(targets, targets)
            found.append(to_numpy(kept.outputs)[..., :1])
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


# The model as a Keras object.


def test_config_round_trip():
    model = BurstPropNetwork(
        (4, 3),
        mode="temporal",
        variant="burst_rate_change",
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
    default = BurstPropNetwork([4, 3], mode="temporal")
    model = BurstPropNetwork([4, 3], mode="temporal", **average)
    twin = BurstPropNetwork.from_config(model.get_config())
    for name, value in average.items():
        assert getattr(twin, name) == value
    y, taught = TARGETS[:, :8, [0, 1, 0]], WEIGHT[..., None]
    found = []
    for network in (model, twin, default):
        network.build((None, None, 4))
        for n, weight in enumerate(network.weights):
            numbers = np.cos(n + np.arange(np.prod(weight.shape)))
            weight.assign(numbers.reshape(weight.shape))
        _, changes, _ = network.frozen_run(X, y, taught)
        found.append([to_numpy(change.delta) for change in changes])
    for n in range(2):
        np.testing.assert_array_equal(found[0][n], found[1][n])
        assert np.abs(found[0][n] - found[2][n]).max() > 1e-3


@pytest.mark.parametrize("commit, variant", VARIANTS_BY_COMMIT.items())
def test_an_early_file_names_a_variant_by_its_commit(commit, variant, tmp_path):
    model = temporal_network(temporal_reference(variant), variant=variant)
    model.save(tmp_path / "now.keras")
    with (
        zipfile.ZipFile(tmp_path / "now.keras") as now,
        zipfile.ZipFile(tmp_path / "early.keras", "w") as early,
    ):
        for name in now.namelist():
            content = now.read(name)
            if name == "config.json":
                assert content.count(variant.encode()) == 1
                content = content.replace(variant.encode(), commit.encode())
            early.writestr(name, content)
    loaded = keras.saving.load_model(tmp_path / "early.keras")
    assert loaded.get_config() == model.get_config()
    layer_checks.assert_same(loaded(X), model(X), 0)
    with pytest.raises(ValueError, match=r"one of \('moving_average', 'weig"):
        BurstPropNetwork([3, 2], mode="temporal", variant=commit)


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
