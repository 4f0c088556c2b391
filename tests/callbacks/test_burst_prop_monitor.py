import csv

import keras
import numpy as np
import pytest

from keras_seqattn.callbacks.burst_prop_monitor import BurstPropMonitor
from keras_seqattn.models import BurstPropNetwork
from tests.backend import to_numpy
from tests.models.burst_prop_cases import SEQUENCES
from tests.models.burst_prop_cases import SIZES
from tests.models.burst_prop_cases import TARGETS
from tests.models.burst_prop_cases import TAUGHT
from tests.models.burst_prop_cases import TEACHER
from tests.models.burst_prop_cases import X
from tests.models.burst_prop_cases import Y
from tests.models.burst_prop_cases import compiled_network
from tests.models.burst_prop_cases import network
from tests.models.burst_prop_cases import random_layers
from tests.models.burst_prop_cases import reference
from tests.models.burst_prop_cases import temporal_network
from tests.models.burst_prop_cases import temporal_reference
from tests.models.burst_prop_cases import train
from tests.reference.burst_prop import forward
from tests.reference.burst_prop import sigmoid
from tests.reference.burst_prop import sweep

# Not the examples of the training.
PROBE_X = np.random.default_rng(7).normal(size=(11, SIZES[0]))
PROBE_Y = np.eye(SIZES[-1])[np.arange(11) % SIZES[-1]]
FIT = {"batch_size": 8, "shuffle": False, "verbose": 0}
EVERYTHING = {
    "feedback": "kolen_pollack",
    "recurrent": True,
    "weight_decay": 1e-3,
}
NAMES = {
    "layer_0/angle_to_backprop",
    "layer_0/apical_potential",
    "layer_0/burst_slope",
    "layer_1/angle_to_backprop",
    "layer_1/angle_to_feedback",
    "layer_1/apical_potential",
    "layer_1/burst_slope",
    "layer_2/angle_to_backprop",
    "layer_2/angle_to_feedback",
}


def degrees(a, b):
    a, b = np.ravel(a), np.ravel(b)
    cosine = a @ b / np.sqrt((a @ a) * (b @ b))
    return np.degrees(np.arccos(np.clip(cosine, -1, 1)))


def kernel_gradients(layers, h=1e-5):
    """Of half the squared error, by central differences: no formula of ours."""

    def error():
        return 0.5 * np.sum((forward(layers, PROBE_X)[-1] - PROBE_Y) ** 2)

    for layer in layers:
        gradient = np.empty_like(layer["W"])
        for index, value in np.ndenumerate(layer["W"]):
            layer["W"][index] = value + h
            above = error()
            layer["W"][index] = value - h
            gradient[index] = (above - error()) / (2 * h)
            layer["W"][index] = value
        yield gradient


def expected(trainer):
    """The numbers of the reference's weights, in float64."""
    layers = [dict(layer) for layer in trainer.layers]
    if trainer.tied:
        for layer in layers:
            layer["Y"] = layer["W"].copy()
    rates, found = sweep(layers, PROBE_X, PROBE_Y)
    numbers = {}
    for n, gradient in enumerate(kernel_gradients(layers)):
        own, name = found[n], f"layer_{n}"
        numbers[f"{name}/angle_to_backprop"] = degrees(
            rates[n].T @ own["delta"], gradient
        )
        if n:
            numbers[f"{name}/angle_to_feedback"] = degrees(
                layers[n]["W"], layers[n]["Y"]
            )
        if n < len(layers) - 1:
            p = sigmoid(own["u"])
            numbers[f"{name}/apical_potential"] = np.abs(own["u"]).mean()
            numbers[f"{name}/burst_slope"] = (p - p**2).mean()
    return numbers


def assert_close(found, wanted):
    assert set(found) == set(wanted)
    for name, value in wanted.items():
        assert isinstance(found[name], float)
        tolerance = 1e-3 if "angle" in name else 1e-5
        assert abs(found[name] - value) < tolerance, (name, found[name], value)


