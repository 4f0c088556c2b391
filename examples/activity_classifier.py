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
(`keras_seqattn.activity.load_activity`):

    python examples/activity_classifier.py
    python examples/activity_classifier.py --data "UCI HAR Dataset.zip"
    python examples/activity_classifier.py --data own.csv --patience 0

Train on all subjects of the training part, without folds, and score once on
the test part's:

    python examples/activity_classifier.py --data "UCI HAR Dataset.zip" \\
        --final --test "UCI HAR Dataset.zip"
"""

import argparse
import functools
import json
import pathlib
import time

import keras
import matplotlib
import numpy as np

import keras_seqattn as ks
from keras_seqattn import activity

"""
## Settings

The smartwatch recordings get a small classifier and few epochs, so that all
of it runs in two minutes. Windows are turned and scaled at random in training
(`--no-augment`: they are not), since no two people wear a sensor alike.
"""

WATCH = {"units": 32, "epochs": 6, "learning_rate": 3e-3}
RECORDED = {"units": 64, "epochs": 20, "learning_rate": 1e-3}


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--data", help="a .zip, folder, .npz or .csv")
    parser.add_argument("--cell", nargs="+", default=["larnn", "lstm"])
    parser.add_argument("--units", type=int)
    parser.add_argument("--epochs", type=int)
    parser.add_argument("--learning-rate", type=float)
    parser.add_argument("--folds", type=int, default=5)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--batch-size", type=int, default=64)
    parser.add_argument("--weight-decay", type=float, default=0.01)
    parser.add_argument("--label-smoothing", type=float, default=0.1)
    parser.add_argument("--ema-momentum", type=float, default=0.99)
    parser.add_argument(
        "--augment", action=argparse.BooleanOptionalAction, default=True
    )
    parser.add_argument(
        "--patience",
        type=int,
        default=3,
        help="stop on validation subjects; 0: all epochs, no such subjects",
    )
    parser.add_argument(
        "--final", action="store_true", help="train on all subjects, no folds"
    )
    parser.add_argument(
        "--test", help="score the final model on this: as --data"
    )
    parser.add_argument("--output", default="results/activity_classifier")
    return parser.parse_args()


def main() -> None:
    arguments = parse_arguments()
    settings = dict(RECORDED if arguments.data else WATCH)
    for name in settings:
        if getattr(arguments, name) is not None:
            settings[name] = getattr(arguments, name)

    """
    ## The recordings

    Windows of the raw signal, each with an activity and a subject.
    """
    windows = activity.load_activity(arguments.data)
    count, timesteps, channels = windows.x.shape
    print(
        f"{count} windows of {timesteps} samples at {windows.rate:g} Hz, "
        f"{channels} channels, {len(np.unique(windows.subject))} subjects, "
        f"{len(windows.classes)} activities, backend {keras.backend.backend()}"
    )
    build = functools.partial(
        ks.models.build_activity_classifier, units=settings["units"]
    )
    recipe = activity.Recipe(
        epochs=settings["epochs"],
        batch_size=arguments.batch_size,
        learning_rate=settings["learning_rate"],
        weight_decay=arguments.weight_decay,
        label_smoothing=arguments.label_smoothing,
        ema_momentum=arguments.ema_momentum,
        augment=activity.RotateAndScale() if arguments.augment else None,
    )
    output = pathlib.Path(arguments.output)
    output.mkdir(parents=True, exist_ok=True)

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
            patience=arguments.patience or None,
        )
        print(f"\nThe comparison took {time.time() - start:.0f} s.\n")
        print(report.table())
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
    if arguments.test:
        score = activity.score_model(
            loaded,
            activity.load_activity(arguments.test, "test"),
            trained_on=windows,
        )
        (output / "test.json").write_text(json.dumps(score.to_dict(), indent=1))
        print(
            f"\nOn {arguments.test}: accuracy {score.accuracy:.4f}, macro F1 "
            f"{score.macro_f1:.4f}, weighted F1 {score.weighted_f1:.4f}"
        )
    print(
        f"\nThe SavedModel, reloaded in a fresh process, differs by at most "
        f"{difference:.1e}.\n\nIn {output}/:"
    )
    for name, what in (
        ("activity_classifier.png", "confusion matrices, learning curves"),
        ("attention.png", "which past cells one window attends to"),
        ("report.json", "every number"),
        ("test.json", "the score on --test"),
        ("classifier.keras", "keras.saving.load_model(...)"),
        ("classifier_saved_model", "tf.saved_model.load(...).serve(signal)"),
    ):
        if (output / name).exists():
            print(f"  {name:<24}{what}")


def draw(report: activity.ActivityReport, path: pathlib.Path) -> None:
    matplotlib.use("Agg")
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
    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    from keras_seqattn import visualization

    _, standardize, inner = classifier.layers
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
