"""LARNN beside LSTM, GRU and attention: what was shown some steps ago?

Trains each on sequences it never sees twice, and scores it on new ones by the
delay: while all that was shown is among the last cells that LARNN attends to
(`--window`), while a part is, and when nothing is.

    recall_3             one of 4 values with each of 3 of 4 keys, which are
                         asked for, each after a delay
    recall_4, recall_8   one of 8 values with each of 4 or 8 of 8 keys; four
                         of the keys are asked for
    distractors          recall_4, with a pair in every fifth step that is
                         never asked for
    copy                 8 symbols of 8, all to be repeated after a delay

    KERAS_BACKEND=jax python -m benchmarks.recall --folder FOLDER

All have as many weights as LARNN. The learning rate is chosen for each model
and task by held-out sequences, from the first seed; the others are trained with
it. `attention` is one causal layer over all steps, with learned positions: it
has no window. `--convolution` puts a causal convolution of two steps before
each; `random_window` is LARNN that in training hears a random number of cells
(after arXiv:2509.24552). `--folder` keeps what is found, and what is there is
not run again.
"""

import argparse
import bisect
import dataclasses
import time

import keras
import numpy as np

import keras_seqattn as ks
from benchmarks.kept import Kept
from benchmarks.kept import sweep
from keras_seqattn._training.tables import markdown_table
from keras_seqattn._training.tables import mean_and_deviation
from keras_seqattn.memory import MemoryTrainer
from keras_seqattn.memory import RecallLoss
from keras_seqattn.memory import Recipe

RATES = 1e-3, 3e-3, 1e-2
TASKS = "recall_3", "recall_4", "recall_8", "distractors", "copy"
MODELS = "larnn", "lstm", "gru", "attention"
LARNNS = "larnn", "random_window"


@dataclasses.dataclass(frozen=True)
class Copy:
    """Symbols, a delay, and as many steps in which each is due in order."""

    symbols: int = 8
    length: int = 8
    delay_range: tuple[int, int] = (2, 24)

    chance = property(lambda self: 1 / self.symbols)
    outputs = property(lambda self: self.symbols)
    features = property(lambda self: self.symbols + 1)

    def sample(self, batch_size, seed=None):
        rng, n = np.random.default_rng(seed), self.length
        values = rng.integers(self.symbols, size=(batch_size, n))
        first = rng.integers(*self.delay_range, batch_size, endpoint=True)
        steps, row = first[:, None] + n - 1 + np.arange(n), np.arange(n)
        shape = batch_size, self.delay_range[1] + 2 * n
        x = np.zeros((*shape, self.features), "float32")
        y = np.zeros((*shape, self.symbols), "float32")
        response, each = np.zeros(shape, bool), np.arange(batch_size)[:, None]
        x[each, row, values] = 1
        x[each, steps, -1] = y[each, steps, values] = 1
        response[each, steps] = True
        return ks.tasks.MemoryBatch(
            x, y, response, x[..., :-1].any(axis=2), values, steps,
            np.repeat(first[:, None], n, axis=1), np.tile(row, (batch_size, 1)),
            values, np.tile(row, (batch_size, 1)),
        )  # fmt: skip

    def correct(self, outputs, batch):
        found = outputs.argmax(axis=2)[np.arange(len(batch))[:, None],
                                       batch.query_step]  # fmt: skip
        return found == batch.answer


def make_task(name, longest):
    """A task whose longest delay is so long."""
    if name == "copy":
        return Copy(delay_range=(2, longest))
    pairs = {"recall_3": 3, "recall_8": 8}.get(name, 4)
    return ks.tasks.CueAssociation(
        num_keys=4 if pairs == 3 else 8,
        num_values=4 if pairs == 3 else 8,
        num_pairs=pairs,
        num_queries=min(pairs, 4),
        delay_range=(2, longest),
        amplitude=1.0,
        query_amplitude=1.0,
        distractor_rate=0.2 if name == "distractors" else 0.0,
        copy_cue=False,
    )


