"""
Title: Decode movement bin by bin
Author: The keras_seqattn authors
Date created: 2026/12/06
Last modified: 2026/12/06
Description: Train in batches, then decode each bin as it comes, with the same
    numbers, and measure how long a bin takes.

Two decoders of a simulated reaching session: an LSTM that runs on from bin to
bin, and attention over the last bins alone. Each is trained on batches and
turned into its one-step twin. The test bins then come one by one, some of them
lost on the way:

    python examples/streaming_decoder.py
    python examples/streaming_decoder.py --units 128 --lost 0.1
"""

import argparse
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
from keras_seqattn._training.tables import markdown_table
from keras_seqattn._training.tables import print_tables
from keras_seqattn.decoding.score import Score
from keras_seqattn.streaming import StreamingSession
from keras_seqattn.windows.cutting import take_windows
from keras_seqattn.windows.cutting import window_ends
from keras_seqattn.windows.standardizer import Standardizer

CHUNK = 100  # Bins of a training sequence of the decoder that runs on.


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--bins", type=int, default=8000)
    parser.add_argument("--window", type=int, default=8)
    parser.add_argument("--units", type=int, default=48)
    parser.add_argument("--epochs", type=int, default=8)
    parser.add_argument("--lost", type=float, default=0.05)
    parser.add_argument("--output", default="results/streaming_decoder")
    return parser.parse_args()


def main() -> None:
    arguments = parse_arguments()
    output = pathlib.Path(arguments.output)
    output.mkdir(parents=True, exist_ok=True)

    """
    ## The session

    The first four fifths are for training. Scaling is part of each model, so
    that it takes counts and gives cm/s.
    """
    recording = ks.tasks.simulated_reaching(bins=arguments.bins)
    cut = arguments.bins * 4 // 5
    print(
        f"Simulated reaching, {cut} bins of "
        f"{1e3 * recording.bin_width:.0f} ms for training, "
        f"{arguments.bins - cut} for the test; backend "
        f"{keras.backend.backend()}"
    )
    keras.utils.set_random_seed(0)
    models = {
        "lstm, runs on": train_running(recording, cut, arguments),
        f"attention, {arguments.window} bins": train_windowed(
            recording, cut, arguments
        ),
    }

    """
    ## One step at a time

    `step_model` makes the twin. A decoder that sees a window is told so by
    name. `StreamingSession` keeps the states; they can be written to disk and
    read by another process that has loaded the twin.
    """
    counts, movement = recording.spikes[cut:], recording.movement[cut:]
    lost = np.random.default_rng(1).random(len(counts)) < arguments.lost
    rows, traces, times = [], {}, {}
    for name, model in models.items():
        file = output / f"{name.split(',')[0]}_step.keras"
        ks.streaming.step_model(model, window=model.input_shape[1]).save(file)
        row, traces[name], times[name] = try_out(
            file, model, counts, movement, lost
        )
        rows.append([name, *row])
    head = (
        "decoder",
        "R2 in batches",
        "R2 bin by bin",
        "largest difference (cm/s)",
        f"R2, {arguments.lost:.0%} of the bins lost",
        "p50 (ms)",
        "p95",
        "p99",
    )
    print_tables("\n" + markdown_table(head, rows))
    bin_ms = 1e3 * recording.bin_width
    slowest = max(np.percentile(t, 99) for t in times.values())
    print(
        f"\nA bin is {bin_ms:.0f} ms long: in 99 of 100 bins the slower "
        f"decoder answers within {slowest:.2f} ms, {slowest / bin_ms:.1%} of "
        "it."
    )
    draw(recording, movement, traces, times, output / "streaming_decoder.png")
    print(
        f"\nIn {output}/:\n"
        "  *_step.keras           one step, with its states as inputs\n"
        "  session.npz            the states of the last session\n"
        "  streaming_decoder.png  figures"
    )


def try_out(
    file: pathlib.Path,
    model: keras.Model,
    counts: np.ndarray,
    movement: np.ndarray,
    lost: np.ndarray,
) -> tuple[list[str], np.ndarray, np.ndarray]:
    """Return a row of the table, the decoded trace and milliseconds a step."""
    decoded, seconds = decode(
        StreamingSession(keras.saving.load_model(file)), counts
    )
    batch = decode_in_batches(model, counts)
    whole = slice(len(decoded) - len(batch), None)  # Whole windows alone.
    difference = np.abs(decoded[whole] - batch).max()
    np.testing.assert_allclose(decoded[whole], batch, atol=1e-3)
    with_gaps = decode_with_restart(file, counts, lost, file.parent)
    row = [
        f"{Score.of(movement[whole], batch).r2:.3f}",
        f"{Score.of(movement[whole], decoded[whole]).r2:.3f}",
        f"{difference:.1e}",
        f"{Score.of(movement[whole], with_gaps[whole]).r2:.3f}",
        *(f"{1e3 * t:.2f}" for t in np.percentile(seconds, (50, 95, 99))),
    ]
    return row, decoded, 1e3 * seconds


