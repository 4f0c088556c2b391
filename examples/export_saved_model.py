"""
Title: Export a decoder and serve it without Keras
Author: The keras_seqattn authors
Date created: 2026/11/28
Last modified: 2026/11/28
Description: A decoder, trained for a moment, as SavedModel and as ONNX, with
    its preprocessing inside; both served and compared.

    python examples/export_saved_model.py

Needs TensorFlow, and `pip install "keras_seqattn[onnx]"`, on any backend.
"""

import argparse
import dataclasses
import json
import os
import pathlib
import time
from collections.abc import Callable

# What TensorFlow says at each start, and the computation it speaks of.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "1")
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "0")

import keras
import numpy as np

import keras_seqattn as ks
from keras_seqattn._training.tables import markdown_table
from keras_seqattn._training.tables import print_tables
from keras_seqattn.decoding import DecodingData
from keras_seqattn.decoding import Score

Serve = Callable[[np.ndarray], np.ndarray]


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--bins", type=int, default=4000)
    parser.add_argument("--timesteps", type=int, default=8)
    parser.add_argument("--units", type=int, default=32)
    parser.add_argument("--epochs", type=int, default=5)
    parser.add_argument("--output", default="results/export_saved_model")
    return parser.parse_args()


def main() -> None:
    arguments = parse_arguments()

    """
    ## The decoder

    Trained on standardized windows. What is deployed takes spike counts and
    returns movement: the root, the mean and the scale are layers of it.
    """
    recording = ks.tasks.simulated_reaching(bins=arguments.bins)
    data = DecodingData(recording, arguments.timesteps)
    x, y = data.windows("train")
    trained = ks.models.build_neural_decoder(
        arguments.timesteps, x.shape[2], y.shape[1], units=arguments.units
    )
    trained.compile(keras.optimizers.Adam(0.01), "mse")
    trained.fit(x, y, batch_size=128, epochs=arguments.epochs)
    decoder = data.deploy(trained)

    """
    ## The artifacts

    What was done to the recording travels with them: the model carries it. It
    may be added to.
    """
    preprocessing = dataclasses.replace(
        ks.export.preprocessing_of(decoder),
        channels=[f"unit {i}" for i in range(x.shape[2])],
        units={"spike_counts": "spikes / bin", "movement": "cm/s"},
    )
    output = pathlib.Path(arguments.output)
    saved_model, onnx = output / "decoder" / "1", output / "decoder.onnx"
    ks.export.export_saved_model(
        decoder, saved_model, preprocessing=preprocessing
    )
    ks.export.export_onnx(decoder, onnx, preprocessing=preprocessing)

    """
    ## Served

    Each as whoever serves it will: with TensorFlow alone, with onnxruntime
    alone. Both know what they were told of the recording.
    """
    served: dict[str, tuple[Serve, pathlib.Path | None]] = {
        f"Keras, {keras.backend.backend()}": (
            lambda counts: np.asarray(
                keras.ops.convert_to_numpy(decoder.predict_on_batch(counts))
            ),
            None,
        ),
        "SavedModel, TensorFlow": (serve_saved_model(saved_model), saved_model),
        "ONNX, onnxruntime": (serve_onnx(onnx), onnx),
    }
    print_tables(f"\n{compare(served, data, recording, decoder, output)}")
    print(
        f"\nIn {output}/:\n"
        "  decoder/1/      for TensorFlow Serving, or tf.saved_model.load\n"
        "  decoder.onnx    for onnxruntime\n"
        "  *.json          what was done to the recording, as inside them\n"
        "docs/serving.md shows the requests."
    )


def compare(
    served: dict[str, tuple[Serve, pathlib.Path | None]],
    data: DecodingData,
    recording: ks.decoding.Recording,
    decoder: keras.Model,
    output: pathlib.Path,
) -> str:
    timesteps = decoder.input_shape[1]
    ends = data.ends["test"]
    steps = np.arange(-timesteps + 1, 1)
    counts = recording.spikes[ends[:, None] + steps].astype("float32")
    expected = decoder.predict(counts, batch_size=1024, verbose=0)
    rows = []
    for name, (serve, path) in served.items():
        decoded = serve(counts)
        score = Score.of(recording.movement[ends], decoded)
        p50, p95 = latency(serve, counts[:1])
        rows.append(
            [
                name,
                f"{size(path) / 1024:.0f}" if path else "",
                f"{np.abs(decoded - expected).max():.0e}",
                f"{score.r2:.3f}",
                f"{p50:.2f} / {p95:.2f}",
            ]
        )
    head = ["served as", "kB", "largest difference", "test R2"]
    table = markdown_table([*head, "one window, p50 / p95 (ms)"], rows)
    (output / "table.md").write_text(table + "\n")
    return table


def serve_saved_model(path: pathlib.Path) -> Serve:
    import tensorflow as tf

    loaded = tf.saved_model.load(path)
    said = loaded.signatures["preprocessing"]()
    print(
        f"\nThe SavedModel says: windows of {int(said['timesteps'])} steps, "
        f"{said['unit_of_spike_counts'].numpy().decode()}, "
        f"from {said['channels'][0].numpy().decode()!r} on."
    )
    decode = loaded.signatures["serving_default"]
    return lambda counts: decode(spike_counts=tf.constant(counts))[
        "movement"
    ].numpy()


def serve_onnx(path: pathlib.Path) -> Serve:
    import onnxruntime

    session = onnxruntime.InferenceSession(path)
    said = json.loads(
        session.get_modelmeta().custom_metadata_map["preprocessing"]
    )
    print(
        f"The ONNX file says: windows of {said['timesteps']} steps, "
        f"{said['units']['spike_counts']}, from {said['channels'][0]!r} on."
    )
    return lambda counts: session.run(["movement"], {"spike_counts": counts})[0]


def size(path: pathlib.Path) -> int:
    files = [path] if path.is_file() else path.rglob("*")
    return sum(file.stat().st_size for file in files)


def latency(serve: Serve, window: np.ndarray) -> tuple[float, float]:
    times = []
    for _ in range(220):
        start = time.perf_counter()
        serve(window)
        times.append(1e3 * (time.perf_counter() - start))
    p50, p95 = np.percentile(times[20:], (50, 95))  # The first ones warm up.
    return float(p50), float(p95)


if __name__ == "__main__":
    main()
