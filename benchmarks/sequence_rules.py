"""Learning in time: bursts beside other rules, and the published versions.

Prints the tables of docs/results.md. Some minutes on one core with JAX:

    KERAS_BACKEND=jax python benchmarks/sequence_rules.py
"""

import argparse
import dataclasses
import time

import keras
import numpy as np

import keras_seqattn as ks
from keras_seqattn import learning_rules
from keras_seqattn._training.tables import markdown_table

SIZES = 500, 200, 3
PUBLISHED = {
    f"{variant}, {timing}": {"variant": variant, "apical_delay": delay}
    for variant, timing, delay in (
        ("weighted_burst_rate_change", "as coded", 0),
        ("weighted_burst_rate_change", "as documented", 1),
        ("burst_probability_change", "as documented", 1),
    )
}


def published_network(seed, **options):
    """With the published rates and first weights."""
    network = ks.models.BurstPropNetwork(
        SIZES[1:],
        mode="temporal",
        stateful=True,
        learning_rate_multipliers=[500, 1],
        **options,
    )
    network.build((1, None, SIZES[0]))
    random = np.random.default_rng(seed)
    for layer in network.burst_layers:
        layer.kernel.assign(random.uniform(-0.1, 0.1, layer.kernel.shape))
        layer.bias.assign(np.full(layer.bias.shape, 0.1))
    (feedback,) = network.feedback_kernels
    feedback.assign(random.uniform(-10, 10, feedback.shape))
    network.compile(keras.optimizers.SGD(0.01), "mse", metrics=["mse"])
    return network


def published_table(epochs, seeds):
    rows = []
    for name, options in PUBLISHED.items():
        learning, free = [], []
        for seed in seeds:
            data = learning_rules.draw_sinusoids(seed)
            network = published_network(seed, **options)
            chunks = ks.tasks.TaughtChunks(*data[:2], 1000, seed=seed)
            history = network.fit(
                chunks, epochs=epochs, shuffle=False, verbose=0
            ).history
            learning.append(f"{history['mse'][-1]:.4f}")
            error = network.evaluate(*data[2:4], verbose=0)[1]
            free.append(f"{error:.4f}")
        rows.append([name, ", ".join(learning), ", ".join(free)])
    return markdown_table(
        [f"MSE after {epochs} epochs", "while learning", "free run"], rows
    )


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--epochs", type=int, default=100)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument(
        "--parts",
        nargs="+",
        choices=("published", "sinusoids", "xor"),
        default=["published", "sinusoids", "xor"],
    )
    arguments = parser.parse_args()
    recipe = dataclasses.replace(
        learning_rules.SEQUENCE_RECIPE, epochs=arguments.epochs
    )
    parts = {
        "published": lambda: published_table(arguments.epochs, arguments.seeds),
        "sinusoids": lambda: learning_rules.compare_on_sequences(
            learning_rules.draw_sinusoids,
            SIZES[1:-1],
            recipe,
            seeds=arguments.seeds,
            verbose=0,
        ).table(),
        "xor": lambda: learning_rules.compare_on_sequences(
            learning_rules.draw_xor_sequences,
            [100],
            recipe,
            seeds=arguments.seeds,
            search=learning_rules.RateSearch(
                trials=12,
                repeats=0,
                output=(0.001, 0.1),
                ratio=(0.5, 16.0),
            ),
            verbose=0,
        ).table(),
    }
    for part in arguments.parts:
        start = time.time()
        table = parts[part]()
        print(f"\n{part}, {time.time() - start:.0f} s\n\n{table}", flush=True)


if __name__ == "__main__":
    main()
