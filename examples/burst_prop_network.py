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

A search counts its `--trials` and the trainings that repeat the best five from
two other seeds. The error beside is the least of one training; the table has
the mean of the pair of rates that won.
"""

import argparse
import dataclasses
import json
import os
import pathlib
import time
from typing import Any

# What TensorFlow says at each start, and the computation it speaks of.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "1")
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "0")

import keras
import matplotlib.style
import numpy as np

import keras_seqattn as ks
from keras_seqattn import learning_rules
from keras_seqattn import visualization
from keras_seqattn.callbacks.burst_prop_monitor import BurstPropMonitor


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--task", choices=TASKS, default="digits")
    parser.add_argument("--data", help="MNIST's folder or `.npz` file")
    parser.add_argument("--methods", nargs="+", help="default: all")
    parser.add_argument(
        "--hidden", type=int, nargs="+", help="default: 100 100, in time 200"
    )
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
come to resemble the forward ones (`feedback="kolen_pollack"`; "recurrent" with
inhibition that learns to silence what no teacher said) or stay as they were
drawn ("fixed feedback"). Feedback alignment sends gradients through weights as
they were drawn. And last, the output layer learns alone: what hidden layers
learn is worth the difference.

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
    targets = keras.utils.to_categorical(images.y_train, images.classes)

    def monitor(name: str) -> list[keras.callbacks.Callback]:
        if name == "backpropagation":
            return []
        return [BurstPropMonitor(images.x_train[:300], targets[:300])]

    start = time.time()
    report = learning_rules.compare_learning_rules(
        images,
        arguments.hidden or [100, 100],
        dataclasses.replace(
            learning_rules.RECIPE,
            epochs=arguments.epochs,
            batch_size=arguments.batch_size,
        ),
        methods=arguments.methods or learning_rules.METHODS,
        search=learning_rules.RateSearch(arguments.trials),
        seeds=arguments.seeds,
        callbacks=monitor,
    )
    finish(
        report,
        time.time() - start,
        metric="accuracy",
        levels={"chance": 1 - report.baselines["chance"]},
        x=images.x_test[:100],
        output=output,
    )


"""
## In time

A layer reads the one below through a trace. A teacher is there in 5 % of the
steps, and the weights change in those. Two errors tell how well it went: of
each step before it learns, and of a free run without a teacher. The first
flatters: weights that change quickly follow the target for a while.
"""


def learn_in_time(arguments: argparse.Namespace, output: pathlib.Path) -> None:
    draw, rates = {
        # One sequence, to be memorized; sequences, and others for the test.
        "sinusoids": (learning_rules.draw_sinusoids, (0.02, 1.0)),
        "xor": (learning_rules.draw_xor_sequences, (0.001, 0.1)),
    }[arguments.task]

    def monitor(
        name: str, sequences: learning_rules.TaughtSequences
    ) -> list[keras.callbacks.Callback]:
        return [BurstPropMonitor(sequences.x_train[:1], sequences.y_train[:1])]

    start = time.time()
    report = learning_rules.compare_on_sequences(
        draw,
        arguments.hidden or [200],
        dataclasses.replace(
            learning_rules.SEQUENCE_RECIPE, epochs=arguments.epochs
        ),
        methods=arguments.methods or learning_rules.SEQUENCE_METHODS,
        search=learning_rules.RateSearch(
            arguments.trials, repeats=0, output=rates, ratio=(0.5, 16.0)
        ),
        seeds=arguments.seeds,
        callbacks=monitor,
    )
    finish(
        report,
        time.time() - start,
        metric="mse",
        levels={"mean": float(np.mean(report.levels["mean"]))},
        x=draw(arguments.seeds[0]).x_test[:2, :100],
        output=output,
    )


"""
## The figures

The learning curves of all methods, and what the bursts were like: how far what
they teach a layer is from what backpropagation would, whether the feedback
weights come to resemble the forward ones, and whether the bursts saturate.
"""


def finish(
    report: Any,
    seconds: float,
    metric: str,
    levels: dict[str, float],
    x: np.ndarray,
    output: pathlib.Path,
) -> None:
    print(f"\n{seconds:.0f} s.\n")
    report.show()
    (output / "report.md").write_text(report.table() + "\n")
    (output / "report.json").write_text(
        json.dumps(report.to_dict(), indent=1, allow_nan=False)
    )
    histories = {name: r.histories for name, r in report.results.items()}
    ax = visualization.plot_learning_by_method(
        histories, metric, levels, log=metric == "mse"
    )
    ax.figure.savefig(output / "learning.png", dpi=150, bbox_inches="tight")
    print(
        f"\nIn {output}/:\n"
        "  learning.png          learning curves of all methods\n"
        "  report.md             the table\n"
        "  report.json           every number, with the learning curves"
    )
    if "burstprop" in histories:
        axes = visualization.plot_burst_learning(histories["burstprop"], metric)
        axes[0].figure.savefig(output / "bursts.png", dpi=150)
        print("  bursts.png            angles, potentials, saturation")
        save_network(report.results["burstprop"].model, x, output)


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
    difference = ks.export.export_saved_model(
        network, output / "network_saved_model"
    )
    print(
        "  network.keras         keras.saving.load_model(...)\n"
        "  network_saved_model/  tf.saved_model.load(...).serve(x)\n"
        "The SavedModel, reloaded in a fresh process, differs by at most "
        f"{difference:.1e}."
    )


TASKS = {
    "digits": learn_digits,
    "sinusoids": learn_in_time,
    "xor": learn_in_time,
}


def main() -> None:
    arguments = parse_arguments()
    output = pathlib.Path(arguments.output)
    output.mkdir(parents=True, exist_ok=True)
    matplotlib.use("Agg")
    matplotlib.style.use("keras_seqattn.visualization.style")
    print(f"backend {keras.backend.backend()}")
    TASKS[arguments.task](arguments, output)


if __name__ == "__main__":
    main()
