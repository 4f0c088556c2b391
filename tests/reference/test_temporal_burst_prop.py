"""The reference reproduces what the published code of 2017 computed."""

import numpy as np
import pytest

from tests.reference.temporal_burst_prop import AsCoded
from tests.reference.temporal_burst_prop import MovingAverage

TAUGHT = (5, 8, 9)

# Final first rows of W0, b0, W1, b1 and Y (units first, as published; None
# where it is fixed), then the sums of W0 and W1.
W1_B1 = [[0.066491, -0.381583, -0.482752], [0.093542, 0.075314]]
FINAL = {
    ("weighted_burst_rate_change", 0.0): [
        [0.413059, 0.450497, 0.064405, -0.390246],
        [0.079694, 0.090080, 0.104123],
        *W1_B1,
        [1.818595, 0.282240],
        [-0.101570, -0.151448],
    ],
    ("weighted_burst_rate_change", 0.1): [
        [0.413167, 0.450567, 0.064468, -0.390152],
        [0.079903, 0.090280, 0.104273],
        *W1_B1,
        [1.824020, 0.289087],
        [-0.100685, -0.151449],
    ],
    ("burst_rate_change", 0.0): [
        [0.404655, 0.445665, 0.057673, -0.402602],
        [0.058128, 0.079046, 0.106643],
        [0.066481, -0.381549, -0.482791],
        [0.093536, 0.075323],
        [1.818595, 0.282240],
        [-0.147137, -0.151449],
    ],
    ("burst_probability_change", 0.0): [
        [0.441680, 0.469734, 0.080762, -0.367618],
        [0.132717, 0.027903, 0.152794],
        [0.066451, -0.381447, -0.482803],
        [0.093575, 0.075285],
        [1.818595, 0.282240],
        [-0.040367, -0.151449],
    ],
    ("burst_probability_change", 0.1): [
        [0.442330, 0.470154, 0.081147, -0.367040],
        [0.133990, 0.029156, 0.154545],
        [0.066449, -0.381449, -0.482805],
        [0.093573, 0.075287],
        [1.830059, 0.296940],
        [-0.033538, -0.151454],
    ],
}

# During weighted_burst_rate_change without feedback learning, by step. Loss:
# of the output's rates of the step before.
RUN = {
    4: {
        "e0": [0.656801, 0.478044, 0.449311],
        "e1": [0.447166, 0.588445],
        "g": [0.489648, -0.902691, 0.261656],
        "p": [0.620024, 0.288498, 0.565043],
        "bursts": [0.407232, 0.137915, 0.253880],
    },
    5: {
        "e1": [0.480088, 0.428979],
        "p": [0.677412, 0.226876, 0.569183],
        "loss": 0.05450871,
    },
    6: {
        "e0": [0.637794, 0.473445, 0.475998],
        "e1": [0.441384, 0.586237],
        "p": [0.701622, 0.181055, 0.598947],
        "bursts": [0.447490, 0.085720, 0.285098],
    },
    9: {
        "e1": [0.352369, 0.542942],
        "p": [0.696617, 0.170012, 0.619729],
        "loss": 0.00526701,
    },
    11: {
        "e0": [0.519253, 0.596231, 0.424250],
        "e1": [0.425885, 0.594743],
        "g": [0.915190, -1.735129, 0.528947],
        "bursts": [0.370778, 0.089395, 0.266954],
    },
}


def sine(rows, columns, start):
    """Published weights, units first."""
    i, j = np.arange(rows)[:, None], np.arange(columns)
    return np.sin(start + columns * i + j)


def golden_network(batch=1, **options):
    kernels = [0.5 * sine(3, 4, 1).T, 0.5 * sine(2, 3, 3).T]
    biases = [np.full(3, 0.1), np.full(2, 0.1)]
    feedback = [2 * sine(3, 2, 2)]
    return AsCoded(kernels, biases, feedback, (5, 0.5), batch=batch, **options)


def golden_inputs(t):
    x = 0.5 + 0.3 * np.sin(0.4 * t + np.arange(4))
    target = 0.5 + 0.25 * np.cos(0.3 * t + 2 * np.arange(2))
    return x[None], target[None], np.array([t in TAUGHT])


