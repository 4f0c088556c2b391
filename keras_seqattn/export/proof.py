"""The proof: an artifact gives the model's numbers in a fresh process."""

import os
import pathlib
import subprocess
import sys
from typing import Any

import keras
import numpy as np

from keras_seqattn.export.named_model import NamedModel

# Two sizes for each free axis: batch, then any other. An artifact with one
# of them baked in fails on the second.
SIZES = ((1, 11), (3, 7))


def largest_difference(
    named: NamedModel,
    kind: str,
    artifact: pathlib.Path,
    scratch: pathlib.Path,
) -> float:
    """Return the largest difference between an artifact and its model.

    The artifact is run in one fresh process, without Keras, on random inputs
    of two batch sizes and two lengths, as far as these are free.

    Args:
        named: The model.
        kind: `"saved_model"`, `"onnx"` or `"litert"`.
        artifact: File or directory.
        scratch: Directory for the arrays.

    Returns:
        The largest difference, relative to the largest value of an output
        where that exceeds 1. NaN if there is a NaN.

    Raises:
        RuntimeError: The artifact does not run, or gives other names or
            shapes.
    """
    paths: list[str] = []
    expected = []
    for number, (batch, length) in enumerate(SIZES):
        inputs = _random_inputs(named, batch, length)
        outputs = named.model.predict_on_batch(named.pack(inputs))
        expected.append(
            {
                name: np.asarray(keras.ops.convert_to_numpy(output))
                for name, output in named.name(outputs).items()
            }
        )
        files = [str(scratch / f"{x}_{number}.npz") for x in ("in", "out")]
        named_arrays: dict[str, Any] = inputs
        np.savez(files[0], **named_arrays)
        paths += files
    run_python(
        "run the exported model",
        "-P",  # or the package's folder is the first place for imports
        str(pathlib.Path(__file__).with_name("serve.py")),
        *(kind, str(artifact), *paths),
    )
    differences = []
    for path, wanted in zip(paths[1::2], expected, strict=True):
        with np.load(path, allow_pickle=False) as file:
            found = {name: file[name] for name in file}
        if sorted(found) != sorted(wanted):
            raise RuntimeError(
                "The exported model gives other outputs than the model: "
                f"{sorted(found)} instead of {sorted(wanted)}."
            )
        differences += [
            _difference(name, found[name], wanted[name]) for name in wanted
        ]
    # np.max, not max: NaN must not get lost.
    return float(np.max(differences))


def run_python(what: str, *arguments: str) -> None:
    """Run this Python on `arguments`, under TensorFlow.

    Raises:
        RuntimeError: It failed, with the end of what it said.
    """
    done = subprocess.run(  # noqa: S603
        [sys.executable, *arguments],
        env={
            **os.environ,
            "KERAS_BACKEND": "tensorflow",
            "TF_CPP_MIN_LOG_LEVEL": "3",
        },
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise RuntimeError(
            f"The subprocess to {what} failed:\n{done.stderr[-2000:]}"
        )


def _random_inputs(
    named: NamedModel, batch: int, length: int
) -> dict[str, np.ndarray]:
    random = np.random.default_rng(batch)
    arrays = {}
    for name, spec in named.inputs.items():
        first, *rest = spec.shape
        shape = (first or batch, *(size or length for size in rest))
        # Not negative: models of counts may take a root.
        array = random.uniform(0.0, 1.0, size=shape)
        if not spec.dtype.startswith(("float", "bfloat")):
            # A boolean or an integer needs both of its values tried.
            array = array.round()
        arrays[name] = array.astype(spec.dtype)
    return arrays


def _difference(name: str, found: np.ndarray, wanted: np.ndarray) -> float:
    if found.shape != wanted.shape:
        raise RuntimeError(
            f"The exported model gives {name!r} another shape than the model: "
            f"{found.shape} instead of {wanted.shape}."
        )
    a, b = found.astype("float64"), wanted.astype("float64")
    return float(np.max(np.abs(a - b)) / np.maximum(1.0, np.max(np.abs(b))))