@keras.saving.register_keras_serializable(package="benchmarks")
class CausalAttention(keras.layers.Layer):
    """Positions, one causal layer of four heads, a residual, a norm."""

    def build(self, shape):
        self.positions = self.add_weight(
            shape=shape[1:], initializer=keras.initializers.RandomNormal(0, 0.1)
        )
        self.attention = keras.layers.MultiHeadAttention(4, shape[-1] // 4)
        self.attention.build(shape, shape)
        self.norm = keras.layers.LayerNormalization()
        self.norm.build(shape)

    def call(self, x):
        x = x + self.positions
        return self.norm(x + self.attention(x, x, use_causal_mask=True))


@keras.saving.register_keras_serializable(package="benchmarks")
class RandomWindowLARNN(ks.layers.LARNN):
    """In training each batch hears a random number of newest cells.

    The others' scores are dropped after the softmax, and nothing is scaled up
    for them: a simple form of a random window.
    """

    def build(self, shape):
        super().build(shape)
        self.random = keras.random.SeedGenerator(0)
        own_tensors, window = self.cell.tensors, self.cell.window_size

        def tensors(training=False):
            w = own_tensors(training)
            if not training:
                return w
            seen = keras.random.randint((), 1, window + 1, seed=self.random)
            ages = keras.ops.arange(window, 0, -1)[:, None, None]
            mask = keras.ops.cast(ages <= seen, "float32")
            return w._replace(attention_mask=mask)

        self.cell.tensors = tensors


def build(name, units, shape, outputs, given):
    """A model of sequences of a shape, with outputs at each step."""
    x = inputs = keras.Input(shape)
    if given.convolution:
        x = keras.layers.Conv1D(shape[1], 2, padding="causal")(x)
    if name == "attention":
        x = CausalAttention()(keras.layers.Dense(units)(x))
        x = keras.layers.Dense(2 * units, "relu")(x)
    elif name in LARNNS:
        layer = ks.layers.LARNN if name == "larnn" else RandomWindowLARNN
        x = layer(units, window_size=given.window, return_sequences=True)(x)
    else:
        layer = {"lstm": keras.layers.LSTM, "gru": keras.layers.GRU}[name]
        x = layer(units, return_sequences=True)(x)
    return keras.Model(inputs, keras.layers.Dense(outputs)(x))


def widest(name, *others):
    """Units of a model with at most the weights of LARNN."""
    units = others[-1].units
    if name in LARNNS:
        return units
    most = build("larnn", units, *others).count_params()
    step = 4 if name == "attention" else 1  # It has four heads.
    sizes = range(units, 3 * units, step)
    fits = bisect.bisect(
        sizes, most, key=lambda n: build(name, n, *others).count_params()
    )
    return sizes[fits - 1]


def run(name, task, given):
    """Accuracy by delay of each seed, and what was chosen."""
    start, shown = time.process_time(), getattr(task, "num_pairs", 8)
    edges = 2, given.window - shown + 1, given.window + 1, given.longest + 1
    shape = task.sample(1, 0).x.shape[1:], task.outputs
    units = widest(name, *shape, given)

    def train(rate, seed):
        recipe = Recipe(given.epochs, learning_rate=rate, floor=0.05)
        trainer = MemoryTrainer(
            lambda: build(name, units, *shape, given),
            task,
            recipe,
            loss=RecallLoss("crossentropy"),
        )
        history = trainer.fit(seed, verbose=0)
        held_out = min(history["val_loss"])
        right = [accuracy >= 0.99 for accuracy in history["val_accuracy"]]
        solved = 50 * (right.index(True) + 1) if any(right) else None
        outputs, batch = trainer.test(seed)
        correct = task.correct(outputs, batch)
        by_delay = ks.tasks.accuracy_by_delay(correct, batch.delay, edges)
        weights = trainer.model.count_params()
        return held_out, by_delay.accuracy.tolist(), solved, weights

    tried, best, found = sweep(train, given.rates, given.seeds)
    return {
        "accuracy": [accuracy for _, accuracy, _, _ in found],
        "solved": [solved for _, _, solved, _ in found],
        "tried": {rate: one[:3] for rate, one in tried.items()},
        "rate": best,
        "weights": found[0][3],
        "minutes": (time.process_time() - start) / 60,
    }


def main():
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--tasks", nargs="+", default=TASKS)
    parser.add_argument("--models", nargs="+", default=MODELS)
    parser.add_argument("--rates", type=float, nargs="+", default=RATES)
    parser.add_argument("--epochs", type=int, default=20, help="of 50 steps")
    parser.add_argument("--seeds", type=int, nargs="+", default=range(2))
    parser.add_argument("--units", type=int, default=32, help="of LARNN")
    parser.add_argument("--window", type=int, default=12)
    parser.add_argument("--longest", type=int, default=24, help="delay")
    parser.add_argument("--convolution", action="store_true")
    parser.add_argument("--folder", help="keeps what was found")
    given = parser.parse_args()
    kept, rows, minutes = Kept(given.folder), [], 0
    for label in given.tasks:
        task = make_task(label, given.longest)
        known = getattr(task, "no_binding_accuracy", task.chance)
        simple = [f"{task.chance:.3f}, {known:.3f}"] * 3
        rows.append([label, "chance, no binding", "", "", *simple, ""])
        for name in given.models:
            own = f"{label}_{name}{'_2' * given.convolution}"
            one = kept.get(own, run, name, task, given)
            print(label, name, one, flush=True)
            minutes += one["minutes"]
            accuracy = map(
                mean_and_deviation, zip(*one["accuracy"], strict=True)
            )
            weights, rate = f"{one['weights']:,}", f"{one['rate']:g}"
            solved = ", ".join(str(steps or "never") for steps in one["solved"])
            rows.append([label, name, weights, rate, *accuracy, solved])
    delays = "all in the window", "some", "none"
    head = ["task", "model", "weights", "rate", *delays, "steps to 0.99"]
    print(markdown_table(head, rows))
    print(f"{minutes:.0f} minutes of CPU")


if __name__ == "__main__":
    main()
