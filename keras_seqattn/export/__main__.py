"""The command line of the exports."""

import argparse
import importlib
import json
import pathlib
import sys
from collections.abc import Sequence
from typing import Any

from keras_seqattn.export.keras_file import add_import_option
from keras_seqattn.export.keras_file import load_keras_file
from keras_seqattn.export.litert import export_litert
from keras_seqattn.export.onnx import export_onnx
from keras_seqattn.export.preprocessing import Preprocessing
from keras_seqattn.export.request import FORMATS
from keras_seqattn.export.saved_model import export_saved_model

EXPORTS: dict[str, Any] = {
    "saved_model": export_saved_model,
    "onnx": export_onnx,
    "litert": export_litert,
}


def parse_arguments(arguments: Sequence[str] | None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m keras_seqattn.export",
        description="Export a .keras file as an artifact that is proven: "
        "reloaded in a fresh process and compared with the model. "
        "KERAS_BACKEND says which backend loads the file.",
    )
    parser.add_argument("model", type=pathlib.Path, help="a .keras file")
    parser.add_argument("--format", choices=FORMATS, required=True)
    parser.add_argument(
        "--output",
        type=pathlib.Path,
        help="default: beside the model, named as it is",
    )
    parser.add_argument(
        "--attention-scores",
        action="store_true",
        help="return the scores of its attention as well",
    )
    parser.add_argument(
        "--preprocessing",
        type=pathlib.Path,
        metavar="JSON",
        help="a file with the fields of keras_seqattn.export.Preprocessing",
    )
    parser.add_argument("--tolerance", type=float, default=1e-4)
    parser.add_argument(
        "--timesteps", type=int, help="litert: length of the sequences"
    )
    parser.add_argument(
        "--batch-size", type=int, help="litert: number of sequences"
    )
    add_import_option(parser)
    found = parser.parse_args(arguments)
    sizes = (found.timesteps, found.batch_size)
    if found.format != "litert" and sizes != (None, None):
        parser.error("--timesteps and --batch-size are for --format litert")
    return found


def main(arguments: Sequence[str] | None = None) -> None:
    """Export, or say in a line why not."""
    given = parse_arguments(arguments)
    output = given.output or given.model.with_name(
        f"{given.model.stem}{FORMATS[given.format] or '_saved_model'}"
    )
    settings: dict[str, Any] = {
        "tolerance": given.tolerance,
        "attention_scores": given.attention_scores,
    }
    for name in ("timesteps", "batch_size"):
        if getattr(given, name) is not None:
            settings[name] = getattr(given, name)
    try:
        for module in given.modules:
            importlib.import_module(module)
        if given.preprocessing:
            settings["preprocessing"] = read_preprocessing(given.preprocessing)
        model = load_keras_file(given.model)
        difference = EXPORTS[given.format](model, output, **settings)
    except (ImportError, OSError, RuntimeError, TypeError, ValueError) as error:
        sys.exit(f"error: {error}")
    print(
        f"{output}: reloaded in a fresh process, it differs from the model "
        f"by at most {difference:.1e}."
    )


def read_preprocessing(path: pathlib.Path) -> Preprocessing:
    """Read a JSON file, such as an export has written.

    Raises:
        ValueError: Not JSON, or other fields.
    """
    try:
        fields = json.loads(path.read_text())
        for told in ("package_version", "quantization"):
            fields.pop(told, None)
        return Preprocessing(**fields)
    except (json.JSONDecodeError, AttributeError, TypeError) as error:
        raise ValueError(
            f"{str(path)!r} must be JSON with the fields of `Preprocessing`. "
            f"Received: {error}"
        ) from error


if __name__ == "__main__":
    main()
