"""Write an artifact, prove it, and only then put it in its place."""

import json
import os
import pathlib
import shutil
from collections.abc import Sequence
from typing import Any

import keras

from keras_seqattn._checks import check_positive_number
from keras_seqattn.export.bridge import named_model
from keras_seqattn.export.bridge import write
from keras_seqattn.export.named_model import NamedModel
from keras_seqattn.export.proof import largest_difference
from keras_seqattn.export.quantization import Quantization
from keras_seqattn.export.request import Request
from keras_seqattn.export.scratch import scratch_folder
from keras_seqattn.version import __version__


def export(
    model: keras.Model,
    path: str | os.PathLike[str],
    request: Request,
    tolerance: float,
    quantization: Quantization | None = None,
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
    tolerance = check_positive_number("tolerance", tolerance)
    request.check_packages()
    request.check_path(path)
    beside = path.with_name(f"{path.name}.json")
    if (
        (request.preprocessing or quantization)
        and beside.exists()
        and not _is_ours(beside)
    ):
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
        if quantization:
            quantization.calibrate(scratch)
        write(model, named, artifact, request)
        told = dict(request.preprocessing or {})
        if quantization:
            measured = quantization.measure(artifact, scratch)
            told |= {"package_version": __version__, "quantization": measured}
            difference = float(measured["loss"])
        else:
            difference = largest_difference(
                named, request.format, artifact, scratch, tolerance
            )
            if not difference <= tolerance:
                raise RuntimeError(
                    "The exported model gives other numbers than the model: "
                    f"the largest difference is {difference:.3g}, allowed are "
                    f"{tolerance:.3g}. Nothing was written to {str(path)!r}."
                )
        _put(artifact, path, beside, told, scratch)
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
