"""Open a `.keras` file, or say what is wrong with it."""

import argparse
import os
import pathlib
import zipfile
import zlib

import keras

MEMBERS = ("config.json", "metadata.json")


def add_import_option(parser: argparse.ArgumentParser) -> None:
    """Let a command line name modules, `modules`, to import before a file."""
    parser.add_argument(
        "--import",
        dest="modules",
        action="append",
        default=[],
        metavar="MODULE",
        help="a module that registers layers of your own",
    )


def load_keras_file(path: str | os.PathLike[str]) -> keras.Model:
    """Load a `.keras` file, with a clear error where that fails.

    Args:
        path: The file. It may have been saved on any backend.

    Returns:
        The model.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: The file is truncated, damaged, not a `.keras` file, or
            holds something that cannot be loaded here.
    """
    path = pathlib.Path(path)
    if not path.is_file():
        raise FileNotFoundError(
            f"There is no file {str(path)!r}. A `.keras` file was expected, "
            "as `model.save('model.keras')` writes it."
        )
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
            damaged = archive.testzip()
    except (zipfile.BadZipFile, zlib.error, OSError, EOFError) as error:
        raise ValueError(
            f"{str(path)!r} is not a `.keras` file, or only a part of one: it "
            "is not a complete zip archive. Save or copy it again. "
            f"Received: {path.stat().st_size} bytes ({error})"
        ) from error
    if damaged:
        raise ValueError(
            f"{str(path)!r} is damaged: the checksum of its part {damaged!r} "
            "is wrong. Save or copy it again."
        )
    if not set(MEMBERS) <= set(names):
        raise ValueError(
            f"{str(path)!r} is not a `.keras` file: it must hold {MEMBERS}. "
            f"Received: a zip archive of {names[:5]}"
        )
    try:
        return keras.saving.load_model(path)
    except Exception as error:
        # Keras puts its reason at the end of a long text.
        reason = str(error).rpartition("Exception encountered: ")[-1]
        raise ValueError(
            f"{str(path)!r} is a `.keras` file, but Keras cannot load it. If "
            "it holds layers of your own, import their module first "
            "(`--import my_layers` on the command line). Keras said: "
            f"{reason[:500]}"
        ) from error
