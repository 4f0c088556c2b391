"""
Title: Recognize activities from motion sensors
Author: The keras_seqattn authors
Date created: 2026/11/22
Last modified: 2026/11/22
Description: A recurrent cell that attends to its own past, compared over
    subjects it has not seen, then trained on all, saved and exported.

Without arguments it reads the smartwatch recordings that the package seglearn
ships: 7 shoulder exercises, 10 subjects, no download. `--data` takes the
archive or the folder of UCI HAR or of the smartwatch set of Matey-Sanz et al.,
or a recording of your own, `.npz` or `.csv`
(`keras_seqattn.activity.load_recordings`):

    python examples/activity_classifier.py
    python examples/activity_classifier.py --data "UCI HAR Dataset.zip"
    python examples/activity_classifier.py --data own.csv
    python examples/activity_classifier.py --data folder --seconds 2 \\
        --overlap 0.5 --subject-from "(\\w+)_walk.csv"

Train on all subjects of the training part, without folds, and score once on
the test part's:

    python examples/activity_classifier.py --data "UCI HAR Dataset.zip" \\
        --final --test "UCI HAR Dataset.zip"

`--recipe` trains as a search (`tuning/`) has found:

    python examples/activity_classifier.py --data "UCI HAR Dataset.zip" \\
        --recipe results/tuning/activity_classifier/recipe.json
"""

import argparse
import dataclasses
import functools
import json
import os
import pathlib
import time

# What TensorFlow says at each start, and the computation it speaks of.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "1")
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "0")

import keras
import matplotlib.style
import numpy as np

import keras_seqattn as ks
from keras_seqattn import activity

"""
## Settings

The smartwatch recordings get a small classifier and few epochs, so that all
of it runs in two minutes. `--data` gets 80 epochs, without which the last
errors stay, and no epoch is chosen: the last one counts. Windows are turned
and scaled at random in training (`--no-augment`: they are not), since no two
people wear a sensor alike.
"""

RECORDED = dataclasses.replace(
    activity.RECIPE,
    epochs=80,
    learning_rate=1e-3,
    weight_decay=0.01,
    label_smoothing=0.1,
    average=0.99,
    augmentation={"name": "rotate_and_scale"},
)
RECORDED_SIZES = {"units": 64, "stem_filters": (48, 48), "stem_kernel_size": 9}
WATCH_SIZES = {"units": 32}
READING = (
    "seconds", "overlap", "subject_from", "label", "sensor", "time_unit",
    "rate",
)  # fmt: skip
WATCH = dataclasses.replace(RECORDED, epochs=6, learning_rate=3e-3, patience=3)


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--data", help="a .zip, folder, .npz or .csv")
    reading = parser.add_argument_group("recordings of one's own")
    reading.add_argument("--seconds", type=float, help="of a window")
    reading.add_argument("--overlap", type=float, help="of windows, in [0, 1)")
    reading.add_argument("--subject-from", help="a column, or a pattern")
    reading.add_argument("--label", help="a column, or a table of intervals")
    reading.add_argument("--sensor", help="a column, or a pattern")
    reading.add_argument("--time-unit", help="s, ms, us, ns or date")
    reading.add_argument("--rate", type=float, help="samples in a second")
    parser.add_argument("--cell", nargs="+", default=["larnn", "lstm"])
    parser.add_argument("--units", type=int, help="default: 32, with --data 64")
    parser.add_argument("--folds", type=int, default=5)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    training = parser.add_argument_group("training")
    training.add_argument("--recipe", help="a .json file, as searches write")
    training.add_argument("--epochs", type=int, help="not the recipe's")
    training.add_argument("--batch-size", type=int, help="the same")
    training.add_argument("--learning-rate", type=float, help="the same")
    training.add_argument(
        "--patience",
        type=int,
        help="the same: stop on validation subjects; 0: all epochs, no such "
        "subjects",
    )
    training.add_argument(
        "--no-augment", action="store_true", help="windows as they are"
    )
    parser.add_argument(
        "--final", action="store_true", help="train on all subjects, no folds"
    )
    parser.add_argument(
        "--test", help="score the final model on this: as --data"
    )
    parser.add_argument("--output", default="results/activity_classifier")
    return parser.parse_args()


def make_recipe(arguments: argparse.Namespace) -> activity.Recipe:
    if arguments.recipe:
        recipe = activity.Recipe.load(arguments.recipe)
    else:
        recipe = RECORDED if arguments.data else WATCH
    changes = {
        name: getattr(arguments, name)
        for name in ("epochs", "batch_size", "learning_rate", "patience")
        if getattr(arguments, name) is not None
    }
    if arguments.patience == 0:
        changes["patience"] = None
    if arguments.no_augment:
        changes["augmentation"] = None
    return dataclasses.replace(recipe, **changes)