@pytest.mark.parametrize(
    "arguments",
    [{}, {"feedback": "tied"}, EVERYTHING],
    ids=["random", "tied", "everything"],
)
def test_numbers_of_every_epoch(arguments):
    """Those of the weights at its end, which only JAX's trainer may hold."""
    model, trainer = compiled_network(**arguments), reference(**arguments)
    monitor = BurstPropMonitor(PROBE_X, PROBE_Y)
    before = expected(trainer)
    history = model.fit(X, Y, epochs=3, callbacks=[monitor], **FIT).history
    assert_close(monitor.baseline, before)
    for epoch in range(3):
        assert_close(
            {name: history[name][epoch] for name in NAMES},
            expected(train(trainer)),
        )
    # They move, so another epoch's would have been seen.
    assert max(abs(before[name] - history[name][0]) for name in NAMES) > 0.01


def test_names_are_frozen():
    """They are columns of people's files."""
    found = BurstPropMonitor(PROBE_X, PROBE_Y).measure(network())
    assert set(found) == NAMES
    alone = network(random_layers([5, 3]))
    assert set(BurstPropMonitor(PROBE_X, PROBE_Y).measure(alone)) == {
        "layer_0/angle_to_backprop"
    }


def test_angles_that_are_known():
    layers = random_layers()
    layers[1]["Y"] = -2 * layers[1]["W"]
    layers[2]["Y"] = 3 * layers[2]["W"]
    found = BurstPropMonitor(PROBE_X, PROBE_Y).measure(network(layers))
    assert abs(found["layer_1/angle_to_feedback"] - 180) < 1e-4
    assert found["layer_2/angle_to_feedback"] < 1e-4
    # The output layer's rule is backprop's.
    assert found["layer_2/angle_to_backprop"] < 1e-3
    tied = network(feedback="tied")
    found = BurstPropMonitor(PROBE_X, PROBE_Y).measure(tied)
    assert found["layer_1/angle_to_feedback"] == 0


def test_nothing_to_learn_has_no_angle():
    model = network()
    reached = to_numpy(model(PROBE_X.astype("float32")))
    found = BurstPropMonitor(PROBE_X, reached).measure(model)
    assert np.isnan(found["layer_2/angle_to_backprop"])
    assert np.isfinite(found["layer_2/angle_to_feedback"])


def test_saturation():
    layers = random_layers()
    layers[1]["Y"] *= 1000
    found = BurstPropMonitor(PROBE_X, PROBE_Y).measure(network(layers))
    assert found["layer_0/burst_slope"] < 0.02
    assert 0.2 < found["layer_1/burst_slope"] <= 0.25
    assert found["layer_0/apical_potential"] > 10


def fitted_weights(callbacks):
    """Of a model that `fit` builds, on shuffled examples."""
    keras.utils.set_random_seed(3)
    model = BurstPropNetwork(SIZES[1:], **EVERYTHING)
    model.compile(keras.optimizers.SGD(0.5, 0.8), "mse", metrics=["accuracy"])
    history = model.fit(
        X, Y, batch_size=8, epochs=3, verbose=0, callbacks=callbacks
    ).history
    return model.get_weights(), history["loss"], history["accuracy"]


def test_training_is_the_same_with_it():
    monitor = BurstPropMonitor(PROBE_X, PROBE_Y)
    alone, watched = fitted_weights([]), fitted_weights([monitor])
    assert len(alone[0]) == 10
    for one, other in zip(alone[0], watched[0], strict=True):
        np.testing.assert_array_equal(one, other)
    assert alone[1:] == watched[1:]


def test_baseline_is_of_the_last_fit():
    model, monitor = compiled_network(), BurstPropMonitor(PROBE_X, PROBE_Y)
    first = model.fit(X, Y, epochs=2, callbacks=[monitor], **FIT).history
    before = monitor.baseline
    model.fit(X, Y, epochs=1, callbacks=[monitor], **FIT)
    assert monitor.baseline == {name: first[name][-1] for name in NAMES}
    assert monitor.baseline != before


