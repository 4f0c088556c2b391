"""Write an artifact, prove it, and only then put it in its place."""

import json
import os
import pathlib
import tempfile

import keras

from keras_seqattn.argument_checks import check_positive_number
from keras_seqattn.export.bridge import named_model
from keras_seqattn.export.bridge import write
from keras_seqattn.export.proof import largest_difference
from keras_seqattn.export.request import Request


def export(
    model: keras.Model,
    path: str | os.PathLike[str],
    request: Request,
    tolerance: float,
) -> float:
    """Write an artifact, prove it, put it in place.

    Returns:
        The largest difference between the artifact and the model.

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
    named = named_model(model, request)
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=path.parent, prefix=".export-") as d:
        scratch = pathlib.Path(d)
        artifact = scratch / "artifact"
        write(model, named, artifact, request)
        difference = largest_difference(
            named, request.format, artifact, scratch, tolerance
        )
        if not difference <= tolerance:
            raise RuntimeError(
                "The exported model gives other numbers than the model: the "
                f"largest difference is {difference:.3g}, allowed are "
                f"{tolerance:.3g}. Nothing was written to {str(path)!r}."
            )
        if request.preprocessing:
            beside = path.with_name(f"{path.name}.json")
            (scratch / "beside").write_text(
                json.dumps(request.preprocessing, indent=1) + "\n"
            )
            (scratch / "beside").replace(beside)
        if path.is_dir():
            path.rename(scratch / "replaced")
        artifact.replace(path)
    return difference
