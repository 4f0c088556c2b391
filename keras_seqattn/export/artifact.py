"""Write an artifact, prove it, and only then put it in its place."""

import json
import os
import pathlib
import shutil
from collections.abc import Sequence
from typing import Any
from typing import Protocol

import keras

from keras_seqattn._checks import check_positive_number
from keras_seqattn.export.bridge import named_model
from keras_seqattn.export.bridge import write
from keras_seqattn.export.named_model import NamedModel
from keras_seqattn.export.proof import largest_difference
from keras_seqattn.export.request import Request
from keras_seqattn.export.scratch import scratch_folder
from keras_seqattn.version import __version__


class Measured(Protocol):
    """A proof of another kind than that all numbers are the model's."""

    def calibrate(self, scratch: pathlib.Path) -> None:
        """Store what the writing needs."""

    def measure(
        self, artifact: pathlib.Path, scratch: pathlib.Path
    ) -> dict[str, Any]:
        """Return its `loss` and what else is told, or raise."""


def export(
    model: keras.Model,
    path: str | os.PathLike[str],
    request: Request,
    tolerance: float,
    quantization: Measured | None = None,
) -> float:
    """Write an artifact, prove it, put it in place.

    Returns:
        The largest difference between the artifact and the model; what a
        quantized one loses.

    Raises:
        ImportError: A package is missing.
        FileExistsError: There is something else at `path`.
        ValueError: The model or an argument will not do.
        RuntimeError: The export failed, or the artifact's numbers differ.
            Nothing was written.
    """
    path = pathlib.Path(path)
    if quantization is None:
        tolerance = check_positive_number("tolerance", tolerance)
    request.check_packages()
    request.check_path(path)
    beside = path.with_name(f"{path.name}.json")
    told = request.preprocessing or quantization
    if told and beside.exists() and not _is_ours(beside):
        raise FileExistsError(
            f"There is something else than a preprocessing at {str(beside)!r}, "
            "where that of this export belongs. Remove it or export elsewhere."
        )
    named = named_model(model, request)
    if request.preprocessing:
        _check_channels(request.preprocessing["mean"], named)
    # Beside its place, or a rename could not put it there.
    home = next(p for p in path.absolute().parents if p.is_dir())
    with scratch_folder(home) as scratch:
        artifact = scratch / "artifact"
        text = dict(request.preprocessing or {})
        if quantization:
            quantization.calibrate(scratch)
            write(model, named, artifact, request)
            measured = quantization.measure(artifact, scratch)
            text = {"package_version": __version__, **text}
            text["quantization"] = measured
            difference = float(measured["loss"])
        else:
            write(model, named, artifact, request)
            difference = _prove(named, request, artifact, scratch, tolerance)
        _put(artifact, path, beside, text, scratch)
    return difference


def _prove(
    named: NamedModel,
    request: Request,
    artifact: pathlib.Path,
    scratch: pathlib.Path,
    tolerance: float,
) -> float:
    difference = largest_difference(
        named, request.format, artifact, scratch, tolerance
    )
    if not difference <= tolerance:
        raise RuntimeError(
            "The exported model gives other numbers than the model: the "
            f"largest difference is {difference:.3g}, allowed are "
            f"{tolerance:.3g}. Nothing was written."
        )
    return difference


def _check_channels(mean: Sequence[float], named: NamedModel) -> None:
    channels = [spec.shape[-1] for spec in named.inputs.values()]
    if len(mean) not in channels:
        raise ValueError(
            "`preprocessing` must have a mean and a scale for each channel of "
            f"an input, of which there are {channels}. "
            f"Received: {len(mean)} channels"
        )


def _put(
    artifact: pathlib.Path,
    path: pathlib.Path,
    beside: pathlib.Path,
    told: dict[str, Any],
    scratch: pathlib.Path,
) -> None:
    """Replace an artifact and the JSON beside it, or leave both."""
    replaced, text = scratch / "replaced", scratch / "beside"
    if told:
        text.write_text(json.dumps(told, indent=1) + "\n")
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        if path.is_dir():
            path.rename(replaced)
        elif path.exists():
            shutil.copy2(path, replaced)
            shutil.copymode(path, artifact)
        artifact.replace(path)
        if told:
            text.replace(beside)
        elif beside.exists() and _is_ours(beside):
            beside.unlink()  # It belonged to the artifact before.
    except BaseException:
        if not artifact.exists():
            path.rename(artifact)
        if replaced.exists():
            replaced.replace(path)
        raise


def _is_ours(beside: pathlib.Path) -> bool:
    """Whether an export wrote this file."""
    try:
        return "package_version" in json.loads(beside.read_text())
    except (OSError, ValueError, TypeError):
        return False
