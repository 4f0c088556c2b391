"""
Title: Decode spikes as they come
Author: The keras_seqattn authors
Date created: 2026/12/08
Last modified: 2026/12/08
Description: A recording replayed in real time: spikes with time stamps, in
    bins, decoded; with the time from a bin's last spike to what it says.

A decoder of a simulated reaching session, and then the spikes of its test
part, in packets, as an amplifier sends them:

    python examples/live_decoder.py
    python examples/live_decoder.py --speed 1 --seconds 30
    python examples/live_decoder.py --decoder results/live_decoder/decoder.keras
"""

import argparse
import dataclasses
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
from keras_seqattn.decoding import DecodingData
from keras_seqattn.decoding import Predictions
from keras_seqattn.decoding import Recording
from keras_seqattn.decoding import SpikeBinner
from keras_seqattn.streaming import StreamingSession


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--bins", type=int, default=6000)
    parser.add_argument("--timesteps", type=int, default=6)
    parser.add_argument("--units", type=int, default=48)
    parser.add_argument("--epochs", type=int, default=8)
    parser.add_argument(
        "--decoder",
        type=pathlib.Path,
        help="a .keras file of an earlier run, in place of training",
    )
    parser.add_argument(
        "--seconds", type=float, default=60, help="of the recording"
    )
    parser.add_argument(
        "--speed", type=float, default=10, help="1 is as it was recorded"
    )
    parser.add_argument(
        "--packet", type=float, default=5, help="milliseconds of a packet"
    )
    parser.add_argument("--output", default="results/live_decoder")
    return parser.parse_args()


def main() -> None:
    arguments = parse_arguments()
    output = pathlib.Path(arguments.output)
    output.mkdir(parents=True, exist_ok=True)

    """
    ## The decoder

    It is trained on windows of bins. What is deployed takes counts and gives
    cm/s, and says of itself which recordings it takes.
    """
    recording = session(arguments.bins)
    if arguments.decoder is None:
        train(recording, arguments).save(output / "decoder.keras")
    model = keras.saving.load_model(
        arguments.decoder or output / "decoder.keras"
    )
    said = ks.export.preprocessing_of(model)
    print(
        f"The decoder says: {len(said.unit_ids)} units from "
        f"{said.unit_ids[0]!r} on, bins of {1e3 * said.bin_width:.0f} ms, "
        f"windows of {said.timesteps}, {said.quantity}; backend "
        f"{keras.backend.backend()}"
    )

    """
    ## The spikes

    The simulated session is in bins. Each spike gets a time stamp somewhere
    in its bin.
    """
    test = part(recording, arguments)
    times, units = spread(test)

    """
    ## The same, live

    `SpikeBinner` counts, and tells when a bin is complete; `StreamingSession`
    keeps the window.
    """
    binner = SpikeBinner(said.unit_ids, said.bin_width, start=start_of(test))
    step = ks.streaming.step_model(model, window=model.input_shape[1])
    live, latency = replay(
        StreamingSession(step), binner, times, units, test, arguments
    )
    batch = ks.decoding.predict_recording(model, test)
    print(
        f"\n{len(times)} spikes of {len(live.bins)} bins, replayed "
        f"{arguments.speed:g} times as fast as recorded; late: {binner.late}"
    )
    report(test, live, batch, latency, arguments.speed)
    path = output / "live_decoder.png"
    draw(test, live, latency, said.bin_width / arguments.speed, path)
    print(f"\nIn {output}/:")
    if arguments.decoder is None:
        print("  decoder.keras     the decoder, with what it says of itself")
    print("  live_decoder.png  figures")


def session(bins: int) -> Recording:
    """A recording in one piece, by its own clock, of units with names."""
    found = ks.tasks.simulated_reaching(bins=bins, segment_bins=bins)
    return dataclasses.replace(
        found,
        times=found.bin_width * np.arange(1, bins + 1),
        unit_ids=[f"unit {i}" for i in range(found.spikes.shape[1])],
    )


def train(recording: Recording, arguments: argparse.Namespace) -> keras.Model:
    keras.utils.set_random_seed(0)
    data = DecodingData(recording, arguments.timesteps)
    x, y = data.windows("train")
    decoder = ks.models.build_neural_decoder(
        arguments.timesteps,
        x.shape[2],
        y.shape[1],
        units=arguments.units,
        dropout=0.3,
    )
    decoder.compile(keras.optimizers.Adam(1e-2, clipnorm=1.0), "mse")
    decoder.fit(x, y, batch_size=256, epochs=arguments.epochs, verbose=0)
    decoded = decoder.predict(data.windows("test")[0], verbose=0)
    print(f"Trained: test R2 {data.score('test', decoded).r2:.3f}")
    return data.deploy(decoder)


def part(recording: Recording, arguments: argparse.Namespace) -> Recording:
    """The first seconds of the last fifth, which was not trained on."""
    first = arguments.bins * 4 // 5
    count = round(arguments.seconds / recording.bin_width)
    kept = slice(first, min(first + count, arguments.bins))
    return Recording(
        recording.spikes[kept],
        recording.movement[kept],
        None,
        recording.bin_width,
        recording.quantity,
        times=recording.times[kept],
        unit_ids=recording.unit_ids,
    )


