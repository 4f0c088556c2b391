"""What 8 bits cost: bytes, accuracy on new subjects, milliseconds a window.

    python -m benchmarks.quantization --data ucihar_train.npz

Trains a small LARNN and a small LSTM classifier for each fold of subjects
(kept in `--output`, and found there again), quantizes the step of each, and
prints the table of docs/quantization.md. Ranges are found and accuracies
measured on windows of the subjects left out. Milliseconds are of one window,
its samples fed one by one from Python to the step, on one thread. Ten minutes
on one core, on TensorFlow.
"""

import argparse
import dataclasses
import functools
import json
import os
import pathlib
import time
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np

import keras_seqattn as ks
from keras_seqattn import activity
from keras_seqattn._training.tables import markdown_table

RECIPE = dataclasses.replace(
    activity.RECIPE,
    epochs=8,
    learning_rate=2e-3,
    weight_decay=0.01,
    label_smoothing=0.1,
    average=0.99,
    augmentation={"name": "rotate_and_scale"},
    patience=None,
)
BUILD = functools.partial(
    ks.models.build_activity_classifier,
    units=32,
    num_heads=4,
    stem_filters=(32, 32),
)
FORMATS = (
    ("litert", "float16"),
    ("litert", "dynamic"),
    ("litert", "int8"),
    ("onnx", "dynamic"),
    ("onnx", "int8"),
)
ENDINGS = {"litert": ".tflite", "onnx": ".onnx"}
Row = dict[str, Any]


def part(windows: Any, index: np.ndarray) -> Any:
    return dataclasses.replace(
        windows,
        x=windows.x[index],
        y=windows.y[index],
        subject=windows.subject[index],
    )


def trained(
    windows: Any, others: np.ndarray, cell: str, path: pathlib.Path
) -> keras.Model:
    if not path.exists():
        model = activity.train_final(
            part(windows, others), BUILD, RECIPE, cell=cell, verbose=0
        )
        model.save(path)
    return keras.saving.load_model(path)


def milliseconds(path: pathlib.Path, window: np.ndarray) -> float:
    """The least of some windows' times, sample by sample."""
    if path.suffix == ".onnx":
        return _onnx_milliseconds(path, window)
    import tensorflow as tf

    interpreter = tf.lite.Interpreter(str(path), num_threads=1)
    runner = interpreter.get_signature_runner()
    zeros = {
        name: np.zeros((1, *spec["shape"][1:]), spec["dtype"])
        for name, spec in runner.get_input_details().items()
    }
    return _time(lambda given: runner(**given), zeros, window)


def _onnx_milliseconds(path: pathlib.Path, window: np.ndarray) -> float:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(
        path, options, providers=["CPUExecutionProvider"]
    )
    names = [x.name for x in session.get_outputs()]
    zeros = {
        x.name: np.zeros((1, x.shape[1]), "float32")
        for x in session.get_inputs()
    }
    return _time(
        lambda given: dict(zip(names, session.run(names, given), strict=True)),
        zeros,
        window,
    )


def _time(run: Any, zeros: dict[str, np.ndarray], window: np.ndarray) -> float:
    (x,) = [n for n in zeros if not n.partition("_state_")[1]]
    times = []
    for _ in range(5):
        start = time.perf_counter()
        states = {n: a for n, a in zeros.items() if n != x}
        for sample in window:
            found = run({x: sample[None], **states})
            states = {n: found[f"next_{n}"].copy() for n in states}
        times.append(time.perf_counter() - start)
    return 1000 * min(times)


def rows_of(
    model: keras.Model, windows: Any, title: str, folder: pathlib.Path
) -> list[Row]:
    """Quantize in each format; the floats of a format stand before it."""
    rows: list[Row] = []
    for kind, method in FORMATS:
        export: Any = getattr(ks.export, f"export_{kind}")
        path = folder / f"{title}_{method}{ENDINGS[kind]}"
        options = {"batch_size": None} if kind == "litert" else {}
        export(
            model,
            path,
            quantize=method,
            representative=windows.x,
            labels=windows.y,
            max_loss=1.0,  # The table tells it.
            **options,
        )
        text = pathlib.Path(f"{path}.json").read_text()
        told = json.loads(text)["quantization"]
        rows.append(
            {
                "format": f"{kind} {method}",
                "bytes": told["bytes"],
                "accuracy": told["accuracy"],
                "ms": milliseconds(path, windows.x[0]),
                "floats": told["accuracy_float"],
                "bytes_float": told["bytes_float"],
            }
        )
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--data", required=True)
    parser.add_argument("--cell", nargs="+", default=["larnn", "lstm"])
    parser.add_argument("--folds", type=int, default=2)
    parser.add_argument("--windows", type=int, default=1000)
    parser.add_argument("--output", default="results/quantization")
    given = parser.parse_args()
    folder = pathlib.Path(given.output)
    folder.mkdir(parents=True, exist_ok=True)
    windows = activity.load_activity(given.data)
    folds = activity.subject_folds(windows.subject, given.folds)
    table = []
    for cell in given.cell:
        found = []
        for number, (others, own) in enumerate(folds):
            path = folder / f"{cell}_{number}.keras"
            model = trained(windows, others, cell, path)
            random = np.random.default_rng(0)
            some = random.permutation(own)[: given.windows]
            left_out = part(windows, some)
            found.append(rows_of(model, left_out, f"{cell}_{number}", folder))
        table += summary(cell, found)
    head = ("model", "format", "bytes", "accuracy", "loss", "ms a window")
    print(markdown_table(head, table))


def summary(cell: str, folds: list[list[Row]]) -> list[list[str]]:
    """A row for each format, the mean of the folds."""
    lines = []
    for rows in zip(*folds, strict=True):
        mean = {
            key: float(np.mean([row[key] for row in rows]))
            for key in rows[0]
            if key != "format"
        }
        lines.append(
            [
                cell,
                rows[0]["format"],
                f"{mean['bytes']:.0f} of {mean['bytes_float']:.0f}",
                f"{mean['accuracy']:.4f} of {mean['floats']:.4f}",
                f"{mean['floats'] - mean['accuracy']:+.4f}",
                f"{mean['ms']:.1f}",
            ]
        )
    return lines


if __name__ == "__main__":
    main()
