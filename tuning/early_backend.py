"""The backend of a search, chosen before Keras is imported."""

import argparse
import json
import os
import pathlib
from collections.abc import Sequence

BACKENDS = ("tensorflow", "jax", "torch")


def choose_backend(arguments: Sequence[str]) -> None:
    """Set `KERAS_BACKEND` from the command line of a search.

    `--backend` comes first, then the variable as it is, then the backend of
    the search that is in `--directory`, then Keras' own choice.

    Args:
        arguments: The command line, without the program.
    """
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    parser.add_argument("--backend")
    parser.add_argument("--directory")
    found, _ = parser.parse_known_args(arguments)
    backend = found.backend
    if backend is None and "KERAS_BACKEND" not in os.environ:
        backend = _backend_of(found.directory)
    if backend in BACKENDS:  # Another one is refused where all arguments are.
        os.environ["KERAS_BACKEND"] = backend
    if os.environ.get("KERAS_BACKEND") == "torch":
        # Before TensorFlow, which another package may import: the other order
        # crashes on some machines.
        import torch  # noqa: F401


def _backend_of(directory: str | None) -> str | None:
    if directory is None:
        return None
    try:
        text = (pathlib.Path(directory) / "settings.json").read_text()
        return str(json.loads(text)["backend"])
    except (OSError, ValueError, KeyError):
        return None  # No search yet, or one that is refused later.