def train_running(
    recording: ks.decoding.Recording, cut: int, arguments: argparse.Namespace
) -> keras.Model:
    """Train on sequences, with an output at every bin."""
    spikes, velocity = scalers(recording, cut)
    inputs = keras.Input((None, recording.spikes.shape[1]), name="counts")
    x = spikes.layer("standardize")(keras.ops.sqrt(inputs))
    x = keras.layers.Dropout(0.3)(x)
    x = keras.layers.LSTM(arguments.units, return_sequences=True)(x)
    x = keras.layers.Dense(2)(x)
    x = velocity.layer("velocity", invert=True)(x)
    model = keras.Model(inputs, x, name="running_decoder")
    ends = window_ends(recording.segment[:cut], CHUNK, stride=CHUNK // 2)
    fit(
        model,
        take_windows(recording.spikes[:cut], ends, CHUNK),
        take_windows(recording.movement[:cut], ends, CHUNK),
        batch_size=8,
        epochs=arguments.epochs,
    )
    return model


def train_windowed(
    recording: ks.decoding.Recording, cut: int, arguments: argparse.Namespace
) -> keras.Model:
    """Train on windows, with an output for each."""
    spikes, velocity = scalers(recording, cut)
    shape = (arguments.window, recording.spikes.shape[1])
    decoder = ks.models.build_neural_decoder(
        *shape, units=arguments.units, dropout=0.3
    )
    inputs = keras.Input(shape, name="counts")
    x = spikes.layer("standardize")(keras.ops.sqrt(inputs))
    x = velocity.layer("velocity", invert=True)(decoder(x))
    model = keras.Model(inputs, x, name="windowed_decoder")
    ends = window_ends(recording.segment[:cut], arguments.window)
    fit(
        model,
        take_windows(recording.spikes[:cut], ends, arguments.window),
        recording.movement[ends],
        batch_size=256,
        epochs=arguments.epochs,
    )
    return model


def scalers(
    recording: ks.decoding.Recording, cut: int
) -> tuple[Standardizer, Standardizer]:
    return (
        Standardizer.fit(np.sqrt(recording.spikes[:cut])),
        Standardizer.fit(recording.movement[:cut]),
    )


def fit(
    model: keras.Model, x: np.ndarray, y: np.ndarray, **options: int
) -> None:
    model.compile(keras.optimizers.Adam(1e-2, clipnorm=1.0), "mse")
    history = model.fit(x, y, verbose=0, **options).history
    print(f"{model.name}: training loss {history['loss'][-1]:.1f} (cm/s)^2")


def decode(
    session: StreamingSession, counts: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Push bin by bin: what was decoded, and the seconds of each push."""
    decoded, seconds = [], []
    for bin_counts in counts:
        start = time.perf_counter()
        decoded.append(session.push(bin_counts))
        seconds.append(time.perf_counter() - start)
    return np.stack(decoded), np.array(seconds)


def decode_in_batches(model: keras.Model, counts: np.ndarray) -> np.ndarray:
    """The same from the model that was trained."""
    if model.input_shape[1] is None:
        return model.predict(counts[None], verbose=0)[0]
    length = model.input_shape[1]
    ends = np.arange(length - 1, len(counts))
    return model.predict(take_windows(counts, ends, length), verbose=0)


def decode_with_restart(
    file: pathlib.Path,
    counts: np.ndarray,
    lost: np.ndarray,
    output: pathlib.Path,
) -> np.ndarray:
    """Decode with lost bins, by two sessions that share only files."""
    decoded = []
    half = len(counts) // 2
    for part in (slice(half), slice(half, None)):
        session = StreamingSession(keras.saving.load_model(file))
        if part.start:
            session.load(output / "session.npz")
        for bin_counts, is_lost in zip(counts[part], lost[part], strict=True):
            decoded.append(session.push(None if is_lost else bin_counts))
        session.save(output / "session.npz")
    return np.stack(decoded)


def draw(
    recording: ks.decoding.Recording,
    movement: np.ndarray,
    traces: dict[str, np.ndarray],
    times: dict[str, np.ndarray],
    path: pathlib.Path,
) -> None:
    matplotlib.use("Agg")
    matplotlib.style.use("keras_seqattn.visualization.style")
    import matplotlib.pyplot as plt

    from keras_seqattn import visualization

    figure, axes = plt.subplots(
        len(traces) + 1, 1, figsize=(9, 8), layout="constrained"
    )
    for ax, (name, decoded) in zip(axes, traces.items(), strict=False):
        visualization.plot_decoded_trace(
            movement[:150, 0],
            decoded[:150, 0],
            recording.bin_width,
            recording.quantity,
            ax,
        )
        ax.set_title(name)
    visualization.plot_latency(times, recording.bin_width, axes[-1])
    figure.savefig(path, dpi=120)
    plt.close(figure)


if __name__ == "__main__":
    main()
