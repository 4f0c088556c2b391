"""
Title: Remember with the gain of a neuron
Author: The keras_seqattn authors
Date created: 2026/11/22
Last modified: 2026/11/22
Description: A recurrent controller sets the gain of each neuron's activation,
    step by step. Is that enough to remember?

Without arguments one neuron learns to say, up to 77 steps later, whether there
was a cue. `--preset` names another network with its task; `association` keeps
pairs of any number of keys and values apart:

    python examples/memory_network.py
    python examples/memory_network.py --preset additive
    python examples/memory_network.py --preset association --keys 8 \
        --values 9 --pairs 4 --distractors 0.1

`--recipe` trains as a search (`tuning/`) has found:

    python examples/memory_network.py --preset additive \\
        --recipe results/tuning/memory_network/recipe.json
"""

import argparse
import dataclasses
import functools
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
from keras_seqattn.memory import LOSSES
from keras_seqattn.memory import RECIPES
from keras_seqattn.memory import MemoryReport
from keras_seqattn.memory import RecallLoss
from keras_seqattn.memory import Recipe
from keras_seqattn.memory import train_memory_network


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--preset", choices=RECIPES, default="one_neuron")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--loss", choices=("mse", "crossentropy"))
    training = parser.add_argument_group("training")
    training.add_argument("--recipe", help="a .json file, as searches write")
    training.add_argument("--epochs", type=int, help="not the recipe's")
    training.add_argument("--batch-size", type=int, help="the same")
    training.add_argument("--learning-rate", type=float, help="the same")
    training.add_argument("--steps-per-epoch", type=int, default=50)
    parser.add_argument("--test-sequences", type=int, default=2000)
    parser.add_argument("--keys", type=int, default=8)
    parser.add_argument("--values", type=int, default=9)
    parser.add_argument("--pairs", type=int, default=4)
    parser.add_argument("--distractors", type=float, default=0.0)
    parser.add_argument("--output", default="results/memory_network")
    return parser.parse_args()


"""
## The task

One neuron: a pulse or none, a delay, a question. Factorial: three people at
once, one for each of three slots; who had this slot? Additive: the same one
after the other. Association: any number of keys and values.
"""


def make_task(arguments: argparse.Namespace) -> Any:
    if arguments.preset == "factorial":
        return ks.tasks.factorial_task()
    if arguments.preset == "additive":
        return ks.tasks.additive_task()
    if arguments.preset == "association":
        return ks.tasks.CueAssociation(
            num_keys=arguments.keys,
            num_values=arguments.values,
            num_pairs=arguments.pairs,
            distractor_rate=arguments.distractors,
        )
    return ks.tasks.CueRecall()


def make_recipe(arguments: argparse.Namespace) -> Recipe:
    if arguments.recipe:
        recipe = Recipe.load(arguments.recipe)
    else:
        recipe = RECIPES[arguments.preset]
    changes = {
        name: getattr(arguments, name)
        for name in ("epochs", "batch_size", "learning_rate")
        if getattr(arguments, name) is not None
    }
    return dataclasses.replace(recipe, **changes)