def start_of(recording: Recording) -> float:
    return float(recording.times[0] - recording.bin_width)


def spread(recording: Recording) -> tuple[np.ndarray, np.ndarray]:
    """Time stamp and unit of each spike, in the order of time."""
    bins, columns = np.nonzero(recording.spikes)
    counts = recording.spikes[bins, columns].astype(int)
    bins, columns = np.repeat(bins, counts), np.repeat(columns, counts)
    before_the_end = np.random.default_rng(0).uniform(1e-6, 1, len(bins))
    times = recording.times[bins] - before_the_end * recording.bin_width
    order = np.argsort(times)
    return times[order], np.array(recording.unit_ids)[columns[order]]


def replay(
    session: StreamingSession,
    binner: SpikeBinner,
    times: np.ndarray,
    units: np.ndarray,
    recording: Recording,
    arguments: argparse.Namespace,
) -> tuple[Predictions, dict[str, np.ndarray]]:
    """Send packet after packet, each when it is due.

    Returns:
        What was decoded, and milliseconds of each bin: from the arrival of
        its last spike and from its end to the decoded value, and of the step
        alone.
    """
    start = start_of(recording)
    packet = arguments.packet / 1e3
    number = int(np.ceil((recording.times[-1] - start) / packet))
    edges = start + packet * np.arange(1, number + 1)
    cuts = np.searchsorted(times, edges)
    decoded, seconds = [], []
    begin, sent = time.perf_counter(), 0
    for edge, cut in zip(edges, cuts, strict=True):
        # When the packet was due, not when there was time for it: a decoder
        # that is too slow would make all that follow late, and must show it.
        arrival = begin + (edge - start) / arguments.speed
        wait_until(arrival)
        bins = binner.push(times[sent:cut], units[sent:cut])
        sent = cut
        for end, counts in bins + binner.advance(edge):
            pushed = time.perf_counter()
            decoded.append(session.push(counts))
            done = time.perf_counter()
            # When the packet came that held the last spike before its end.
            spike = np.searchsorted(cuts, np.searchsorted(times, end))
            spike = begin + packet * (spike + 1) / arguments.speed
            ended = begin + (end - start) / arguments.speed
            seconds.append((done - spike, done - ended, done - pushed))
    names = ("from the last spike", "from the bin's end", "the step alone")
    latency = 1e3 * np.array(seconds).T
    return (
        Predictions(recording, np.arange(len(decoded)), np.stack(decoded)),
        dict(zip(names, latency, strict=True)),
    )


def wait_until(moment: float) -> None:
    """Sleep, but the last millisecond, in which a sleep is not exact."""
    while (left := moment - time.perf_counter()) > 0:
        if left > 1e-3:
            time.sleep(left - 1e-3)


def report(
    recording: Recording,
    live: Predictions,
    batch: Predictions,
    latency: dict[str, np.ndarray],
    speed: float,
) -> None:
    # Live says something before there is a whole window, too.
    whole = np.isin(live.bins, batch.bins)
    same = live.decoded[whole] - batch.decoded
    np.testing.assert_allclose(same, 0, atol=1e-3)
    print(
        f"R2 live {live.score(whole).r2:.3f}, in batches "
        f"{batch.score().r2:.3f}; largest difference {np.abs(same).max():.0e} "
        "cm/s\n"
    )
    rows = [
        [name, *(f"{x:.2f}" for x in np.percentile(values, (50, 95, 99)))]
        for name, values in latency.items()
    ]
    head = ["time to the decoded value", "p50 (ms)", "p95", "p99"]
    print_tables(markdown_table(head, rows))
    print(
        "\nA bin is decoded when a packet has told of its end. Waiting for "
        f"it, at {speed:g} times the speed of the recording, is in the first "
        "two rows."
    )
    allowed = 1e3 * recording.bin_width / speed
    if np.median(latency["from the bin's end"]) > allowed:
        print(
            f"This machine does not keep up with bins of {allowed:.1f} ms: "
            "they queue. Use a lower --speed."
        )


def draw(
    recording: Recording,
    live: Predictions,
    latency: dict[str, np.ndarray],
    limit: float,
    path: pathlib.Path,
) -> None:
    matplotlib.use("Agg")
    matplotlib.style.use("keras_seqattn.visualization.style")
    import matplotlib.pyplot as plt

    from keras_seqattn import visualization

    figure, axes = plt.subplots(2, 1, figsize=(9, 6), layout="constrained")
    shown = min(150, len(live.decoded))
    visualization.plot_decoded_trace(
        recording.movement[:shown, 0],
        live.decoded[:shown, 0],
        recording.bin_width,
        recording.quantity,
        axes[0],
    )
    visualization.plot_latency(latency, limit, axes[1])
    figure.savefig(path, dpi=120)
    plt.close(figure)


if __name__ == "__main__":
    main()