# Other callbacks


def rows(path):
    with open(path, newline="") as file:
        return [
            {name: value for name, value in row.items() if value != "NA"}
            for row in csv.DictReader(file)
        ]


def test_callbacks_that_come_later_see_the_numbers(tmp_path):
    early, late = tmp_path / "early.csv", tmp_path / "late.csv"
    model = compiled_network()
    history = model.fit(
        *(X, Y),
        epochs=5,
        callbacks=[
            keras.callbacks.CSVLogger(early),
            BurstPropMonitor(PROBE_X, PROBE_Y),
            keras.callbacks.CSVLogger(late),
            keras.callbacks.EarlyStopping(
                "layer_0/burst_slope", patience=1, min_delta=1, mode="max"
            ),
        ],
        **FIT,
    ).history
    assert len(history["loss"]) == 2
    assert set(rows(early)[0]) == {"epoch", "loss"}
    assert set(rows(late)[0]) == {"epoch", "loss", *NAMES}
    for name in NAMES:
        found = [float(row[name]) for row in rows(late)]
        np.testing.assert_allclose(found, history[name])


def test_tensorboard(tmp_path):
    from tensorboard.backend.event_processing import event_accumulator
    from tensorboard.util import tensor_util

    model = compiled_network()
    history = model.fit(
        *(X, Y),
        epochs=2,
        callbacks=[
            BurstPropMonitor(PROBE_X, PROBE_Y),
            keras.callbacks.TensorBoard(tmp_path, write_graph=False),
        ],
        **FIT,
    ).history
    events = event_accumulator.EventAccumulator(str(tmp_path / "train"))
    events.Reload()
    for name in NAMES:
        found = events.Tensors(f"epoch_{name}")
        assert [event.step for event in found] == [0, 1]
        np.testing.assert_allclose(
            [tensor_util.make_ndarray(e.tensor_proto) for e in found],
            history[name],
            rtol=1e-6,
        )


def test_half_precision():
    wanted = BurstPropMonitor(PROBE_X, PROBE_Y).measure(network())
    found = BurstPropMonitor(PROBE_X, PROBE_Y).measure(
        network(dtype="mixed_float16")
    )
    for name, value in wanted.items():
        # Events are rounded to 11 bits.
        assert abs(found[name] - value) < (1 if "angle" in name else 1e-2)


# Errors


def test_other_models_are_refused():
    model = keras.Sequential([keras.Input((5,)), keras.layers.Dense(3)])
    model.compile("sgd", "mse")
    with pytest.raises(
        ValueError, match=r"a `BurstPropNetwork`\. Received: model=<Sequential"
    ):
        model.fit(X, Y, callbacks=[BurstPropMonitor(X, Y)], **FIT)


@pytest.mark.parametrize(
    "x, y",
    [
        (PROBE_X[:, 1:], PROBE_Y),
        (PROBE_X[:5], PROBE_Y),
        (PROBE_X[0], PROBE_Y[0]),
        (PROBE_X, PROBE_Y[:, 1:]),
        (PROBE_X, PROBE_Y.argmax(1)),
        (PROBE_X[:0], PROBE_Y[:0]),
    ],
)
def test_probe_of_another_shape(x, y):
    model = compiled_network()
    with pytest.raises(ValueError) as raised:
        model.fit(X, Y, callbacks=[BurstPropMonitor(x, y)], **FIT)
    message = str(raised.value)
    assert "(examples, 5) and (examples, 3)" in message
    assert f"Received: x.shape={x.shape}, y.shape={y.shape}" in message


# In time.


