"""
Title: Decode movement from spikes with the fewest timesteps
Author: The keras_seqattn authors
Date created: 2026/11/22
Last modified: 2026/11/22
Description: Attention proposes a window, validation checks it, a small
    decoder is trained on it, compared, saved and exported.

Without arguments it simulates a reaching session whose right answer is known
(5 bins). With `--data FILE` it decodes a recording of your own: `.nwb`, `.mat`,
pynapple's `.npz`, or an `.npz` in bins with the keys `spikes` (bins, units),
`vel`, `pos` or `acc` (bins, axes), and optionally `segment` (bins,) and
`bin_width` (seconds). `--list` prints what a file holds and stops:

    python examples/neural_decoder.py
    python examples/neural_decoder.py --data recording.npz --behavior vel
    python examples/neural_decoder.py --data session.nwb --list
    python examples/neural_decoder.py --data session.nwb \\
        --behavior Position/x Position/y --quantity velocity \\
        --bin-width 0.05 --lag 0.1 --trials trials
    python examples/neural_decoder.py --data spikes.npz \\
        --behavior heading.npz --quantity direction --bin-width 0.05
    python examples/neural_decoder.py --data lab.mat --bin-width 0.05 \\
        --fields spike_times=units times=t movement=vel
    python examples/neural_decoder.py --data indy_20160407_02.mat --area M1

`--recipe` trains as a search (`tuning/`) has found:

    python examples/neural_decoder.py --data recording.npz \\
        --recipe results/tuning/neural_decoder/recipe.json
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
from keras_seqattn import decoding
from keras_seqattn._training.tables import print_tables

"""
## Settings

The simulated session is small and its decoder too, so that all of it runs in
a minute. A recording gets a larger decoder and more epochs.
"""

SIMULATED = dataclasses.replace(
    decoding.RECIPE, epochs=8, batch_size=256, learning_rate=1.5e-2
)
QUANTITIES = (
    "as given",
    "velocity",
    "acceleration",
    "direction",
    "position",
)
RECORDED = dataclasses.replace(decoding.RECIPE, epochs=6, batch_size=64)


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--data", help="an .nwb, .mat or .npz file; default: simulated"
    )
    parser.add_argument(
        "--list", action="store_true", help="print what the file holds"
    )
    source = parser.add_argument_group("what is read from the file")
    source.add_argument(
        "--behavior", nargs="+", help="name of what is decoded, or several"
    )
    source.add_argument(
        "--quantity", choices=QUANTITIES, help="see load_recording"
    )
    source.add_argument("--bin-width", type=float, help="seconds")
    source.add_argument(
        "--lag", type=float, default=0.0, help="seconds; > 0: movement follows"
    )
    source.add_argument(
        "--trials", help="name of intervals in the file, or pynapple's file"
    )
    source.add_argument("--condition", help="column of the trials (.nwb)")
    source.add_argument(
        "--fields",
        nargs="+",
        metavar="WHAT=NAME",
        help="the variables of a .mat file",
    )
    source.add_argument("--alignment", choices=("end", "mean", "start"))
    session = parser.add_argument_group("for a session of primate_reaching")
    session.add_argument("--area", choices=("M1", "S1", "M1+S1"))
    session.add_argument("--effector", choices=("cursor", "finger"))
    parser.add_argument("--timesteps", type=int, default=20)
    parser.add_argument("--threshold", type=float, default=0.9)
    parser.add_argument("--tolerance", type=float, default=0.005)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument(
        "--folds", type=int, help="score on so many blocks of time too"
    )
    parser.add_argument("--units", type=int, help="default: 48, or 128")
    parser.add_argument("--bidirectional", action="store_true")
    training = parser.add_argument_group("training")
    training.add_argument("--recipe", help="a .json file, as searches write")
    training.add_argument("--epochs", type=int, help="not the recipe's")
    training.add_argument("--batch-size", type=int, help="the same")
    training.add_argument("--learning-rate", type=float, help="the same")
    parser.add_argument("--output", default="results/neural_decoder")
    return parser.parse_args()


def make_recipe(arguments: argparse.Namespace) -> decoding.Recipe:
    if arguments.recipe:
        recipe = decoding.Recipe.load(arguments.recipe)
    else:
        recipe = RECORDED if arguments.data else SIMULATED
    changes = {
        name: getattr(arguments, name)
        for name in ("epochs", "batch_size", "learning_rate")
        if getattr(arguments, name) is not None
    }
    return dataclasses.replace(recipe, **changes)


"""
## The recording