@pytest.mark.parametrize("variant, feedback_rate", FINAL)
def test_final_weights(variant, feedback_rate):
    network = golden_network(variant=variant, feedback_rate=feedback_rate)
    for t in range(12):
        network.step(*golden_inputs(t))
    W0, W1 = network.W
    found = [W0[:, 0], network.b[0], W1[:, 0], network.b[1], network.Y[0][0]]
    found.append([W0.sum(), W1.sum()])
    for value, expected in zip(
        found, FINAL[variant, feedback_rate], strict=True
    ):
        np.testing.assert_allclose(value, expected, rtol=0, atol=6e-7)


def test_run():
    network = golden_network()
    for t in range(12):
        x, target, present = golden_inputs(t)
        before = network.e[1]
        network.step(x, target, present)
        found = {
            "e0": network.e[0],
            "e1": network.e[1],
            "g": network.g[0],
            "p": network.p[0],
            "bursts": network.bursts[0],
            "loss": ((target - before) ** 2).mean(),
        }
        for name, expected in RUN.get(t, {}).items():
            atol = 6e-9 if name == "loss" else 6e-7
            np.testing.assert_allclose(
                np.squeeze(found[name]), expected, rtol=0, atol=atol
            )


def test_sequences_of_a_batch_only_share_their_updates():
    """Until the first update each runs alone; then gradients are summed."""
    together, alone = (
        golden_network(batch=2),
        [golden_network(), golden_network()],
    )
    for t in range(6):
        x, target, present = golden_inputs(t)
        both = np.concatenate([x, 1 - x]), np.concatenate([target, 1 - target])
        together.step(*both, np.repeat(present, 2))
        alone[0].step(x, target, present)
        alone[1].step(1 - x, 1 - target, present)
    start = golden_network().W[1]
    moved = sum(network.W[1] - start for network in alone)
    np.testing.assert_allclose(together.W[1] - start, moved, atol=1e-12)
    np.testing.assert_allclose(together.p[0][1:], alone[1].p[0], atol=1e-12)


def test_every_hidden_layer_learns():
    """Two hidden layers: each hears the output directly."""
    kernels = [sine(3, 4, 1).T, sine(5, 3, 2).T, sine(2, 5, 3).T]
    biases = [np.full(n, 0.1) for n in (3, 5, 2)]
    feedback = [sine(3, 2, 4), sine(5, 2, 5)]
    network = AsCoded(kernels, biases, feedback, (1, 1, 1))
    for t in range(12):
        network.step(*golden_inputs(t))
    for kernel, start in zip(network.W, kernels, strict=True):
        assert np.all(kernel != start)


def rule_of_2021(**options):
    kernels = [0.5 * sine(3, 4, 1).T, 0.5 * sine(2, 3, 3).T]
    feedback = [2 * sine(3, 2, 2)]
    return MovingAverage(
        kernels, [np.zeros(3), np.zeros(2)], feedback, (1, 0.1), **options
    )


def test_output_learns_its_gradient():
    """Its update is k p0 times that of the squared error by the trace."""
    network = rule_of_2021()
    for t in range(5):
        network.step(golden_inputs(t)[0])
    before = network.W[1]
    x, target, _ = golden_inputs(5)
    e = network.step(x, target, np.array([True]))
    gradient = network.trace[1].T @ ((e - target) * e * (1 - e))
    np.testing.assert_allclose(
        network.W[1] - before, -0.1 * 0.8 * gradient, rtol=1e-12
    )


def test_hidden_layer_learns_the_signal_that_was_meant():
    """In a settled network, the teacher's share of the burst probability.

    Exact for a weak teacher, as the sigmoid is not linear.
    """
    network = rule_of_2021(teacher_strength=1e-4)
    x, target, present = golden_inputs(5)
    for _ in range(100):
        network.step(x)
    e = network.step(x, target, present)
    p = network.p_mean(0)
    sent = 0.2 * 1e-4 * (target - e) * e * (1 - e)
    meant = p * (1 - p) * (1 - network.e[0]) * (sent @ network.Y[0].T)
    np.testing.assert_allclose(network.p[0] - p, meant, rtol=1e-3)


def test_bursts_stay_probabilities_and_absent_targets_are_not_read():
    network = rule_of_2021()
    network.b[1] = np.array([30.0, -30.0])
    present = np.array([True])
    network.step(np.ones((1, 4)), np.array([[0.0, 1.0]]), present)
    np.testing.assert_allclose(network.p[1], [[0.2, 1.0]], atol=1e-6)
    network.step(np.ones((1, 4)), np.full((1, 2), np.nan), ~present)
    assert np.isfinite(network.W[0]).all()
