"""What 8 bits cost: bytes, accuracy on new subjects, milliseconds a window.

    python -m benchmarks.quantization --data ucihar_train.npz

Trains a small LARNN and a small LSTM classifier for each fold of subjects
(kept in `--output`, and found there again), quantizes the step of each, and
prints the table of docs/quantization.md. Ranges are found and accuracies
measured on windows of the subjects left out. Milliseconds are the least of
five runs of one window, whose samples Python feeds to the step one by one, on
one thread. Ten minutes on one core, on TensorFlow.
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
from examples.activity_classifier import RECORDED
from keras_seqattn import activity
from keras_seqattn._training.tables import markdown_table
from keras_seqattn.export.quantization import without_loop

RECIPE = dataclasses.replace(RECORDED, epochs=8, learning_rate=2e-3)
BUILD = functools.partial(
    ks.models.build_activity_classifier,
    units=32,
    num_heads=4,
    stem_filters=(32, 32),
)
FORMATS = {
    "litert": (".tflite", (None, "float16", "dynamic", "int8")),
    "onnx": (".onnx", (None, "dynamic", "int8")),
}
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


def litert(path: pathlib.Path) -> tuple[Any, dict[str, np.ndarray]]:
    """How to run it, and zeros for its inputs."""
    import tensorflow as tf

    interpreter = tf.lite.Interpreter(str(path), num_threads=1)
    runner = interpreter.get_signature_runner()
    details = runner.get_input_details()
    zeros = {
        name: np.zeros(x["shape"], x["dtype"]) for name, x in details.items()
    }
    return runner, zeros


def onnx(path: pathlib.Path) -> tuple[Any, dict[str, np.ndarray]]:
    """How to run it, and zeros for its inputs."""
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

    def run(**given: np.ndarray) -> dict[str, np.ndarray]:
        return dict(zip(names, session.run(names, given), strict=True))

    return run, zeros


RUNNERS = {"litert": litert, "onnx": onnx}


def milliseconds(run: Any, zeros: Any, window: np.ndarray) -> float:
    times = []
    for _ in range(5):
        start = time.perf_counter()
        states = {n: x for n, x in zeros.items() if n != "signal"}
        for sample in window:
            found = run(signal=sample[None], **states)
            states = {n: found[f"next_{n}"] for n in states}
        times.append(time.perf_counter() - start)
    return 1000 * min(times)


def rows_of(model: keras.Model, windows: Any, stem: pathlib.Path) -> list[Row]:
    """A row for each format, floats first."""
    rows: list[Row] = []
    right = model.predict(windows.x, verbose=0).argmax(axis=-1) == windows.y
    for kind, (ending, methods) in FORMATS.items():
        export: Any = getattr(ks.export, f"export_{kind}")
        for method in methods:
            path = stem.with_name(f"{stem.name}_{method or 'float'}{ending}")
            told = {"accuracy": float(np.mean(right))}
            if method is None:
                export(without_loop(model), path)
            else:
                export(
                    model,
                    path,
                    quantize=method,
                    representative=windows.x,
                    labels=windows.y,
                    max_loss=1.0,  # The table tells it.
                )
                text = pathlib.Path(f"{path}.json").read_text()
                told = json.loads(text)["quantization"]
            run, zeros = RUNNERS[kind](path)
            rows.append(
                {
                    "format": f"{kind} {method or 'float'}",
                    "bytes": path.stat().st_size,
                    "accuracy": told["accuracy"],
                    "ms": milliseconds(run, zeros, windows.x[0]),
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
    windows = activity.load_recordings(given.data)
    folds = activity.subject_folds(windows.subject, given.folds)
    table = []
    for cell in given.cell:
        found = []
        for number, (others, own) in enumerate(folds):
            stem = folder / f"{cell}_{number}"
            model = trained(windows, others, cell, stem.with_suffix(".keras"))
            random = np.random.default_rng(0)
            some = random.permutation(own)[: given.windows]
            found.append(rows_of(model, part(windows, some), stem))
        for rows in zip(*found, strict=True):
            size, ms = (
                float(np.mean([row[key] for row in rows]))
                for key in ("bytes", "ms")
            )
            accuracy = ", ".join(f"{row['accuracy']:.3f}" for row in rows)
            title = rows[0]["format"]
            table.append([cell, title, f"{size:.0f}", accuracy, f"{ms:.1f}"])
    head = ("cell", "format", "bytes", "accuracy of each fold", "ms a window")
    print(markdown_table(head, table))


if __name__ == "__main__":
    main()
