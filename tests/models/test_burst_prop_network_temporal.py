"""What `BurstPropNetwork(mode="temporal")` computes, against float64.

How it behaves as a Keras model: test_burst_prop_network_temporal_fit.py.
"""

import keras
import numpy as np
import pytest
from keras import ops

from keras_seqattn._backend.scan import scan
from keras_seqattn.models import BurstPropNetwork
from keras_seqattn.models._burst_prop.as_coded import AsCoded
from keras_seqattn.models._burst_prop.moving_average import MovingAverage
from keras_seqattn.models._burst_prop.rule import Weights
from keras_seqattn.models._burst_prop.rule import at_rest
from keras_seqattn.tasks import Sinusoids
from tests.backend import compiled
from tests.backend import to_numpy
from tests.models.burst_prop_cases import SEQUENCES
from tests.models.burst_prop_cases import STEPS
from tests.models.burst_prop_cases import TARGETS
from tests.models.burst_prop_cases import TAUGHT
from tests.models.burst_prop_cases import TAUGHT_TARGETS
from tests.models.burst_prop_cases import TEACHER
from tests.models.burst_prop_cases import KeepOutputs
from tests.models.burst_prop_cases import run_temporal
from tests.models.burst_prop_cases import temporal_difference
from tests.models.burst_prop_cases import temporal_network
from tests.models.burst_prop_cases import temporal_reference
from tests.reference.temporal_burst_prop import sigmoid
from tests.reference.test_temporal_burst_prop import FINAL
from tests.reference.test_temporal_burst_prop import golden_inputs
from tests.reference.test_temporal_burst_prop import golden_network

FIT = {"batch_size": 3, "shuffle": False, "verbose": 0}


def assert_near(found, expected, tolerance=1e-5):
    np.testing.assert_allclose(
        to_numpy(found), expected, rtol=0, atol=tolerance
    )


# The published numbers.


@pytest.mark.parametrize("variant, feedback_rate", FINAL)
def test_golden_run(variant, feedback_rate):
    kept = KeepOutputs((1, 12, 2))
    reference = golden_network(variant=variant, feedback_rate=feedback_rate)
    model = temporal_network(
        reference,
        [kept],
        variant=variant,
        apical_delay=0,
        feedback_learning_rate=feedback_rate,
    )
    rows = [golden_inputs(t) for t in range(12)]
    x, y, taught = (np.stack(part, axis=1) for part in zip(*rows, strict=True))
    model.fit(x, y, sample_weight=taught.astype("float32"), **FIT)
    (w0, w1), (b0, b1) = (
        [to_numpy(getattr(layer, name)) for layer in model.burst_layers]
        for name in ("kernel", "bias")
    )
    found = [w0[:, 0], b0, w1[:, 0], b1]
    found.append(to_numpy(model.feedback_kernels[0])[0])
    found.append([w0.sum(), w1.sum()])
    for value, expected in zip(
        found, FINAL[variant, feedback_rate], strict=True
    ):
        assert_near(value, expected)
    if (variant, feedback_rate) == ("weighted_burst_rate_change", 0):
        # Steps without a teacher, as it changes what is published as e1.
        outputs = to_numpy(kept.outputs)[0]
        assert_near(outputs[4], [0.447166, 0.588445])
        assert_near(outputs[6], [0.441384, 0.586237])
        assert_near(outputs[11], [0.425885, 0.594743])


# Every rule against float64: 60 steps of three sequences, two hidden layers.

CONFIGURATIONS = {
    "default": {},
    "numbers": {
        "burst_probability": 0.3,
        "teacher_strength": 2.0,
        "average_rate": 0.1,
        "weight_decay": 0.01,
    },
    # The published runs have the other delay.
    "weighted_burst_rate_change": {
        "variant": "weighted_burst_rate_change",
        "feedback_learning_rate": 0.05,
    },
    "burst_rate_change": {"variant": "burst_rate_change", "weight_decay": 0.01},
    "burst_probability_change": {
        "variant": "burst_probability_change",
        "feedback_learning_rate": 0.05,
        "weight_decay": 0.01,
    },
    "as coded": {"variant": "burst_probability_change", "apical_delay": 0},
}


