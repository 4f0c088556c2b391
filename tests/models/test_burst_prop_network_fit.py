"""How `BurstPropNetwork` in mode "rate" behaves as a Keras model.

What it computes: test_burst_prop_network.py.
"""

import functools
import json

import keras
import numpy as np
import pytest

from keras_seqattn.models import BurstPropNetwork
from tests import layer_checks
from tests.backend import BACKEND
from tests.backend import to_numpy
from tests.models.burst_prop_cases import CLASSES
from tests.models.burst_prop_cases import CONFIGURATIONS
from tests.models.burst_prop_cases import EVERYTHING
from tests.models.burst_prop_cases import RATES
from tests.models.burst_prop_cases import Z_RATE
from tests.models.burst_prop_cases import X
from tests.models.burst_prop_cases import Y
from tests.models.burst_prop_cases import compiled_network
from tests.models.burst_prop_cases import difference
from tests.models.burst_prop_cases import network
from tests.models.burst_prop_cases import random_layers
from tests.models.burst_prop_cases import reference
from tests.models.burst_prop_cases import set_weights
from tests.models.burst_prop_cases import train
from tests.models.burst_prop_cases import weights
from tests.reference.burst_prop import sweep

FIT = {"batch_size": 8, "shuffle": False, "verbose": 0}


# Training, by every road that Keras offers.


@pytest.mark.parametrize("name", CONFIGURATIONS)
def test_weights_after_50_steps_equal_float64(name):
    arguments = CONFIGURATIONS[name]
    model = compiled_network(**arguments)
    trainer = reference(**arguments)
    model.fit(X, Y, epochs=17, **FIT)  # 51 steps
    assert difference(model, train(trainer, 17)) < 1e-5


@pytest.fixture(scope="module")
def one_epoch():
    return train(reference(**EVERYTHING))


@functools.cache
def shared_model():
    """Compiled once: tests start it anew."""
    model = compiled_network(**EVERYTHING)
    model.fit(X, Y, **FIT)
    return model


@pytest.fixture
def fresh():
    model = shared_model()
    set_weights(model, random_layers())
    for variable in model.optimizer.variables:
        if "learning_rate" not in variable.path:
            variable.assign(np.zeros(variable.shape))
    return model


def test_numpy(fresh, one_epoch):
    fresh.fit(X, Y, **FIT)
    assert difference(fresh, one_epoch) < 1e-5


def test_tf_data(fresh, one_epoch):
    import tensorflow as tf

    data = tf.data.Dataset.from_tensor_slices((X, Y)).batch(8)
    fresh.fit(data, shuffle=False, verbose=0)
    assert difference(fresh, one_epoch) < 1e-5


def test_data_loader(fresh, one_epoch):
    import torch

    data = torch.utils.data.TensorDataset(
        torch.from_numpy(X), torch.from_numpy(Y)
    )
    loader = torch.utils.data.DataLoader(data, batch_size=8)
    fresh.fit(loader, shuffle=False, verbose=0)
    assert difference(fresh, one_epoch) < 1e-5


def test_generator(fresh, one_epoch):
    batches = ((X[n : n + 8], Y[n : n + 8]) for n in (0, 8, 16))
    fresh.fit(batches, steps_per_epoch=3, shuffle=False, verbose=0)
    assert difference(fresh, one_epoch) < 1e-5


def test_train_on_batch(fresh, one_epoch):
    for n in (0, 8, 16):
        fresh.train_on_batch(X[n : n + 8], Y[n : n + 8])
    assert difference(fresh, one_epoch) < 1e-5


@pytest.mark.parametrize("column", [False, True])
def test_sample_weight(column):
    # A new model for each shape: Keras' losses take one in TensorFlow.
    model = compiled_network(**EVERYTHING)
    weight = np.linspace(0, 2, 24).astype("float32")
    model.fit(X, Y, sample_weight=weight[:, None] if column else weight, **FIT)
    expected = train(reference(**EVERYTHING), sample_weight=weight)
    assert difference(model, expected) < 1e-5


def test_class_weight(fresh):
    factors = {0: 0.5, 1: 2.0, 2: 1.0}
    fresh.fit(X, Y, class_weight=factors, **FIT)
    weight = np.array([factors[label] for label in CLASSES])
    expected = train(reference(**EVERYTHING), sample_weight=weight)
    assert difference(fresh, expected) < 1e-5


