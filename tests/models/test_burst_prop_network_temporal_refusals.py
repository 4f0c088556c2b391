"""What `BurstPropNetwork(mode="temporal")` refuses, and what it says then."""

import keras
import pytest

from keras_seqattn.models import BurstPropNetwork
from keras_seqattn.models._burst_prop import in_time
from tests.models.burst_prop_cases import SEQUENCES
from tests.models.burst_prop_cases import TARGETS
from tests.models.burst_prop_cases import TEACHER
from tests.models.burst_prop_cases import temporal_network
from tests.models.burst_prop_cases import temporal_reference

X, Y, WEIGHT = SEQUENCES[:, :8], TARGETS[:, :8], TEACHER[:, :8]
FIT = {"batch_size": 1, "shuffle": False, "verbose": 0}


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
    monkeypatch.setattr(in_time, "replicas", lambda: 2)
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
            {"variant": "weighted_burst_rate_change", "burst_probability": 0.3},
            "`burst_probability` says nothing.*variant 'weighted_bur.*at 0.2",
        ),
        (
            {"variant": "burst_rate_change", "teacher_strength": 1},
            "says nothing",
        ),
        (
            {"variant": "burst_probability_change", "average_rate": 0.2},
            "says nothing",
        ),
        (
            {"mode": "rate", "variant": "weighted_burst_rate_change"},
            "`variant` says nothing in m",
        ),
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


def test_steps_need_time():
    model = BurstPropNetwork([3, 2])
    model.build((None, 4))
    for run in (
        lambda: model.free_state(3),
        lambda: model.free_step(X[:, 0], {}),
        lambda: model.frozen_run(X, Y, WEIGHT),
    ):
        with pytest.raises(ValueError, match=r"runs step by step.*mode='rate'"):
            run()


def test_generate_needs_a_rule_of_2017():
    for arguments in ({"mode": "temporal"}, {}):
        model = BurstPropNetwork([3, 2], **arguments)
        with pytest.raises(ValueError, match="`generate` needs `mode='temp"):
            model.generate(X)
    model = BurstPropNetwork(
        [3, 2], mode="temporal", variant="burst_probability_change"
    )
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
    model = BurstPropNetwork(
        [3, 2], mode="temporal", variant="burst_probability_change"
    )
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