@pytest.mark.nan
@pytest.mark.parametrize("name", CONFIGURATIONS)
def test_60_steps_equal_float64(name):
    """In what it says, what it learns, and what it then does by itself."""
    arguments = CONFIGURATIONS[name]
    reference = temporal_reference(**arguments)
    kept = KeepOutputs(TARGETS.shape)
    model = temporal_network(reference, [kept], **arguments)
    model.fit(SEQUENCES, TAUGHT_TARGETS, sample_weight=TEACHER, **FIT)
    start = temporal_reference()
    assert temporal_difference(model, start) > 0.1
    outputs = run_temporal(reference, taught=TAUGHT)
    assert temporal_difference(model, reference) < 1e-5
    assert_near(kept.outputs, outputs)

    if name in ("default", "burst_probability_change"):
        # In the reference learning of feedback would go on.
        reference.feedback_rate = 0.0
        reference.reset(3)
        free = run_temporal(reference)
        assert np.abs(free - outputs).max() > 0.01
        assert_near(model(SEQUENCES), free)
    if name == "burst_probability_change":
        reference.reset(3)
        first = run_temporal(reference, SEQUENCES[:, :20])
        rest = run_temporal(reference, SEQUENCES[:, 20:], generate=True)
        expected = np.concatenate([first, rest], axis=1)
        assert np.abs(expected - free).max() > 0.01
        assert_near(model.generate(SEQUENCES, start=20), expected)


def test_where_generation_begins():
    reference = temporal_reference("burst_probability_change")
    model = temporal_network(reference, variant="burst_probability_change")
    x = SEQUENCES[:, :9]
    assert_near(model.generate(x, start=50), run_temporal(reference, x))
    reference.reset(3)
    assert_near(model.generate(x), run_temporal(reference, x, generate=True))
    unbuilt = BurstPropNetwork(
        [3, 2], mode="temporal", variant="burst_probability_change"
    )
    assert tuple(unbuilt.generate(x).shape) == (3, 9, 2)


@pytest.mark.parametrize("name", CONFIGURATIONS)
def test_free_steps_equal_a_call(name):
    arguments = CONFIGURATIONS[name]
    reference = temporal_reference(**arguments)
    reference.feedback_rate = 0.0
    model = temporal_network(reference, **arguments)
    state = model.free_state(3)
    outputs = []
    for t in range(12):
        output, state = model.free_step(SEQUENCES[:, t], state)
        assert_near(output, to_numpy(state["events"][-1]), 0)
        outputs.append(to_numpy(output))
    outputs = np.stack(outputs, axis=1)
    assert_near(model(SEQUENCES[:, :12]), outputs, 1e-6)
    assert_near(outputs, run_temporal(reference, SEQUENCES[:, :12]))


def test_frozen_weights_stay_and_the_others_learn():
    """They do not decay either."""
    reference = temporal_reference(weight_decay=0.02)
    start = temporal_reference()
    model = temporal_network(reference, weight_decay=0.02)
    model.burst_layers[0].kernel.trainable = False
    model.burst_layers[1].trainable = False
    model.burst_layers[2].bias.trainable = False
    model.fit(SEQUENCES, TARGETS, sample_weight=TEACHER, **FIT)
    for t in range(STEPS):
        reference.step(SEQUENCES[:, t], TARGETS[:, t], TAUGHT[:, t])
        reference.W[:2], reference.b[1:] = start.W[:2], start.b[1:]
    assert temporal_difference(model, reference) < 1e-5
    assert np.abs(reference.b[0] - start.b[0]).max() > 0.01
    assert np.abs(reference.W[2] - start.W[2]).max() > 0.01


@pytest.mark.parametrize("when", ["made", "compiled"])
def test_a_frozen_model_does_not_learn(when):
    start = temporal_reference()
    arguments = {
        "variant": "burst_probability_change",
        "feedback_learning_rate": 0.1,
    }
    model = temporal_network(start, trainable=when != "made", **arguments)
    model.trainable = False
    x, y = SEQUENCES[:, :10], TARGETS[:, :10]
    model.fit(x, y, sample_weight=np.ones((3, 10)), **FIT)
    assert temporal_difference(model, start) < 1e-7