def test_loss_metrics_validation_and_callbacks(tmp_path):
    model = compiled_network(compile_arguments={"metrics": ["accuracy"]})
    history = model.fit(
        X,
        Y,
        validation_data=(X[:7], Y[:7]),
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
    outputs = model.predict(X, verbose=0)
    loss, accuracy = model.evaluate(X, Y, verbose=0)
    assert abs(loss - np.mean((outputs - Y) ** 2)) < 1e-6
    assert accuracy == (outputs.argmax(1) == CLASSES).mean().astype("float32")
    assert (tmp_path / "log.csv").read_text().count("\n") == 3
    kept = keras.saving.load_model(tmp_path / "best.keras")
    layer_checks.assert_same(kept.predict(X, verbose=0), outputs)


def test_resumed_training_equals_uninterrupted_training(tmp_path, fresh):
    fresh.fit(X, Y, epochs=2, **FIT)
    fresh.save(tmp_path / "half.keras")
    fresh.fit(X, Y, epochs=2, **FIT)
    resumed = keras.saving.load_model(tmp_path / "half.keras")
    resumed.fit(X, Y, epochs=2, **FIT)
    layer_checks.assert_same(weights(resumed), weights(fresh), 1e-7)
    assert difference(fresh, train(reference(**EVERYTHING), 4)) < 1e-5


@pytest.mark.process
def test_file_loads_on_every_backend(fresh, tmp_path):
    layer_checks.check_file_loads_on_every_backend(fresh, X, tmp_path)


@pytest.mark.parametrize(
    "compile_arguments",
    [{"jit_compile": True}, {"jit_compile": False}, {"run_eagerly": True}],
)
def test_compiled_or_not(compile_arguments):
    model = compiled_network(compile_arguments=compile_arguments)
    model.fit(X, Y, **FIT)
    assert difference(model, train(reference())) < 1e-5


def test_steps_per_execution(one_epoch):
    def fit():
        model = compiled_network(
            compile_arguments={"steps_per_execution": 3}, **EVERYTHING
        )
        model.fit(X, Y, **FIT)
        return model

    if BACKEND == "torch":  # Keras 3.15 refuses
        with pytest.raises(ValueError, match="steps_per_execution"):
            fit()
    else:
        assert difference(fit(), one_epoch) < 1e-5


@pytest.mark.mixed_types
@pytest.mark.parametrize(
    "make",
    [
        lambda: keras.optimizers.SGD(0.5, 0.8, clipnorm=0.05),
        lambda: keras.optimizers.SGD(
            0.5, use_ema=True, ema_momentum=0.9, ema_overwrite_frequency=2
        ),
        lambda: keras.optimizers.SGD(0.5, 0.8, gradient_accumulation_steps=3),
        lambda: keras.optimizers.SGD(
            0.5,
            clipnorm=0.05,
            use_ema=True,
            ema_overwrite_frequency=3,
            gradient_accumulation_steps=3,
        ),
        lambda: keras.optimizers.Adam(0.01),
        lambda: keras.optimizers.AdamW(0.01, weight_decay=0.1),
    ],
    ids=["clip", "ema", "accumulate", "all", "adam", "adamw"],
)
def test_any_optimizer(make):
    """The optimizer's own step, given the reference's gradients."""
    model = compiled_network(make())
    model.fit(X, Y, epochs=2, **FIT)
    trainer = reference()
    optimizer = make()
    names = [(n, name) for n in range(3) for name in "Wb"]
    variables = [
        keras.Variable(trainer.layers[n][name], dtype="float32")
        for n, name in names
    ]
    for part in [slice(0, 8), slice(8, 16), slice(16, 24)] * 2:
        events, found = sweep(trainer.layers, X[part], Y[part])
        gradients = []
        for n, rate in enumerate(RATES):
            delta = rate / RATES[0] * found[n]["delta"]
            gradients += [events[n].T @ delta, delta.sum(0)]
        optimizer.apply(
            [keras.ops.convert_to_tensor(g, "float32") for g in gradients],
            variables,
        )
        for (n, name), variable in zip(names, variables, strict=True):
            trainer.layers[n][name] = to_numpy(variable)
    optimizer.finalize_variable_values(variables)
    for (n, name), variable in zip(names, variables, strict=True):
        trainer.layers[n][name] = to_numpy(variable)
    assert difference(model, trainer) < 2e-5


def test_loss_scaling(one_epoch):
    """A factor on the loss cancels, as the gradients have it too."""
    optimizer = keras.optimizers.LossScaleOptimizer(
        keras.optimizers.SGD(0.5, 0.8), initial_scale=1024.0
    )
    model = compiled_network(optimizer, **EVERYTHING)
    model.fit(X, Y, **FIT)
    assert difference(model, one_epoch) < 1e-5


@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16"])
def test_half_precision(policy, one_epoch):
    model = compiled_network(dtype=policy, **EVERYTHING)
    history = model.fit(X, Y, **FIT).history
    if policy == "mixed_float16":
        assert isinstance(model.optimizer, keras.optimizers.LossScaleOptimizer)
    assert np.isfinite(history["loss"]).all()
    assert {v.dtype for v in model.weights} == {"float32"}
    assert difference(model, one_epoch) < 1e-2
    assert difference(model, reference(**EVERYTHING)) > 2e-2


def test_frozen_weights_stay_and_the_others_learn(one_epoch):
    model = network(
        recurrent_learning_rate=Z_RATE,
        learning_rate_multipliers=[rate / RATES[0] for rate in RATES],
        **EVERYTHING,
    )
    model.burst_layers[1].trainable = False
    model.burst_layers[2].bias.trainable = False
    model.compile(keras.optimizers.SGD(RATES[0], 0.8), "mse")
    model.fit(X[:8], Y[:8], **FIT)
    start = reference(**EVERYTHING)
    expected = reference(**EVERYTHING)
    expected.step(X[:8], Y[:8])
    expected.layers[1] = start.layers[1]
    expected.layers[2]["b"] = start.layers[2]["b"]
    assert difference(model, expected) < 1e-6


def test_regularizers():
    plain = compiled_network()
    model = compiled_network(kernel_regularizer=keras.regularizers.L2(0.01))
    loss = model.fit(X[:8], Y[:8], **FIT).history["loss"][0]
    without = plain.fit(X[:8], Y[:8], **FIT).history["loss"][0]
    kernels = [layer["W"] for layer in random_layers()]
    penalty = 0.01 * sum((kernel**2).sum() for kernel in kernels)
    assert abs(loss - without - penalty) < 1e-5
    for a, b, kernel, rate in zip(
        model.burst_layers, plain.burst_layers, kernels, RATES, strict=True
    ):
        shift = to_numpy(a.kernel) - to_numpy(b.kernel)
        np.testing.assert_allclose(shift, -rate * 0.02 * kernel, atol=1e-6)
        layer_checks.assert_same(a.bias, b.bias)


# The model as a Keras object.


def test_layers_of_a_network():
    model = network(**EVERYTHING)
    assert [layer.feedback for layer in model.burst_layers] == [
        "tied",
        "kolen_pollack",
        "kolen_pollack",
    ]
    assert [layer.recurrent for layer in model.burst_layers] == [1, 1, 0]
    assert model.compute_output_shape((None, 5)) == (None, 3)
    one = BurstPropNetwork([2], recurrent=True)
    one.compile("sgd", "mse")
    one.fit(X, Y[:, :2], **FIT)


def test_drawn_weights_differ():
    model = BurstPropNetwork([7, 7, 7])
    model.build((None, 7))
    kernels = [to_numpy(layer.kernel) for layer in model.burst_layers]
    kernels += [to_numpy(x.feedback_kernel) for x in model.burst_layers[1:]]
    for n, kernel in enumerate(kernels):
        for other in kernels[:n]:
            assert np.abs(kernel - other).max() > 0.1


def test_config_round_trip():
    model = BurstPropNetwork(
        (4, 3),
        burst_probability=0.3,
        feedback_stddev=0.4,
        recurrent_learning_rate=0.1,
        learning_rate_multipliers=(1, 0.5),
        kernel_initializer="he_normal",
        bias_regularizer="l2",
        name="bursts",
        **EVERYTHING,
    )
    config = json.loads(json.dumps(model.get_config()))
    twin = BurstPropNetwork.from_config(config)
    assert json.loads(json.dumps(twin.get_config())) == config
    assert sorted(config) == [
        "apical_delay",
        "average_rate",
        "bias_initializer",
        "bias_regularizer",
        "burst_probability",
        "dtype",
        "feedback",
        "feedback_learning_rate",
        "feedback_stddev",
        "kernel_initializer",
        "kernel_regularizer",
        "learning_rate_multipliers",
        "mode",
        "name",
        "recurrent",
        "recurrent_learning_rate",
        "seed",
        "stateful",
        "teacher_probability",
        "teacher_strength",
        "trainable",
        "units",
        "variant",
        "weight_decay",
    ]
    for layer in twin.burst_layers:
        assert layer.burst_probability == 0.3


@pytest.mark.parametrize(
    "arguments, message",
    [
        ({"units": []}, r"`units` must be a list of positive integers.*\[\]"),
        ({"units": 4}, "`units` must be a list of positive integers"),
        ({"units": [4, 0]}, "`units` must be a positive integer"),
        ({"mode": "spikes"}, "`mode` must be one of"),
        ({"stateful": True}, "`stateful` says nothing in mode 'rate'"),
        ({"feedback": "none"}, "`feedback` must be one of"),
        ({"units": [4], "feedback": "none"}, "`feedback` must be one of"),
        ({"seed": 1}, "`seed` says nothing in mode 'rate'"),
        ({"weight_decay": 1.0}, "`weight_decay` must be a number in"),
        ({"recurrent_learning_rate": -1}, "`recurrent_learning_rate` must be"),
        ({"learning_rate_multipliers": [1]}, "one number for each of the 2 l"),
        ({"learning_rate_multipliers": [1, -1]}, "that is not negative"),
        ({"burst_probability": 0.9}, "must be at most 0.5"),
    ],
)
def test_bad_arguments(arguments, message):
    with pytest.raises(ValueError, match=message):
        BurstPropNetwork(**{"units": [4, 3], **arguments})


def test_bad_data():
    model = compiled_network()
    with pytest.raises(ValueError, match="rank 2"):
        BurstPropNetwork([3]).build((None, 4, 5))
    with pytest.raises(ValueError, match="Make classes one-hot"):
        model.fit(X, CLASSES, **FIT)
    with pytest.raises(ValueError, match=r"shape \(batch, 3\)"):
        model.fit(X, Y[:, :2], **FIT)
    with pytest.raises(ValueError, match="one number for each example"):
        model.fit(X, Y, sample_weight=Y, **FIT)