def main() -> None:
    arguments = parse_arguments()
    task = make_task(arguments)
    recipe = make_recipe(arguments)
    loss = LOSSES[arguments.preset]
    if arguments.loss:
        loss = RecallLoss(arguments.loss)
    sizes = {}
    if arguments.preset == "association":
        sizes = {"features": task.features, "outputs": task.outputs}
    print(f"{task}\n{recipe}\n{loss}\nbackend {keras.backend.backend()}")

    """
    ## The training

    Fresh sequences at each step; others choose the epoch; others again are
    for the score.
    """
    start = time.time()
    report = train_memory_network(
        functools.partial(
            ks.models.build_memory_network, arguments.preset, **sizes
        ),
        task,
        recipe,
        loss=loss,
        steps_per_epoch=arguments.steps_per_epoch,
        seeds=arguments.seeds,
        test_sequences=arguments.test_sequences,
    )
    seconds = (time.time() - start) / len(arguments.seeds)
    print(f"\nA training took {seconds:.0f} s.\n")
    report.show()

    """
    ## The figures, the files
    """
    output = pathlib.Path(arguments.output)
    output.mkdir(parents=True, exist_ok=True)
    matplotlib.use("Agg")
    matplotlib.style.use("keras_seqattn.visualization.style")
    report.model.save(output / "network.keras")
    (output / "report.md").write_text(report.table() + "\n")
    (output / "report.json").write_text(
        json.dumps(report.to_dict(), indent=1, allow_nan=False)
    )
    draw_scores(report, task, output / "scores.png")
    draw_sequence(report, task, output / "sequence.png")
    loaded = keras.saving.load_model(output / "network.keras")
    some = report.batch.x[:100]
    np.testing.assert_allclose(
        loaded.predict(some, verbose=0),
        report.model.predict(some, verbose=0),
        rtol=1e-5,
        atol=1e-5,
    )
    difference = ks.export.export_saved_model(
        report.model, output / "network_saved_model"
    )
    print(
        f"The SavedModel, reloaded in a fresh process, differs by at most "
        f"{difference:.1e}.\n\nIn {output}/:\n"
        "  scores.png            learning, accuracy against delay, confusion\n"
        "  sequence.png          one sequence, and the neurons' gains in it\n"
        "  report.md             the table\n"
        "  report.json           every number\n"
        "  network.keras         keras.saving.load_model(...)\n"
        "  network_saved_model/  tf.saved_model.load(...).serve(x)"
    )


def draw_scores(report: MemoryReport, task: Any, path: pathlib.Path) -> None:
    import matplotlib.pyplot as plt

    from keras_seqattn import visualization

    figure, axes = plt.subplots(1, 3, figsize=(13, 4), layout="constrained")
    # The loss gives answers more weight than the levels' squared error does:
    # compare accuracies.
    levels = {"blind guess": report.chance}
    if report.no_binding is not None:
        levels["no binding"] = report.no_binding
    visualization.plot_learning_curves(
        report.histories,
        "accuracy",
        axes[0],
        watched="held-out sequences",
        levels=levels,
    )
    correct = report.answers == report.batch.answer
    visualization.plot_accuracy_against_delay(
        ks.tasks.accuracy_by_delay(correct, report.batch.delay),
        levels,
        axes[1],
    )
    classes = getattr(task, "num_values", 2)
    confusion = np.zeros((classes, classes), int)
    np.add.at(
        confusion, (report.batch.answer.ravel(), report.answers.ravel()), 1
    )
    visualization.plot_confusion_matrix(
        confusion, [str(value) for value in range(classes)], axes[2]
    )
    figure.savefig(path, dpi=120)
    plt.close(figure)


def draw_sequence(report: MemoryReport, task: Any, path: pathlib.Path) -> None:
    import matplotlib.pyplot as plt

    from keras_seqattn import visualization

    cases = task.test_cases()
    far = 2
    outputs = report.model.predict(cases.x, verbose=0)
    shown = ks.models.modulation_model(report.model)
    in_effect = shown.predict(cases.x, verbose=0)[far]
    neurons = report.model.get_layer("neurons").cell.modulation
    names = neurons.modulated
    marks = {"cue": cases.cue[far], "query_step": cases.query_step[far]}
    figure, axes = plt.subplots(1, 3, figsize=(14, 6.5), layout="constrained")
    # Logits have another scale than targets.
    scale = task.amplitude if report.loss.kind == "mse" else 1.0
    prediction = outputs[far]
    if report.loss.kind == "crossentropy":
        prediction = np.exp(prediction - prediction.max(-1, keepdims=True))
        prediction /= prediction.sum(-1, keepdims=True)
    visualization.plot_memory_traces(
        cases.x[far],
        cases.y[far],
        prediction,
        response=cases.response[far],
        amplitude=scale,
        ax=axes[0],
        **marks,
    )
    visualization.plot_modulation(
        in_effect[..., 0],
        names[0],
        neurons.resting_values[names[0]],
        ax=axes[1],
        **marks,
    )
    busiest = int(np.ptp(in_effect[..., 0], axis=0).argmax())
    activation = None
    if neurons.activation == "adaptive":
        activation = ks.activations.adaptive_softplus_sigmoid
    visualization.plot_activation_over_time(
        in_effect[:, busiest],
        names,
        activation=activation,
        ax=axes[2],
        **marks,
    )
    axes[2].set_title(f"neuron {busiest}")
    figure.savefig(path, dpi=120)
    plt.close(figure)


if __name__ == "__main__":
    main()