@pytest.mark.nan
def test_nan_is_seen():
    """Of an input from its step on; and in all that learns from it."""
    model = temporal_network(temporal_reference())
    x = SEQUENCES.copy()
    x[1, 10, 2] = np.nan
    outputs = to_numpy(model(x))
    # Its event rates need two steps to the output, and never recover.
    assert np.isnan(outputs[1, 12:]).all()
    assert np.isfinite(outputs[1, :12]).all()
    assert np.isfinite(outputs[[0, 2]]).all()
    loss = model.train_on_batch(x, TARGETS, TEACHER)
    assert np.isnan(float(loss))
    for layer in model.burst_layers:
        assert np.isnan(to_numpy(layer.kernel)).any()


@pytest.mark.nan
def test_padding():
    """Behind a sequence and without a teacher, it changes nothing."""
    reference = temporal_reference(batch=1)
    model = temporal_network(reference)
    x = np.concatenate([SEQUENCES[:1, :20], np.full((1, 5, 4), 9.0)], axis=1)
    y = np.concatenate([TARGETS[:1, :20], np.full((1, 5, 2), np.nan)], axis=1)
    teacher = np.concatenate([TEACHER[:1, :20], np.zeros((1, 5))], axis=1)
    free = run_temporal(reference, x[:, :20])
    assert_near(model(x)[:, :20], free)
    reference.reset(1)
    run_temporal(reference, x[:, :20], y, TAUGHT[:1])
    model.fit(x, y, sample_weight=teacher, **FIT)
    assert temporal_difference(model, reference) < 1e-5


@pytest.mark.parametrize("batch, time", [(0, 4), (1, 1)])
def test_small_inputs(batch, time):
    """No sequence teaches nothing; one step is too early for the output."""
    start = temporal_reference()
    model = temporal_network(start, weight_decay=0.1)
    x, y = SEQUENCES[:batch, :time], TARGETS[:batch, :time]
    assert tuple(model(x).shape) == y.shape
    model.train_on_batch(x, y, TEACHER[:batch, :time] * 0)
    assert temporal_difference(model, start) < 1e-7


@pytest.mark.parametrize(
    "policy",
    [
        "mixed_float16",
        "mixed_bfloat16",
        "bfloat16",
        # JAX has no float64 without its own switch.
        pytest.param("float64", marks=pytest.mark.only("tensorflow", "torch")),
    ],
)
def test_precision_is_that_of_the_weights(policy):
    """So a mixed policy, whose weights are float32, changes nothing."""
    kept = "float32" if policy.startswith("mixed") else policy
    reference = temporal_reference()
    model = temporal_network(reference, dtype=policy)
    x, y = SEQUENCES[:, :10], TARGETS[:, :10]
    outputs = model(x)
    assert keras.backend.standardize_dtype(outputs.dtype) == kept
    tolerance = 0.05 if kept == "bfloat16" else 1e-5
    assert_near(
        ops.cast(outputs, "float32"), run_temporal(reference, x), tolerance
    )
    model.fit(x, y, sample_weight=TEACHER[:, :10], **FIT)
    reference.reset(3)
    run_temporal(reference, x, y, TAUGHT[:, :10])
    assert temporal_difference(model, reference) < tolerance
    assert {v.dtype for v in model.trainable_variables} == {kept}


# What hidden neurons learn from.


def small_task():
    return Sinusoids(inputs=20, targets=3, steps=300, seed=1).sample()


def cosine(found, meant):
    return (found * meant).sum(-1) / (
        np.linalg.norm(found, axis=-1) * np.linalg.norm(meant, axis=-1)
    )


