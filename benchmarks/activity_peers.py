"""Activity classifiers beside what people would pick instead, on equal folds.

python -m benchmarks.activity_peers --data FILE [--peer-python PYTHON]
    [--classifiers forest minirocket hydra larnn lstm gru]
    [--seeds 0 1 2 3 4] [--folds 5] [--folder FOLDER]

Every subject is recognized by classifiers that were trained on the subjects of
the other folds: majority, logistic regression and a random forest on
statistics of windows; MiniRocket and MultiRocket-Hydra with ridge (the package
`aeon`, in an environment of its own: without `--peer-python` it is installed
into a temporary folder); and this package's classifiers, trained as
`examples/activity_classifier.py --final` trains, with the final epoch scored.
`gru` is the small one: 32 units, the others have 64.

Hours: `--folder` keeps what each classifier said with each seed, and what is
there is not run again. Bytes are of a `.keras` file, of a forest's nodes, of a
ridge classifier's weights. Minutes are of CPU, for one training with its fold;
latency is of one window alone, the median of 50.
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
from benchmarks.kept import Kept
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
UNITS = {"larnn": 64, "lstm": 64, "gru": 32}
NAMES = {
    "forest": "random forest, statistics",
    "minirocket": "MiniRocket, ridge",
    "hydra": "MultiRocket-Hydra, ridge",
    **{cell: f"{cell}, {units} units" for cell, units in UNITS.items()},
}


def forest(windows, folds, seed):
    """Predictions and costs of a random forest on statistics."""
    x = window_statistics(windows.x).reshape(len(windows.x), -1)
    predicted = np.zeros(len(windows.y), int)
    begun = time.process_time()
    for train, test in folds:
        model = RandomForestClassifier(500, random_state=seed)
        model.fit(x[train], windows.y[train])
        predicted[test] = model.predict(x[test])
    minutes = (time.process_time() - begun) / 60 / len(folds)

    def predict(window):
        model.predict(window_statistics(window).reshape(1, -1))

    trees = [tree.tree_ for tree in model.estimators_]
    nodes = sum(tree.node_count for tree in trees)
    size = sum(t.node_count * t.__getstate__()["nodes"].itemsize for t in trees)
    latency = latency_of(predict, windows.x[:1])
    return predicted, [nodes, size, minutes, latency]


def peer(windows, folds, seed, name, python):
    """Predictions and costs of one of the package's classifiers."""
    with tempfile.TemporaryDirectory() as folder:
        source, target = f"{folder}/arrays.npz", f"{folder}/found.npz"
        fold = np.zeros(len(windows.y), int)
        for k, (_, own) in enumerate(folds):
            fold[own] = k
        np.savez(source, x=windows.x, y=windows.y, fold=fold, seed=seed)
        python = python or install(f"{folder}/peer", *PEER)
        subprocess.run([python, CHILD, source, target, name], check=True)  # noqa: S603
        with np.load(target) as file:
            return file["predicted"], file["costs"]


def network(windows, folds, seed, cell):
    """Predictions and costs of a classifier of this package."""
    build = functools.partial(
        ks.models.build_activity_classifier,
        cell=cell,
        **{**RECORDED_SIZES, "units": UNITS[cell]},
    )
    smallest = min(len(train) for train, _ in folds)
    trainer = ActivityTrainer(windows, build, RECORDED, smallest, verbose=0)
    predicted = np.zeros(len(windows.y), int)
    begun = time.process_time()
    for train, test in folds:
        trained = trainer.train(seed, train)
        predicted[test] = trained.probabilities(test, "final").argmax(axis=1)
    minutes = (time.process_time() - begun) / 60 / len(folds)
    model = trained.deploy("classifier")
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder, "classifier.keras")
        model.save(path)
        size = path.stat().st_size
    latency = latency_of(model.predict_on_batch, windows.x[:1])
    return predicted, [model.count_params(), size, minutes, latency]


def latency_of(predict, window):
    """Median milliseconds of one window."""
    predict(window)
    times = []
    for _ in range(50):
        start = time.perf_counter()
        predict(window)
        times.append(time.perf_counter() - start)
    return 1e3 * float(np.median(times))


