"""The backend of a search, chosen before Keras is imported."""

import argparse
import json
import os
import pathlib
from collections.abc import Sequence

BACKENDS = ("tensorflow", "jax", "torch")


def default_directory(stem: str) -> str:
    """Return where a search is that names no `--directory`."""
    return f"results/tuning/{stem}"


def choose_backend(arguments: Sequence[str], stem: str) -> None:
    """Set `KERAS_BACKEND` from the command line of a search.

    `--backend` comes first, then the variable as it is, then the backend of
    the search in `--directory` that is resumed or retrained, then Keras' own
    choice.

    Args:
        arguments: The command line, without the program.
        stem: Whose it is, for the default of `--directory`.
    """
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    parser.add_argument("--backend")
    parser.add_argument("--directory", default=default_directory(stem))
    parser.add_argument("--resume", action="store_true")
    parser.add_argument("--retrain", nargs="?", const="1")
    found, _ = parser.parse_known_args(arguments)
    backend = found.backend
    used = found.resume or found.retrain
    if backend is None and used and "KERAS_BACKEND" not in os.environ:
        backend = _backend_of(found.directory)
    if backend in BACKENDS:  # Another one is refused where all arguments are.
        os.environ["KERAS_BACKEND"] = backend
    if os.environ.get("KERAS_BACKEND") == "torch":
        # Before TensorFlow, which another package may import: the other order
        # crashes on some machines.
        import torch  # noqa: F401


def _backend_of(directory: str) -> str | None:
    try:
        text = (pathlib.Path(directory) / "settings.json").read_text()
        return str(json.loads(text)["backend"])
    except (OSError, ValueError, KeyError):
        return None  # No search yet, or one that is refused later.