@pytest.mark.parametrize(
    "arguments, low, high",
    [
        (
            {"variant": "weighted_burst_rate_change", "apical_delay": 0},
            -1,
            -0.8,
        ),
        ({"variant": "weighted_burst_rate_change", "apical_delay": 1}, 0.95, 1),
        ({}, 0.9, 1),
    ],
    ids=["as coded", "as documented", "moving average"],
)
def test_a_hidden_neuron_sees_what_was_meant(arguments, low, high):
    """Its change of burst probability, beside the teacher's share of it.

    sigmoid'(u) Y (y - e), with the output's slope in the rule of 2021; means
    over the teachings of one sequence.
    """
    x, y = small_task()
    rng = np.random.default_rng(3)
    taught = (rng.random((300, 1, 1)) < 0.05).astype("float32")
    taught[:20] = 0
    kernel = rng.normal(size=(30, 3))
    kernels = [0.3 * rng.normal(size=shape) for shape in ((20, 30), (30, 3))]
    weights = Weights(
        tuple(ops.convert_to_tensor(k, "float32") for k in kernels),
        (ops.zeros(30), ops.zeros(3)),
        (ops.convert_to_tensor(kernel.T, "float32"),),
    )
    rule = MovingAverage(
        burst_probability=0.2, teacher_strength=4.0, average_rate=0.5
    )
    if arguments:
        rule = AsCoded(**arguments, feedback_rate=0.0)

    def step(carry, row, window):
        (state,) = carry
        state, output, _, _ = rule.step(weights, state, **row)
        found = {"output": output, "e": state["events"][0]}
        if arguments:
            found["p"] = state["probability"][0]
        else:
            found |= {n: state[n][0] for n in ("event_mean", "burst_mean")}
        return (state,), found, {}

    rows = {"x": x, "target": y}
    rows = {n: v.transpose(1, 0, 2) for n, v in rows.items()}
    rows = {**rows, "taught": taught}

    def run():
        state = at_rest(rule.rest(20, [30, 3]), 1)
        tensors = {n: ops.convert_to_tensor(v) for n, v in rows.items()}
        return scan(step, (state,), tensors, {})[1]

    found = {n: v[:, 0] for n, v in to_numpy(compiled(run)()).items()}
    when = np.flatnonzero(taught)
    when = when[when < 299]
    assert len(when) > 8
    error = y[0] - found["output"]
    if arguments:
        p = found["p"]
        change = p[when + 1] - p[when]
        slope = p[when] * (1 - p[when])
        sent = error[when]
    else:
        e, output = found["e"][when], found["output"][when]
        sent = error[when] * output * (1 - output)
        p_mean = (found["burst_mean"] / found["event_mean"])[when]
        bursts = 0.2 * output + 0.8 * sent
        p = sigmoid((1 - e) * (bursts @ kernel.T))
        change, slope = p - p_mean, p * (1 - p) * (1 - e)
    mean = cosine(change, slope * (sent @ kernel.T)).mean()
    assert low < mean < high


@pytest.mark.process
def test_it_learns():
    """Slow curves, cut into eight sequences; three seeds."""
    task = Sinusoids(inputs=20, targets=2, steps=400)
    x, y = (part.reshape(8, 50, -1) for part in task.sample())
    model = BurstPropNetwork(
        [20, 2], mode="temporal", learning_rate_multipliers=[3, 1]
    )
    model.build((None, None, 20))
    model.compile(keras.optimizers.SGD(1.0), "mse")
    for seed in range(3):
        rng = np.random.default_rng(seed)
        for layer, scale in zip(model.burst_layers, (0.5, 0.3), strict=True):
            layer.kernel.assign(scale * rng.normal(size=layer.kernel.shape))
            layer.bias.assign(np.zeros(layer.units))
        model.feedback_kernels[0].assign(rng.normal(size=(20, 2)))
        before = to_numpy(model.trainable_variables)
        teachers = (rng.random((40, 8, 50)) < 0.3).astype("float32")
        batches = ((x, y, teacher) for teacher in teachers)
        model.fit(batches, steps_per_epoch=40, shuffle=False, verbose=0)
        for old, new in zip(before, model.trainable_variables, strict=True):
            assert (np.abs(to_numpy(new) - old) > 1e-4).all()
        # The first steps of a sequence are those of a network at rest.
        error = (model.predict(x, verbose=0) - y)[:, 5:]
        assert np.mean(error**2) < task.reference_levels()["mean"] / 2, seed