def in_time(network, x, y, taught):
    """The numbers of a run whose weights do not move, in float64."""
    network.rates = [0.0] * len(network.W)
    kernels, traces, sums, units = network.W, [], [], range(len(network.W))
    sums = [[np.zeros_like(W), np.zeros_like(W)] for W in kernels]
    potentials = [[] for _ in units[:-1]]
    for t in range(x.shape[1]):
        e = network.step(x[:, t], y[:, t], taught[:, t])
        signal = np.where(taught[:, t, None], (y[:, t] - e) * e * (1 - e), 0)
        traces = network.trace
        for m in reversed(units):
            if m < units[-1]:
                e = network.e[m]
                signal = (signal @ kernels[m + 1].T) * e * (1 - e)
                potentials[m].extend(network.u[m][~taught[:, t]])
            p_mean = network.p_mean(m)
            delta = (network.p[m] - p_mean) * network.e[m] * taught[:, t, None]
            sums[m][0] += traces[m].T @ delta
            sums[m][1] += traces[m].T @ signal
    numbers, way = {}, np.eye(y.shape[-1])
    for m in reversed(units):
        numbers[f"layer_{m}/angle_to_backprop"] = degrees(*sums[m])
        if m:
            way = kernels[m] @ way
            numbers[f"layer_{m}/angle_to_feedback"] = degrees(
                way, network.Y[m - 1]
            )
        if m < units[-1]:
            u = np.array(potentials[m])
            p = sigmoid(u)
            numbers[f"layer_{m}/apical_potential"] = np.abs(u).mean()
            numbers[f"layer_{m}/burst_slope"] = (p - p**2).mean()
    return numbers


@pytest.mark.nan
@pytest.mark.parametrize("given", [True, False])
def test_numbers_in_time(given):
    taught = TAUGHT
    if not given:
        taught = np.broadcast_to(np.arange(TAUGHT.shape[1]) % 10 == 9, (3, 60))
    # Nobody may read a target where there is no teacher.
    targets = np.where(taught[..., None], TARGETS, np.nan)
    monitor = BurstPropMonitor(SEQUENCES, targets, taught if given else None)
    start = temporal_reference()
    model = temporal_network(start)
    before = to_numpy(model.burst_layers[0].kernel)
    found = monitor.measure(model)
    assert_close(found, in_time(start, SEQUENCES, TARGETS, taught))
    np.testing.assert_array_equal(
        to_numpy(model.burst_layers[0].kernel), before
    )
    # The output layer's rule is backprop's; the others' is not, yet.
    assert found["layer_2/angle_to_backprop"] < 1e-3
    assert found["layer_0/angle_to_backprop"] > 10


def test_in_time_as_coded_learns_the_opposite_of_as_documented():
    """What one layer hears has the other sign; both are finite."""
    angles = []
    for delay in (0, 1):
        start = temporal_reference(
            "burst_probability_change", apical_delay=delay
        )
        model = temporal_network(
            start, variant="burst_probability_change", apical_delay=delay
        )
        # Feedback as backprop's, so that the angle tells the sign.
        upper = start.W[2]
        model.feedback_kernels[1].assign(upper)
        found = BurstPropMonitor(SEQUENCES, TARGETS, TEACHER).measure(model)
        assert np.isfinite(list(found.values())).all()
        assert found["layer_2/angle_to_feedback"] < 1e-3
        angles.append(found["layer_1/angle_to_backprop"])
    assert angles[0] > 90 > angles[1]


@pytest.mark.parametrize(
    "x, y, weight, message",
    [
        (SEQUENCES[0], TARGETS[0], None, r"\(sequences, time, 4\)"),
        (SEQUENCES, TARGETS[:, :7], None, r"y.shape=\(3, 7, 2\)"),
        (SEQUENCES, TARGETS, TEACHER[:2], r"shape \(3, 60\).*shape=\(2, 60\)"),
        (SEQUENCES[:, :8], TARGETS[:, :8], None, "a teacher in 0% of"),
        (SEQUENCES, TARGETS, np.ones((3, 60)), "a teacher in 100% of"),
    ],
)
def test_probes_of_another_shape_in_time(x, y, weight, message):
    model = temporal_network(temporal_reference())
    with pytest.raises(ValueError, match=message):
        BurstPropMonitor(x, y, weight).measure(model)
