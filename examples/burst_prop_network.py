"""
Title: Learn by bursts
Author: The keras_seqattn authors
Date created: 2026/11/22
Last modified: 2026/11/22
Description: Neurons say what they saw by events, and how those below should
    change by which events are bursts. Is that as good as backpropagation?

Without arguments the same network learns scikit-learn's digits (8x8 pixels,
nothing to download; `pip install scikit-learn`) by every rule, each with
learning rates of its own. `--data` is MNIST: a folder with the original files,
or Keras' `mnist.npz`:

    python examples/burst_prop_network.py
    python examples/burst_prop_network.py --trials 24 --seeds 0 1 2 3 4
    python examples/burst_prop_network.py --data mnist.npz --hidden 200 100 \
        --epochs 10
"""

import argparse
import json
import pathlib
import time

import keras
import numpy as np

import keras_seqattn as ks
from keras_seqattn import learning_rules


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--task", choices=TASKS, default="digits")
    parser.add_argument("--data", help="MNIST's folder or `.npz` file")
    parser.add_argument(
        "--methods",
        nargs="+",
        choices=learning_rules.METHODS,
        default=list(learning_rules.METHODS),
    )
    parser.add_argument("--hidden", type=int, nargs="+", default=[100, 100])
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--trials", type=int, default=12)
    parser.add_argument("--epochs", type=int, default=40)
    parser.add_argument("--batch-size", type=int, default=32)
    parser.add_argument("--output", default="results/burst_prop_network")
    return parser.parse_args()


"""
## Handwritten digits

Four rules train the same network from the same weights. Backpropagation sends
exact gradients down. Burstprop sends bursts through feedback weights, which
come to resemble the forward ones (`feedback="kolen_pollack"`) or stay as they
were drawn. Feedback alignment sends gradients through weights as they were
drawn. And last, the output layer learns alone, below it nothing changes: what
the hidden layers learn is worth the difference.

Each rule scales its updates differently, so each gets its own learning rates
from the same search: as many trials, the same ranges in the rule's units, on
images cut from the training part. The test images are looked at once.
"""


def learn_digits(arguments: argparse.Namespace, output: pathlib.Path) -> None:
    images = (
        learning_rules.load_mnist(arguments.data)
        if arguments.data
        else learning_rules.load_digits()
    )
    start = time.time()
    report = learning_rules.compare_learning_rules(
        images,
        arguments.hidden,
        methods=arguments.methods,
        search=learning_rules.RateSearch(arguments.trials),
        seeds=arguments.seeds,
        epochs=arguments.epochs,
        batch_size=arguments.batch_size,
    )
    print(f"\n{time.time() - start:.0f} s.\n\n{report.table()}\n")
    (output / "digits.json").write_text(
        json.dumps(report.to_dict(), indent=1, allow_nan=False)
    )
    print(
        f"In {output}/:\n"
        "  digits.json           every number, with the learning curves"
    )
    if "burstprop" in report.results:
        network = report.results["burstprop"].model
        save_network(network, images.x_test[:100], output)


"""
## The files

A network is a file that needs nothing but `import keras_seqattn`, and a
SavedModel that does not need that either.
"""


def save_network(
    network: keras.Model, x: np.ndarray, output: pathlib.Path
) -> None:
    network.save(output / "network.keras")
    loaded = keras.saving.load_model(output / "network.keras")
    np.testing.assert_allclose(
        loaded.predict(x, verbose=0),
        network.predict(x, verbose=0),
        rtol=1e-5,
        atol=1e-5,
    )
    # In a functional model: on torch the export reads a file, and of a class
    # like this Keras exports only what was called since.
    pixels = keras.Input(x.shape[1:])
    difference = ks.export.export_saved_model(
        keras.Model(pixels, network(pixels)), output / "network_saved_model"
    )
    print(
        "  network.keras         keras.saving.load_model(...)\n"
        "  network_saved_model/  tf.saved_model.load(...).serve(x)\n"
        "The SavedModel, reloaded in a fresh process, differs by at most "
        f"{difference:.1e}."
    )


TASKS = {"digits": learn_digits}


def main() -> None:
    arguments = parse_arguments()
    output = pathlib.Path(arguments.output)
    output.mkdir(parents=True, exist_ok=True)
    print(f"backend {keras.backend.backend()}")
    TASKS[arguments.task](arguments, output)


if __name__ == "__main__":
    main()