def by_subject(windows, predicted):
    """Accuracy of each subject."""
    right = predicted == windows.y
    return np.array(
        [
            right[windows.subject == one].mean()
            for one in np.unique(windows.subject)
        ]
    )


def row(name, windows, predicted, costs):
    """One line of the table: a prediction and costs a seed."""
    scores = [
        activity.Score.of(windows.y, one, len(windows.classes))
        for one in predicted
    ]
    numbers, size, minutes, latency = np.mean(costs, axis=0)
    spread = [
        mean_and_deviation(values)
        for values in (
            [score.accuracy for score in scores],
            [by_subject(windows, one).mean() for one in predicted],
            [score.macro_f1 for score in scores],
        )
    ]
    cells = (
        f"{numbers:,.0f}",
        f"{size:,.0f}",
        f"{minutes:.1f}",
        f"{latency:.1f}",
    )
    return [f"{NAMES[name]} ({len(predicted)})", *spread, *cells]


def simple_row(name, baseline, windows, folds):
    """A classifier without a seed, by the scores of its folds."""
    begun = time.process_time()
    score = activity.Score.pooled([baseline(windows, *part) for part in folds])
    minutes = (time.process_time() - begun) / 60 / len(folds)
    numbers = f"{score.accuracy:.3f}", "", f"{score.macro_f1:.3f}"
    return [name, *numbers, "", "", f"{minutes:.1f}", ""]


def difference(windows, first, second):
    """The second's accuracy less the first's, by subject, over equal seeds."""
    seeds = min(len(first), len(second))
    found = [
        by_subject(windows, other) - by_subject(windows, one)
        for one, other in zip(first[:seeds], second[:seeds], strict=True)
    ]
    each = np.mean(found, axis=0)
    error = each.std(ddof=1) / np.sqrt(len(each))
    return (
        f"{each.mean():+.4f}, standard error {error:.4f} over {len(each)} "
        f"subjects, {seeds} seeds"
    )


def run(name, windows, folds, seed, python):
    """Predictions and costs of a classifier with one seed, for JSON."""
    if name == "forest":
        predicted, costs = forest(windows, folds, seed)
    elif name in UNITS:
        predicted, costs = network(windows, folds, seed, name)
    else:
        predicted, costs = peer(windows, folds, seed, name, python)
    return {"predicted": predicted.tolist(), "costs": list(map(float, costs))}


def main():
    parser = argparse.ArgumentParser(
        description=__doc__.splitlines()[0],
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    parser.add_argument("--data", required=True, help="as load_recordings")
    parser.add_argument("--peer-python", help="a Python that has the package")
    parser.add_argument(
        "--classifiers", nargs="+", choices=NAMES, default=list(NAMES)
    )
    parser.add_argument("--folds", type=int, default=5)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2, 3, 4])
    parser.add_argument("--folder", help="keeps what was found")
    given = parser.parse_args()
    windows = activity.load_recordings(given.data)
    folds = subject_folds(windows.subject, given.folds)
    kept = Kept(given.folder)
    statistics = functools.partial(logistic_baseline, features="statistics")
    rows = [
        simple_row("most frequent class", majority_baseline, windows, folds),
        simple_row("logistic regression", statistics, windows, folds),
    ]
    predicted = {}
    for name in given.classifiers:
        found = []
        for seed in given.seeds:
            asked = name, windows, folds, seed, given.peer_python
            found.append(kept.get(f"{name}_{seed}", run, *asked))
        predicted[name] = [np.array(one["predicted"]) for one in found]
        costs = [one["costs"] for one in found]
        rows.append(row(name, windows, predicted[name], costs))
        print(*rows[-1], sep=" | ", flush=True)
    head = ["classifier (seeds)", "accuracy", "mean of subjects", "macro F1"]
    costs = ["parameters", "bytes", "minutes", "ms a window"]
    print(markdown_table([*head, *costs], rows))
    if {"larnn", "lstm"} <= predicted.keys():
        print("LARNN less LSTM, by subject:", end=" ")
        print(difference(windows, predicted["lstm"], predicted["larnn"]))


if __name__ == "__main__":
    main()
