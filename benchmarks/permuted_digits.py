"""LARNN beside LSTM, GRU and attention: digits, one pixel at a step.

scikit-learn's digits of 8x8 pixels, one pixel at each of 64 steps, in an order
that is random and the same for all images; the class is read at the last step.
Models are those of `benchmarks/recall.py`, with as many weights as LARNN of
`--units`. The learning rate is chosen for each by a fifth of the training part,
from the first seed; with it the others are trained.

    KERAS_BACKEND=jax python -m benchmarks.permuted_digits --folder FOLDER

Prints test errors in percent. LARNN is tried with each of `--windows`.
`--folder` keeps what is found, and what is there is not run again.
"""

import argparse
import functools
import time

import keras
import numpy as np

from benchmarks.burst_depth import percent
from benchmarks.kept import Kept
from benchmarks.kept import sweep
from benchmarks.recall import build
from benchmarks.recall import widest
from keras_seqattn._training.recipe import Recipe
from keras_seqattn._training.seeded_model import SeededModel
from keras_seqattn._training.tables import markdown_table
from keras_seqattn.learning_rules import load_digits
from keras_seqattn.learning_rules.images.baseline import logistic_error

ORDER = np.random.default_rng(0).permutation(64)
SHAPE = (64, 1), 10  # Pixels in time, and classes.
RATES = 3e-3, 1e-2, 3e-2


def sequences(pixels):
    return pixels[:, ORDER, None]


def run(name, images, given):
    """Test errors of all seeds, and what was chosen."""
    start, held_out = time.process_time(), images.hold_out()
    x, y = sequences(held_out.x_train), held_out.y_train
    units = widest(name, *SHAPE, given)

    def network():
        model = build(name, units, *SHAPE, given)
        return keras.Model(model.inputs, model.output[:, -1])

    @functools.cache
    def trainer(rate):
        recipe = Recipe(given.epochs, learning_rate=rate, floor=0.05)
        size = recipe.batch_size
        return recipe, SeededModel(
            network,
            recipe.make_optimizer(-(-len(x) // size)),
            keras.losses.SparseCategoricalCrossentropy(from_logits=True),
            (x[:size], y[:size]),
        )

    def train(rate, seed):
        """Lowest loss of the validation part, errors of it and of the test."""
        recipe, trained = trainer(rate)
        history = trained.fit(
            seed, x, y, batch_size=recipe.batch_size, epochs=recipe.epochs,
            validation_data=(sequences(held_out.x_test), held_out.y_test),
            validation_batch_size=512, callbacks=[recipe.early_stopping()],
            title=name, verbose=0,
        )  # fmt: skip
        errors = []
        for part in (held_out, images):
            logits = trained.model.predict(
                sequences(part.x_test), batch_size=512, verbose=0
            )
            errors.append(float(np.mean(logits.argmax(1) != part.y_test)))
        weights = trained.model.count_params()
        return min(history["val_loss"]), *errors, weights

    tried, best, found = sweep(train, given.rates, given.seeds)
    _, validation, test, weights = zip(*found, strict=True)
    return {
        "validation": validation,
        "test": test,
        "tried": {rate: one[:2] for rate, one in tried.items()},
        "rate": best,
        "weights": weights[0],
        "minutes": (time.process_time() - start) / 60,
    }


def main():
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--models", nargs="+", default=("lstm", "gru", "attention")
    )
    parser.add_argument("--windows", type=int, nargs="+", default=(12, 30))
    parser.add_argument("--rates", type=float, nargs="+", default=RATES)
    parser.add_argument("--epochs", type=int, default=60)
    parser.add_argument("--seeds", type=int, nargs="+", default=range(2))
    parser.add_argument("--units", type=int, default=32, help="of LARNN")
    parser.add_argument("--convolution", action="store_true")
    parser.add_argument("--folder", help="keeps what was found")
    given = parser.parse_args()
    kept, images, minutes = Kept(given.folder), load_digits(), 0
    rows = [
        ["chance", "", "", "", f"{100 * images.chance:.2f}"],
        ["logistic regression", "", "", "",
         f"{100 * logistic_error(images):.2f}"],
    ]  # fmt: skip
    for name, window in (
        *(("larnn", window) for window in given.windows),
        *((name, given.windows[0]) for name in given.models),
    ):
        given.window = window
        label = f"larnn, window {window}" if name == "larnn" else name
        own = label + ", convolution" * given.convolution
        one = kept.get(own, run, name, images, given)
        print(label, one, flush=True)
        minutes += one["minutes"]
        errors = percent(one["validation"]), percent(one["test"])
        rows.append([label, f"{one['weights']:,}", f"{one['rate']:g}", *errors])
    head = ["model", "weights", "rate", "validation error, %", "test error, %"]
    print(markdown_table(head, rows))
    print(f"{minutes:.0f} minutes of CPU")


if __name__ == "__main__":
    main()
