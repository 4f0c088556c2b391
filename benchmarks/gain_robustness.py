"""Is a network of modulated gains more robust than one of fixed activations?

Trains each network on a memory task without noise, and scores it on new
sequences whose input is noisy, shifted or scaled, or whose delay is longer than
any in training. Beside the gain-modulated network: the same with its gains at
rest, which has no memory; recurrent neurons with the same activation, fixed; a
GRU and an LSTM; in the factorial task, one LSTM for each feature too. All have
as many weights as the first, but for the one without memory. The learning rate
is chosen for each by held-out sequences, from a seed that is not scored.

    KERAS_BACKEND=jax python -m benchmarks.gain_robustness --folder FOLDER
    KERAS_BACKEND=jax python -m benchmarks.gain_robustness --task factorial

Prints recall accuracy, the mean over the seeds and its deviation. `--folder`
keeps what is found, and what is there is not run again.
"""

import argparse
import dataclasses
import time

import keras
import numpy as np

import keras_seqattn as ks
from benchmarks.kept import Kept
from keras_seqattn._training.tables import markdown_table
from keras_seqattn._training.tables import mean_and_deviation
from keras_seqattn.learning_rules.search import FIRST_SEED
from keras_seqattn.memory import LOSSES
from keras_seqattn.memory import RECIPES
from keras_seqattn.memory import MemoryTrainer

TASKS = {
    "additive": ks.tasks.additive_task(),
    "factorial": ks.tasks.factorial_task(),
}
RATES = 3e-3, 1e-2, 3e-2
CONTROLLER = 32
# Fewer than 400 steps are enough for modulated gains.
EPOCHS = {"modulated": 8}
MODELS = "modulated", "at rest", "fixed", "gru", "lstm", "each"
NAMES = {
    "modulated": "modulated gains",
    "at rest": "the same, gains at rest",
    "fixed": "recurrent, fixed activations",
    "gru": "GRU",
    "lstm": "LSTM",
    "each": "one LSTM for each feature",
}
CONDITIONS = {
    "as trained": {},
    **{f"noise {size}": {"noise": size} for size in (0.1, 0.2, 0.4)},
    **{f"shift {size:+}": {"shift": size} for size in (0.1, 0.2, -0.2)},
    **{f"times {size}": {"scale": size} for size in (0.5, 0.75, 1.5, 2.0)},
    "longer delay": {"longer": True},
}


@keras.saving.register_keras_serializable(package="benchmarks")
class Each(keras.layers.Layer):
    """One LSTM for every feature by itself: wired as factorial neurons are."""

    def __init__(self, units):
        super().__init__()
        self.lstm = keras.layers.LSTM(units, return_sequences=True)
        self.dense = keras.layers.Dense(1)

    def build(self, shape):
        self.lstm.build((None, None, 1))
        self.dense.build((None, None, self.lstm.units))

    def call(self, x):
        steps, features = keras.ops.shape(x)[1], x.shape[2]
        x = keras.ops.transpose(x, (0, 2, 1))
        x = keras.ops.reshape(x, (-1, steps, 1))
        x = keras.ops.reshape(self.dense(self.lstm(x)), (-1, features, steps))
        return keras.ops.transpose(x, (0, 2, 1))


def build(name, task, preset):
    """A network, from sequences to sequences."""
    modulated = ks.models.build_memory_network(
        preset, controller_units=CONTROLLER
    )
    if name == "modulated":
        return modulated
    x = inputs = keras.Input((None, task.features))
    if name == "each":
        return keras.Model(inputs, Each(CONTROLLER)(x))
    if name == "at rest":
        x = keras.layers.Dense(20, ks.activations.gain_softplus)(x)
    else:
        x = recurrent(name, task, modulated.count_params())(x)
    return keras.Model(inputs, keras.layers.Dense(task.outputs)(x))


def recurrent(name, task, weights):
    """A layer that with its readout has at most so many weights."""
    f, o = task.features, task.outputs
    gates, biases = {"fixed": (1, 1), "gru": (3, 2), "lstm": (4, 1)}[name]
    units = 1
    while (
        gates * (units + 1) * (f + units + 1 + biases) + o * (units + 2)
        <= weights
    ):
        units += 1
    if name == "fixed":
        return keras.layers.SimpleRNN(
            units, ks.activations.gain_softplus, return_sequences=True
        )
    layer = {"gru": keras.layers.GRU, "lstm": keras.layers.LSTM}[name]
    return layer(units, return_sequences=True)


def score(model, task, seed, noise=0.0, shift=0.0, scale=1.0, longer=False):
    """Share of right answers to 2000 sequences that no training has seen."""
    if longer:
        span = task.delay_range[1]
        task = dataclasses.replace(task, delay_range=(span + 1, 2 * span))
    batch = task.sample(2000, (seed, 2))
    x = scale * batch.x + shift
    x += noise * np.random.default_rng((seed, 3)).normal(size=x.shape)
    outputs = model.predict(x, batch_size=500, verbose=0)
    return float(task.correct(outputs, batch).mean())


def run(name, given):
    """Accuracies of each condition and seed, and what was chosen."""
    task, start = TASKS[given.task], time.process_time()
    trainers, held_out = {}, {}
    for rate in given.rates:
        recipe = dataclasses.replace(
            RECIPES[given.task],
            epochs=EPOCHS.get(name, given.epochs),
            learning_rate=rate,
        )
        trainers[rate] = MemoryTrainer(
            lambda: build(name, task, given.task),
            task,
            recipe,
            loss=LOSSES[given.task],
        )
        history = trainers[rate].fit(FIRST_SEED, verbose=0)
        held_out[rate] = min(history["val_loss"])
    best = min(held_out, key=held_out.get)
    trainer, found = trainers[best], {condition: [] for condition in CONDITIONS}
    for seed in given.seeds:
        trainer.fit(seed, verbose=0)
        for condition, change in CONDITIONS.items():
            one = score(trainer.model, task, seed, **change)
            found[condition].append(one)
    return {
        "accuracy": found,
        "rate": best,
        "held_out": held_out,
        "weights": trainer.model.count_params(),
        "minutes": (time.process_time() - start) / 60,
    }


def main():
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--task", choices=TASKS, default="additive")
    parser.add_argument("--models", nargs="+", default=MODELS)
    parser.add_argument("--epochs", type=int, default=20, help="of 50 steps")
    parser.add_argument("--rates", type=float, nargs="+", default=RATES)
    parser.add_argument("--seeds", type=int, nargs="+", default=range(3))
    parser.add_argument("--folder", help="keeps what was found")
    given = parser.parse_args()
    kept, task, found = Kept(given.folder), TASKS[given.task], {}
    for name in given.models:
        if name == "each" and task.features != task.outputs:
            continue
        found[name] = kept.get(f"{given.task}_{name}", run, name, given)
        print(name, found[name], flush=True)
    rows = [
        ["weights", *(f"{one['weights']:,}" for one in found.values())],
        ["learning rate", *(f"{one['rate']:g}" for one in found.values())],
    ]
    for condition in CONDITIONS:
        scores = (one["accuracy"][condition] for one in found.values())
        rows.append([condition, *map(mean_and_deviation, scores)])
    print(markdown_table([given.task, *(NAMES[name] for name in found)], rows))
    minutes = sum(one["minutes"] for one in found.values())
    print(f"chance {task.chance:.3f}, without binding", end=" ")
    print(f"{task.no_binding_accuracy:.3f}; {minutes:.0f} minutes of CPU")


if __name__ == "__main__":
    main()
