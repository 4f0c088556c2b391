"""The command line: label new recordings with a trained classifier."""

import argparse
import importlib
import pathlib
import sys
import warnings
from collections.abc import Sequence
from typing import Any
from typing import NoReturn

from keras_seqattn.activity.deployed import predict_recording
from keras_seqattn.activity.merging import SMOOTHINGS
from keras_seqattn.activity.timeline import ActivityTimeline
from keras_seqattn.activity.timeline import write_csv
from keras_seqattn.export.keras_file import add_import_option
from keras_seqattn.export.keras_file import load_keras_file


def parse_arguments(arguments: Sequence[str] | None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="python -m keras_seqattn.activity")
    command = parser.add_subparsers(required=True, metavar="predict")
    predict = command.add_parser(
        "predict",
        help="label new recordings",
        description="Label new recordings, sample by sample, with a "
        "classifier that activity.train_final has trained. KERAS_BACKEND says "
        "which backend runs it.",
    )
    predict.add_argument("model", type=pathlib.Path, help="a .keras file")
    predict.add_argument("files", type=pathlib.Path, nargs="+")
    predict.add_argument(
        "--output",
        type=pathlib.Path,
        metavar="CSV",
        help="default: beside the first file, <its name>_labels.csv",
    )
    predict.add_argument(
        "--figure", type=pathlib.Path, help="draw the time lines (.png, ...)"
    )
    predict.add_argument("--overlap", type=float, default=0.5)
    predict.add_argument("--smoothing", choices=SMOOTHINGS, default="mean")
    predict.add_argument("--smoothing-seconds", type=float)
    predict.add_argument(
        "--column",
        dest="columns",
        action="append",
        default=[],
        metavar="CHANNEL=COLUMN",
        help="a channel of the classifier, and what the file calls it",
    )
    predict.add_argument("--time-unit", help="of the files: s, ms, us or ns")
    predict.add_argument(
        "--sensor", help="a column, or a pattern on the path, of the sensor"
    )
    predict.add_argument(
        "--ignore",
        action="append",
        default=[],
        metavar="CHANNEL",
        help="a channel of the files that the classifier does not know",
    )
    add_import_option(predict)
    found = parser.parse_args(arguments)
    if wrong := [x for x in found.columns if not all(x.partition("="))]:
        parser.error(f"--column must be CHANNEL=COLUMN, not {wrong[0]!r}")
    return found


def main(arguments: Sequence[str] | None = None) -> None:
    """Label recordings, or say in a line why not."""
    given = parse_arguments(arguments)
    first = given.files[0]
    output = given.output or first.with_name(f"{first.stem}_labels.csv")
    try:
        _check_places([output, given.figure], [given.model, *given.files])
        for module in given.modules:
            importlib.import_module(module)
        timelines = _predict(given)
        write_csv(output, timelines)
        if given.figure:
            # Here, since there need not be figures.
            drawing = importlib.import_module(
                "keras_seqattn.visualization.timeline"
            )
            drawing.save_figure(timelines, given.figure)
    except (ImportError, OSError, RuntimeError, TypeError, ValueError) as error:
        _stop(error)
    for timeline in timelines:
        print(f"{timeline.source}: {_summary(timeline)}")
    print(f"In {output}{f' and {given.figure}' if given.figure else ''}.")


def _predict(given: argparse.Namespace) -> list[ActivityTimeline]:
    missing = [str(path) for path in given.files if not path.exists()]
    if missing:
        raise FileNotFoundError(f"There is no recording at {missing[0]!r}.")
    model = load_keras_file(given.model)
    reading: dict[str, Any] = {}
    if given.columns:
        pairs = (text.partition("=") for text in given.columns)
        reading["columns"] = {channel: column for channel, _, column in pairs}
    for name in ("time_unit", "sensor"):
        if getattr(given, name):
            reading[name] = getattr(given, name)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", UserWarning)
        # All at once: one recording may be in several files.
        timelines = predict_recording(
            model,
            [str(path) for path in given.files],
            overlap=given.overlap,
            smoothing=given.smoothing,
            smoothing_seconds=given.smoothing_seconds,
            ignore=given.ignore,
            **reading,
        )
    for warning in caught:
        if issubclass(warning.category, UserWarning):
            print(f"warning: {_line(warning.message)}", file=sys.stderr)
    return timelines


def _check_places(
    outputs: Sequence[pathlib.Path | None], inputs: Sequence[pathlib.Path]
) -> None:
    """Raise before the work if there is no place for what comes of it."""
    there = [path.resolve() for path in inputs]
    for path in outputs:
        if path is None:
            continue
        if path.resolve() in there:
            raise ValueError(
                f"{str(path)!r} is read, and must not be written. Name "
                "another file."
            )
        if path.is_dir() or not path.absolute().parent.is_dir():
            raise FileNotFoundError(
                f"{str(path)!r} must be a file in a folder that there is."
            )


def _summary(timeline: ActivityTimeline) -> str:
    seconds = {
        name: float((timeline.label == name).sum() / timeline.rate)
        for name in timeline.classes
    }
    return ", ".join(
        f"{name} {time:.1f} s" for name, time in seconds.items() if time
    )


def _line(text: Any) -> str:
    return " ".join(str(text).split())


def _stop(error: Exception) -> NoReturn:
    print(f"error: {_line(error)}", file=sys.stderr)
    sys.exit(2)


if __name__ == "__main__":
    main()