def main() -> None:
    arguments = parse_arguments()
    recipe = make_recipe(arguments)

    """
    ## The recordings

    Windows of the raw signal, each with an activity and a subject.
    """
    reading = {name: getattr(arguments, name) for name in READING}
    windows = activity.load_recordings(arguments.data, **reading)
    count, timesteps, channels = windows.x.shape
    print(
        f"{count} windows of {timesteps} samples at {windows.rate:g} Hz, "
        f"{channels} channels, {len(np.unique(windows.subject))} subjects, "
        f"{len(windows.classes)} activities, backend {keras.backend.backend()}"
    )
    sizes = dict(RECORDED_SIZES if arguments.data else WATCH_SIZES)
    if arguments.units:
        sizes["units"] = arguments.units
    build = functools.partial(ks.models.build_activity_classifier, **sizes)
    output = pathlib.Path(arguments.output)
    output.mkdir(parents=True, exist_ok=True)
    matplotlib.use("Agg")
    matplotlib.style.use("keras_seqattn.visualization.style")

    """
    ## The comparison

    Every subject is scored by classifiers that were trained on others.
    """
    if not arguments.final:
        start = time.time()
        report = activity.classify_recordings(
            windows,
            build,
            recipe,
            cells=arguments.cell,
            folds=arguments.folds,
            seeds=arguments.seeds,
        )
        print(f"\nThe comparison took {time.time() - start:.0f} s.\n")
        report.show()
        tables = [report.table(), report.class_table(), report.subject_table()]
        (output / "report.md").write_text("\n\n".join(tables) + "\n")
        draw(report, output / "activity_classifier.png")
        (output / "report.json").write_text(
            json.dumps(report.to_dict(), indent=1, allow_nan=False)
        )

    """
    ## The classifier

    Trained on all subjects. It takes the raw signal: the standardization is
    part of it.
    """
    print()
    classifier = activity.train_final(
        windows,
        build,
        recipe,
        cell=arguments.cell[0],
        seed=arguments.seeds[0],
    )
    if arguments.cell[0] == "larnn":
        draw_attention(classifier, windows, output / "attention.png")
    write(classifier, windows, arguments.test, reading, output)


"""
## The files, and the score on a test part
"""


def write(
    classifier: keras.Model,
    windows: activity.ActivityWindows,
    test: str | None,
    reading: dict[str, object],
    output: pathlib.Path,
) -> None:
    classifier.save(output / "classifier.keras")
    loaded = keras.saving.load_model(output / "classifier.keras")
    some = windows.x[:100]
    np.testing.assert_allclose(
        loaded.predict(some, verbose=0),
        classifier.predict(some, verbose=0),
        rtol=1e-5,
        atol=1e-5,
    )
    difference = ks.export.export_saved_model(
        classifier, output / "classifier_saved_model"
    )
    if test:
        score = activity.score_model(
            loaded,
            activity.load_recordings(test, part="test", **reading),
            trained_on=windows,
        )
        (output / "test.json").write_text(json.dumps(score.to_dict(), indent=1))
        print(
            f"\nOn {test}: accuracy {score.accuracy:.4f}, macro F1 "
            f"{score.macro_f1:.4f}, weighted F1 {score.weighted_f1:.4f}"
        )
    print(
        f"\nThe SavedModel, reloaded in a fresh process, differs by at most "
        f"{difference:.1e}.\n\nIn {output}/:"
    )
    for name, what in (
        ("activity_classifier.png", "confusion matrices, learning curves"),
        ("attention.png", "which past cells one window attends to"),
        ("report.md", "the table, recall by class, accuracy by subject"),
        ("report.json", "every number"),
        ("test.json", "the score on --test"),
        ("classifier.keras", "keras.saving.load_model(...)"),
        ("classifier_saved_model", "tf.saved_model.load(...).serve(signal)"),
    ):
        if (output / name).exists():
            print(f"  {name:<24}{what}")


def draw(report: activity.ActivityReport, path: pathlib.Path) -> None:
    import matplotlib.pyplot as plt

    from keras_seqattn import visualization

    figure, axes = plt.subplots(
        3,
        len(report.results),
        figsize=(5.5 * len(report.results), 12),
        layout="constrained",
        squeeze=False,
    )
    for column, (cell, seeds) in enumerate(report.results.items()):
        score = activity.Score.pooled(report.scores(cell))
        visualization.plot_confusion_matrix(
            score.confusion, report.classes, axes[0, column]
        )
        axes[0, column].set_title(f"{cell}, accuracy {score.accuracy:.3f}")
        histories = [fold.history for folds in seeds for fold in folds]
        for row, metric in ((1, "accuracy"), (2, "loss")):
            visualization.plot_learning_curves(
                histories, metric, axes[row, column]
            )
    figure.savefig(path, dpi=120)
    plt.close(figure)


def draw_attention(
    classifier: keras.Model,
    windows: activity.ActivityWindows,
    path: pathlib.Path,
) -> None:
    import matplotlib.pyplot as plt

    from keras_seqattn import visualization

    standardize = classifier.get_layer("standardize")
    inner = classifier.layers[-1]
    scores = ks.models.past_attention_model(inner).predict(
        standardize(windows.x[:1]), verbose=0
    )
    figure, ax = plt.subplots(figsize=(9, 3.5), layout="constrained")
    seconds = windows.x.shape[1] / windows.rate
    visualization.plot_attention_over_past(
        scores[0], scores.shape[1] / seconds, ax
    )
    ax.set_title(f"Attention over past cells, {windows.classes[windows.y[0]]}")
    figure.savefig(path, dpi=120)
    plt.close(figure)


if __name__ == "__main__":
    main()
