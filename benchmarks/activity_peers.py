"""Activity classifiers beside what people would pick instead, on equal folds.

python -m benchmarks.activity_peers --data FILE [--peer-python PYTHON]
    [--cell larnn lstm gru] [--seeds 0 1 2 3 4] [--folds 5]

Every subject is recognized by classifiers that were trained on the subjects of
the other folds: majority, logistic regression and a random forest on
statistics of windows; MiniRocket and MultiRocket-Hydra with ridge (the package
`aeon`, in an environment of its own: without `--peer-python` it is installed
into a temporary folder); and this package's classifiers, trained as
`examples/activity_classifier.py --final` trains, with the final epoch scored.
`gru` is the small one: 32 units, the others have 64.

Bytes are of a `.keras` file, of a forest's nodes, of a ridge classifier's
weights. Minutes are of CPU, for one training with its fold; latency is of one
window alone, the median of 50.
"""

import argparse
import functools
import pathlib
import subprocess
import tempfile
import time

import numpy as np
from sklearn.ensemble import RandomForestClassifier

import keras_seqattn as ks
from benchmarks.decoding_peers import install
from examples.activity_classifier import RECORDED
from examples.activity_classifier import RECORDED_SIZES
from keras_seqattn import activity
from keras_seqattn._training.tables import markdown_table
from keras_seqattn._training.tables import mean_and_deviation
from keras_seqattn.activity.baselines import logistic_baseline
from keras_seqattn.activity.baselines import majority_baseline
from keras_seqattn.activity.baselines import window_statistics
from keras_seqattn.activity.training import ActivityTrainer
from keras_seqattn.windows.activity_windows import subject_folds

PEER = ("aeon==1.6.0", "torch==2.13.0")
CHILD = pathlib.Path(__file__).with_name("aeon_package.py")
OWN_SIZES = {"gru": {"units": 32}}


def run_peer(windows, folds, seeds, python):
    """Return rows of the package's classifiers."""
    with tempfile.TemporaryDirectory() as folder:
        source, target = f"{folder}/arrays.npz", f"{folder}/found.npz"
        number = np.zeros(len(windows.y), int)
        for k, (_, own) in enumerate(folds):
            number[own] = k
        np.savez(source, x=windows.x, y=windows.y, fold=number, seeds=seeds)
        python = python or install(f"{folder}/peer", *PEER)
        subprocess.run([python, CHILD, source, target], check=True)  # noqa: S603
        with np.load(target) as file:
            found = dict(file)
    names = dict.fromkeys(key.split("|")[0] for key in found)
    return [
        row(
            name,
            windows,
            found[f"{name}|predicted"],
            *(found[f"{name}|costs"].tolist()),
        )
        for name in names
    ]


def row(name, windows, predicted, parameters, size, minutes, latency):
    """One line of the table: `predicted` is (seeds, windows)."""
    scores = [
        activity.Score.of(windows.y, one, len(windows.classes))
        for one in np.atleast_2d(predicted)
    ]
    by_subject = [
        np.mean(
            [np.mean((one == windows.y)[windows.subject == s]) for s in who]
        )
        for who in [np.unique(windows.subject)]
        for one in np.atleast_2d(predicted)
    ]
    cells = [
        f"{parameters:,.0f}" if parameters else "",
        f"{size:,.0f}" if size else "",
        f"{minutes:.1f}" if minutes else "",
        f"{latency:.1f}" if latency else "",
    ]
    spread = [
        mean_and_deviation(values)
        for values in (
            [s.accuracy for s in scores],
            by_subject,
            [s.macro_f1 for s in scores],
        )
    ]
    return [name, *spread, *cells]


def latency_of(predict, window):
    """Median milliseconds of one window."""
    predict(window)
    times = []
    for _ in range(50):
        start = time.perf_counter()
        predict(window)
        times.append(time.perf_counter() - start)
    return 1e3 * float(np.median(times))


def forest_row(windows, folds, seeds):
    """A random forest on statistics."""
    x = window_statistics(windows.x).reshape(len(windows.x), -1)
    predicted = np.zeros((len(seeds), len(windows.y)), int)
    begun = time.process_time()
    for own, seed in zip(predicted, seeds, strict=True):
        for train, test in folds:
            forest = RandomForestClassifier(500, random_state=seed)
            forest.fit(x[train], windows.y[train])
            own[test] = forest.predict(x[test])
    minutes = (time.process_time() - begun) / 60 / len(seeds) / len(folds)

    def predict(window):
        forest.predict(window_statistics(window).reshape(1, -1))

    trees = [tree.tree_ for tree in forest.estimators_]
    size = sum(t.node_count * t.__getstate__()["nodes"].itemsize for t in trees)
    return row(
        "random forest, statistics",
        windows,
        predicted,
        sum(tree.node_count for tree in trees),
        size,
        minutes,
        latency_of(predict, windows.x[:1]),
    )


def network_row(windows, folds, seeds, cell):
    """A classifier of this package."""
    sizes = {**RECORDED_SIZES, **OWN_SIZES.get(cell, {})}
    build = functools.partial(
        ks.models.build_activity_classifier, cell=cell, **sizes
    )
    smallest = min(len(train) for train, _ in folds)
    trainer = ActivityTrainer(windows, build, RECORDED, smallest, verbose=0)
    predicted = np.zeros((len(seeds), len(windows.y)), int)
    begun = time.process_time()
    for own, seed in zip(predicted, seeds, strict=True):
        for train, test in folds:
            trained = trainer.train(seed, train)
            own[test] = trained.probabilities(test, "final").argmax(axis=1)
    minutes = (time.process_time() - begun) / 60 / len(seeds) / len(folds)
    model = trained.deploy("classifier")
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder, "classifier.keras")
        model.save(path)
        size = path.stat().st_size
    return row(
        f"{cell}, {sizes['units']} units",
        windows,
        predicted,
        model.count_params(),
        size,
        minutes,
        latency_of(model.predict_on_batch, windows.x[:1]),
    )


def simple_row(name, baseline, windows, folds):
    """A classifier without a seed, by the scores of its folds."""
    begun = time.process_time()
    score = activity.Score.pooled([baseline(windows, *part) for part in folds])
    minutes = (time.process_time() - begun) / 60 / len(folds)
    numbers = f"{score.accuracy:.3f}", "", f"{score.macro_f1:.3f}"
    return [name, *numbers, "", "", f"{minutes:.1f}", ""]


def main():
    parser = argparse.ArgumentParser(
        description=__doc__.splitlines()[0],
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    parser.add_argument("--data", required=True, help="as load_recordings")
    parser.add_argument("--peer-python", help="a Python that has the package")
    parser.add_argument("--cell", nargs="*", default=["larnn", "lstm", "gru"])
    parser.add_argument("--folds", type=int, default=5)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2, 3, 4])
    given = parser.parse_args()
    windows = activity.load_recordings(given.data)
    folds = subject_folds(windows.subject, given.folds)
    seeds = given.seeds
    statistics = functools.partial(logistic_baseline, features="statistics")
    rows = [
        simple_row("most frequent class", majority_baseline, windows, folds),
        simple_row("logistic regression", statistics, windows, folds),
        forest_row(windows, folds, seeds),
        *run_peer(windows, folds, seeds, given.peer_python),
        *(network_row(windows, folds, seeds, cell) for cell in given.cell),
    ]
    head = ["classifier", "accuracy", "mean of subjects", "macro F1"]
    costs = ["parameters", "bytes", "minutes", "ms a window"]
    print(markdown_table([*head, *costs], rows))


if __name__ == "__main__":
    main()