Spike counts and velocity, one row a bin.
"""


def load(arguments: argparse.Namespace) -> decoding.Recording:
    if not arguments.data:
        print("Simulated reaching: the newest 5 bins hold everything.")
        return ks.tasks.simulated_reaching(bins=8000, kernel_length=5)
    options = {
        name: getattr(arguments, name)
        for name in ("area", "effector", "alignment", "condition")
        if getattr(arguments, name) is not None
    }
    if arguments.fields:
        options["fields"] = make_fields(arguments.fields)
    behavior = arguments.behavior
    return decoding.load_recording(
        arguments.data,
        behavior[0] if behavior and len(behavior) == 1 else behavior,
        bin_width=arguments.bin_width,
        quantity=arguments.quantity,
        lag=arguments.lag,
        trials=arguments.trials,
        **options,
    )


def make_fields(pairs: list[str]) -> dict[str, str | float]:
    fields: dict[str, str | float] = {}
    for pair in pairs:
        what, _, name = pair.partition("=")
        try:
            fields[what] = float(name) if what == "bin_width" else name
        except ValueError:  # A variable that holds it.
            fields[what] = name
    return fields


def main() -> None:
    arguments = parse_arguments()
    if arguments.list and not arguments.data:
        raise SystemExit("--list tells what a file holds: give --data.")
    try:
        if arguments.list:
            print(decoding.recording_contents(arguments.data))
            return
        recipe = make_recipe(arguments)
        recording = load(arguments)
    except (ImportError, OSError, ValueError) as error:
        raise SystemExit(f"{type(error).__name__}: {error}") from None
    bins, units = recording.spikes.shape
    print(f"{bins} bins, {units} units, backend {keras.backend.backend()}")
    data = decoding.DecodingData(recording, arguments.timesteps)
    print(f"In windows: {decoding.coverage_text(data.coverage)}")

    """
    ## The search

    Train with attention, take its proposal, check it on validation windows,
    compare on test windows.
    """
    start = time.time()
    report = decoding.decode_recording(
        recording,
        arguments.timesteps,
        recipe,
        threshold=arguments.threshold,
        tolerance=arguments.tolerance,
        seeds=arguments.seeds,
        folds=arguments.folds,
        build=functools.partial(
            ks.models.build_neural_decoder,
            units=arguments.units or (128 if arguments.data else 48),
            bidirectional=arguments.bidirectional,
            dropout=0.3,
            recurrent_dropout=0.3 if arguments.data else 0.0,
        ),
    )
    found = report.recommendation
    print(f"\nSearch and training took {time.time() - start:.0f} s.\n")
    report.show()
    if report.folds:
        print_tables("\n" + report.fold_table())
    print(
        f"\nAttention proposes {report.selection.timesteps} timesteps "
        f"(per seed {report.selection.per_seed}); validation recommends "
        f"{found.timesteps}: R2 {found.mean_score(found.timesteps):.3f} "
        f"against {found.mean_score(report.timesteps):.3f} at "
        f"{report.timesteps}."
    )
    write(report, recording, pathlib.Path(arguments.output))


"""
## The figures, the files

The decoder takes spike counts and returns movement in its own unit: the
standardization is part of it.
"""


def write(
    report: decoding.DecodingReport,
    recording: decoding.Recording,
    output: pathlib.Path,
) -> None:
    output.mkdir(parents=True, exist_ok=True)
    draw(report, recording, output / "neural_decoder.png")
    tables = [report.table()] + [report.fold_table()] * bool(report.folds)
    (output / "report.md").write_text("\n\n".join(tables) + "\n")
    (output / "report.json").write_text(
        json.dumps(report.to_dict(), indent=1, allow_nan=False)
    )
    report.predictions.save(output / "predictions.csv")
    report.decoder.save(output / "decoder.keras")
    loaded = keras.saving.load_model(output / "decoder.keras")
    some = report.test_windows[:100]
    np.testing.assert_allclose(
        loaded.predict(some, verbose=0),
        report.decoder.predict(some, verbose=0),
        rtol=1e-5,
        atol=1e-5,
    )
    difference = ks.export.export_saved_model(
        report.decoder, output / "decoder_saved_model"
    )
    print(
        f"The SavedModel, reloaded in a fresh process, differs by at most "
        f"{difference:.1e}.\n\nIn {output}/:\n"
        "  neural_decoder.png    figures\n"
        "  report.md             the table\n"
        "  report.json           every number\n"
        "  predictions.csv       each test bin: time, true, decoded\n"
        "  decoder.keras         keras.saving.load_model(...)\n"
        "  decoder_saved_model/  tf.saved_model.load(...).serve(counts), and\n"
        "                        a .json: its units, bins and scale"
    )


def draw(
    report: decoding.DecodingReport,
    recording: decoding.Recording,
    path: pathlib.Path,
) -> None:
    matplotlib.use("Agg")
    matplotlib.style.use("keras_seqattn.visualization.style")
    import matplotlib.pyplot as plt

    from keras_seqattn import visualization

    figure, axes = plt.subplots(2, 2, figsize=(11, 7), layout="constrained")
    visualization.plot_attention_profile(
        report.selection, recording.bin_width, axes[0, 0]
    )
    visualization.plot_cumulative_share(report.selection, axes[0, 1])
    visualization.plot_score_against_timesteps(
        report.recommendation, report.wiener_curve, axes[1, 0]
    )
    visualization.plot_decoded_trace(
        report.predictions.true[:150, 0],
        report.predictions.decoded[:150, 0],
        recording.bin_width,
        recording.quantity,
        axes[1, 1],
        bins=report.predictions.bins[:150],
    )
    figure.savefig(path, dpi=120)
    plt.close(figure)


if __name__ == "__main__":
    main()
