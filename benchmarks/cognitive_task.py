"""Modulated gains beside LSTM and GRU: a decision between two noisy lines.

A task of neurogym, `PerceptualDecisionMaking-v0`: two noisy lines for 20 steps,
then, at one step at which nothing is shown, the answer which was higher on
average. Served to `fit` by `tasks.TrialBatches`. Beside the gain-modulated
network: the same with its gains at rest, which has no memory; an LSTM and a
GRU of as many weights. The learning rate is chosen for each by held-out trials,
from the first seed; with it the others are trained.

    pip install neurogym
    KERAS_BACKEND=jax python -m benchmarks.cognitive_task --folder FOLDER

Prints the share of right answers in 2000 new trials, the mean over the seeds
and its deviation. `--folder` keeps what is found, and what is there is not run
again.
"""

import argparse
import functools
import time
import types

import keras
import neurogym
import numpy as np

import keras_seqattn as ks
from benchmarks.gain_robustness import NAMES
from benchmarks.gain_robustness import recurrent
from benchmarks.kept import Kept
from benchmarks.kept import sweep
from keras_seqattn._training.recipe import Recipe
from keras_seqattn._training.seeded_model import SeededModel
from keras_seqattn._training.tables import markdown_table
from keras_seqattn._training.tables import mean_and_deviation

TASK = "PerceptualDecisionMaking-v0"
TRIAL = 22  # Steps: one to begin with, 20 of the lines, one to answer.
SIZE = types.SimpleNamespace(features=3, outputs=3)
RATES = 3e-3, 1e-2, 3e-2
MODELS = "modulated", "at rest", "gru", "lstm"
STEPS = 50  # Of an epoch.


@functools.cache
def drawn(seed, stream, batch_size, count):
    """Pairs of a seed: drawn once, for all networks."""
    env = neurogym.make(TASK, dt=100).unwrapped
    # Without a cache each batch begins with the first step of a trial.
    dataset = neurogym.Dataset(
        env, batch_size=batch_size, seq_len=TRIAL, cache_len=0
    )
    # Each of its environments has a seed of its own, one after the other.
    dataset.seed(100_000 * (3 * seed + stream))
    return [dataset() for _ in range(count)]


def trials(seed, stream, batch_size, steps, epochs=1):
    pairs = drawn(seed, stream, batch_size, steps * epochs)
    return ks.tasks.TrialBatches(iter(pairs), steps, time_major=True)


def build(name, units):
    """A network, from sequences to sequences of logits."""
    modulated = ks.models.build_memory_network(
        "association",
        features=SIZE.features,
        units=units,
        outputs=SIZE.outputs,
        controller_units=16,
    )
    if name == "modulated":
        return modulated
    x = inputs = keras.Input((None, SIZE.features))
    if name == "at rest":
        x = keras.layers.Dense(units, ks.activations.gain_softplus)(x)
    else:
        x = recurrent(name, SIZE, modulated.count_params())(x)
    return keras.Model(inputs, keras.layers.Dense(SIZE.outputs)(x))


def right(outputs, y):
    """Share of trials whose action at the last step is the right one."""
    return float(np.mean(outputs[:, -1].argmax(axis=1) == y[:, -1]))


def summed(x, y):
    """The same of adding up each line: no one can know more."""
    return float(np.mean(x[..., 1:].sum(axis=1).argmax(axis=1) + 1 == y[:, -1]))


def run(name, given):
    start = time.process_time()

    @functools.cache
    def trainer(rate):
        recipe = Recipe(given.epochs, learning_rate=rate, floor=0.05)
        return recipe, SeededModel(
            lambda: build(name, given.units),
            recipe.make_optimizer(STEPS),
            keras.losses.SparseCategoricalCrossentropy(from_logits=True),
            trials(0, 0, recipe.batch_size, STEPS, given.epochs)[0],
        )

    def train(rate, seed):
        """Lowest loss on held-out trials; right answers in new ones."""
        recipe, trained = trainer(rate)
        history = trained.fit(
            seed,
            trials(seed, 0, recipe.batch_size, STEPS, recipe.epochs),
            epochs=recipe.epochs,
            validation_data=trials(seed, 1, 1000, 1)[0],
            validation_batch_size=1000,
            callbacks=[recipe.early_stopping()],
            title=name,
            verbose=0,
        )
        x, y = trials(seed, 2, 2000, 1)[0]
        outputs = trained.model.predict(x, batch_size=500, verbose=0)
        return min(history["val_loss"]), right(outputs, y)

    tried, best, found = sweep(train, given.rates, given.seeds)
    return {
        "accuracy": [accuracy for _, accuracy in found],
        "tried": {rate: loss for rate, (loss, _) in tried.items()},
        "rate": best,
        "weights": build(name, given.units).count_params(),
        "minutes": (time.process_time() - start) / 60,
    }


def main():
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--models", nargs="+", default=MODELS)
    parser.add_argument("--units", type=int, default=8, help="modulated")
    parser.add_argument("--epochs", type=int, default=20, help="of 50 steps")
    parser.add_argument("--rates", type=float, nargs="+", default=RATES)
    parser.add_argument("--seeds", type=int, nargs="+", default=range(2))
    parser.add_argument("--folder", help="keeps what was found")
    given = parser.parse_args()
    kept, minutes = Kept(given.folder), 0
    best = [summed(*trials(seed, 2, 2000, 1)[0]) for seed in given.seeds]
    rows = [
        ["chance", "", "", "0.500"],
        ["both lines added up", "", "", mean_and_deviation(best)],
    ]
    for name in given.models:
        one = kept.get(name, run, name, given)
        print(name, one, flush=True)
        minutes += one["minutes"]
        accuracy = mean_and_deviation(one["accuracy"])
        weights, rate = f"{one['weights']:,}", f"{one['rate']:g}"
        rows.append([NAMES[name], weights, rate, accuracy])
    print(markdown_table(["network", "weights", "rate", "right answers"], rows))
    print(f"{minutes:.0f} minutes of CPU")


if __name__ == "__main__":
    main()
