"""The proof: an artifact gives the model's numbers in a fresh process."""

import math
import os
import pathlib
import subprocess
import sys
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np

from keras_seqattn._files.array_file import ANY
from keras_seqattn._files.array_file import ArrayFile
from keras_seqattn._keras_internals import find_layers
from keras_seqattn.export.named_model import NamedModel
from keras_seqattn.streaming.trial_inputs import all_finite
from keras_seqattn.streaming.trial_inputs import hides_nan
from keras_seqattn.streaming.trial_inputs import is_float
from keras_seqattn.streaming.trial_inputs import mask_values

# What is tried: batch, steps beyond the longest window of a layer, whether
# numbers have both signs, and whether some steps are missing. An artifact
# with a size baked in fails on the second.
TRIALS = ((1, 37, False, False), (3, 11, False, True), (3, 11, True, True))
# Outputs below this are compared as if they were as large: rounding.
FLOOR = 1e-3

Arrays = dict[str, np.ndarray]


def largest_difference(
    named: NamedModel,
    kind: str,
    artifact: pathlib.Path,
    scratch: pathlib.Path,
    tolerance: float,
) -> float:
    """Return the largest difference between an artifact and its model.

    The artifact is run in one fresh process, without Keras, on random inputs
    of two batch sizes and two lengths, as far as these are free. Some of the
    inputs have negative numbers and missing steps: what a `Masking` layer
    takes for one, and zeros, with which states begin.

    Args:
        named: The model.
        kind: `"saved_model"`, `"onnx"` or `"litert"`.
        artifact: File or directory.
        scratch: Directory for the arrays.
        tolerance: What the caller will accept.

    Returns:
        The largest difference of an output, relative to its largest value
        (or to 0.001 where that is less). NaN if there is a NaN.

    Raises:
        RuntimeError: The artifact does not run, or gives other names or
            shapes; or the model's outputs are so small that an artifact of
            zeros would be accepted.
    """
    paths: list[str] = []
    expected = []
    for number, trial in enumerate(TRIALS):
        inputs, outputs = _trial(named, number, *trial)
        files = [str(scratch / f"{x}_{number}.npz") for x in ("in", "out")]
        named_arrays: dict[str, Any] = inputs
        np.savez(files[0], **named_arrays)
        paths += files
        expected.append(outputs)
    run_python(
        "run the exported model",
        "-P",  # or the package's folder is the first place for imports
        str(pathlib.Path(__file__).with_name("serve.py")),
        *(kind, str(artifact), *paths),
    )
    found = []
    for path, outputs in zip(paths[1::2], expected, strict=True):
        with ArrayFile(path) as file:
            found.append({name: file.read(name, ANY) for name in file.names})
        _check_names_and_shapes(found[-1], outputs)
    zeros = [{k: np.zeros_like(x) for k, x in y.items()} for y in expected]
    if _difference(zeros, expected) <= tolerance:
        raise RuntimeError(
            "The proof says nothing: for random inputs all outputs of the "
            "model are zero, or so near to it that an artifact of zeros would "
            "pass. Train the model before it is exported, or scale its "
            f"outputs up. Received: {named.model.name}, with outputs "
            f"{named.outputs}"
        )
    return _difference(found, expected)


def run_python(
    what: str, *arguments: str, path: Sequence[str] | None = None
) -> None:
    """Run this Python on `arguments`, under TensorFlow and without a GPU.

    This process may hold all the GPU's memory, and a GPU may round more than
    a proof allows.

    Args:
        what: What it is run for, for the error.
        *arguments: Of Python.
        path: Where it looks for modules first. Default: as any Python.

    Raises:
        RuntimeError: It failed, with the end of what it said.
    """
    environment = {
        **os.environ,
        "KERAS_BACKEND": "tensorflow",
        "TF_CPP_MIN_LOG_LEVEL": "3",
        "CUDA_VISIBLE_DEVICES": "-1",
    }
    if path is not None:
        # An empty entry is the working directory, here as there.
        environment["PYTHONPATH"] = os.pathsep.join(path)
    done = subprocess.run(  # noqa: S603
        [sys.executable, *arguments],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise RuntimeError(
            f"The subprocess to {what} failed:\n{done.stderr[-2000:]}"
        )


def _trial(
    named: NamedModel,
    number: int,
    batch: int,
    steps: int,
    signed: bool,
    missing: bool,
) -> tuple[Arrays, Arrays]:
    """Random inputs and what the model makes of them."""
    inputs = _random_inputs(named, number, batch, steps, signed, missing)
    outputs = named.predict(inputs)

    def run(arrays: list[np.ndarray]) -> list[np.ndarray]:
        found = named.predict(dict(zip(inputs, arrays, strict=True)))
        return list(found.values())

    lists = list(inputs.values()), list(outputs.values())
    if (signed or missing) and (
        not all_finite(lists[1]) or (signed and hides_nan(run, *lists))
    ):
        # A model of positive numbers alone, which may take a root of them.
        return _trial(named, number, batch, steps, False, False)
    return inputs, outputs


def _random_inputs(
    named: NamedModel,
    number: int,
    batch: int,
    steps: int,
    signed: bool,
    missing: bool,
) -> Arrays:
    random = np.random.default_rng(number)
    layers = find_layers(named.model)
    # A window must have moved on, also behind convolutions with strides.
    windows = [getattr(x, "window_size", 0) for x in layers]
    convolutions = [x for x in layers if isinstance(x, keras.layers.Conv1D)]
    strides = math.prod(x.strides[0] for x in convolutions)
    length = steps + strides * max(windows)
    masked = mask_values(named.model)
    arrays = {}
    for name, spec in named.inputs.items():
        first, *rest = spec.shape
        shape = (first or batch, *(size or length for size in rest))
        array = random.uniform(-1.0 if signed else 0.0, 1.0, size=shape)
        if is_float(spec.dtype):
            if missing and len(shape) > 1:
                gone = random.uniform(size=shape[:-1]) < 0.3
                gone.flat[0] = True
                array[gone] = random.choice(masked or [0.0])
        else:
            # A boolean or an integer needs both of its values tried: in one
            # batch, and over the trials where there is but one.
            array = np.abs(array).round()
            array.flat[-1] = number % 2
            array.flat[0] = 1 - number % 2
        arrays[name] = array.astype(spec.dtype)
    return arrays


def _difference(found: list[Arrays], expected: list[Arrays]) -> float:
    """The largest relative difference of an output, over all trials."""
    differences = []
    for name in expected[0]:
        wanted = [outputs[name].astype("float64") for outputs in expected]
        size = max(FLOOR, *(np.max(np.abs(x)) for x in wanted))
        differences += [
            np.max(np.abs(outputs[name].astype("float64") - x)) / size
            for outputs, x in zip(found, wanted, strict=True)
        ]
    # np.max, not max: NaN must not get lost.
    return float(np.max(differences))


def _check_names_and_shapes(found: Arrays, wanted: Arrays) -> None:
    if sorted(found) != sorted(wanted):
        raise RuntimeError(
            "The exported model gives other outputs than the model: "
            f"{sorted(found)} instead of {sorted(wanted)}."
        )
    for name, x in found.items():
        if x.shape != wanted[name].shape:
            raise RuntimeError(
                f"The exported model gives {name!r} another shape than the "
                f"model: {x.shape} instead of {wanted[name].shape}."
            )
