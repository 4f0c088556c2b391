"""A thousand steps in time with learning, 500-200-3, one sequence.

Beside them the same rule, a step at a time, in float64 NumPy, as the original
is.
"""

import functools

import keras

import keras_seqattn as ks
from benchmarks.sequence_rules import PUBLISHED
from benchmarks.sequence_rules import published_network
from tests.reference.temporal_burst_prop import AsCoded
from tests.reference.temporal_burst_prop import MovingAverage

STEPS = 1000


def sequences(options, reference):
    x, y = ks.tasks.Sinusoids(steps=STEPS).sample()
    teacher = ks.tasks.TaughtChunks(x, y, STEPS).teacher(0)
    network = published_network(0, **options)
    kernels, biases = (
        [
            keras.ops.convert_to_numpy(getattr(layer, name))
            for layer in network.burst_layers
        ]
        for name in ("kernel", "bias")
    )
    feedback = [
        keras.ops.convert_to_numpy(kernel)
        for kernel in network.feedback_kernels
    ]
    twin = reference(kernels, biases, feedback, [5, 0.01])

    def in_numpy():
        for t in range(STEPS):
            twin.step(x[:, t], y[:, t], teacher[:, t] > 0)

    return {
        "BurstPropNetwork": lambda: network.train_on_batch(
            x, y, sample_weight=teacher
        ),
        "NumPy": in_numpy,
    }


CASES = {
    "moving average": functools.partial(sequences, {}, MovingAverage),
    "weighted burst rate change": functools.partial(
        sequences, PUBLISHED["weighted_burst_rate_change, as coded"], AsCoded
    ),
}
