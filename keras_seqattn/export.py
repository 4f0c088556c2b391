"""Export: from a trained model to an artifact that was seen to work."""

import importlib.util
import os
import pathlib
import subprocess
import sys
import tempfile
from typing import Any

import keras
import numpy as np

# Any length will do for a free axis; it only has to be the same both times.
FREE_AXIS = 11


def export_saved_model(
    model: keras.Model,
    path: str | os.PathLike[str],
    tolerance: float = 1e-4,
) -> float:
    """Export a model as a TensorFlow SavedModel and prove it.

    The artifact is loaded in a fresh process, with TensorFlow alone and not
    this package, run on random input of two batch sizes, and compared with
    the model. Only then does it take its place at `path`, so that a failed
    export leaves nothing behind.

    On TensorFlow and JAX the model exports itself. Torch cannot write a
    SavedModel: there the model is saved as `.keras`, loaded under TensorFlow
    in a subprocess and exported from there. In all cases TensorFlow must be
    installed.

    Args:
        model: A built model with tensors (no dictionary) as inputs.
        path: Directory to write. An existing SavedModel is replaced.
        tolerance: Largest difference between an output of the artifact and
            of the model, relative to the output's largest value where that
            exceeds 1.

    Returns:
        The largest difference found.

    Raises:
        ImportError: TensorFlow is not installed.
        FileExistsError: There is something else than a SavedModel at `path`.
        RuntimeError: The export failed, or the artifact's numbers differ.

    Example:
    ```python
    import keras_seqattn as ks

    model = ks.models.build_neural_decoder(timesteps=5, channels=30, units=8)
    difference = ks.export.export_saved_model(model, "decoder_saved_model")
    print(difference < 1e-4)  # True
    ```
    """
    if importlib.util.find_spec("tensorflow") is None:
        raise ImportError(
            "A SavedModel can only be written with TensorFlow, whatever the "
            "backend: pip install tensorflow (or tensorflow-cpu)."
        )
    path = pathlib.Path(path)
    if path.exists() and not (path / "saved_model.pb").exists():
        raise FileExistsError(
            f"There is something else than a SavedModel at {str(path)!r}. "
            "Remove it or export elsewhere."
        )
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=path.parent, prefix=".export-") as d:
        scratch = pathlib.Path(d)
        artifact = scratch / "artifact"
        if keras.backend.backend() == "torch":
            model.save(scratch / "model.keras")
            _run(
                "convert the model under TensorFlow",
                "-m",
                "keras_seqattn.export",
                scratch / "model.keras",
                artifact,
            )
        else:
            _export(model, artifact)
        # np.max, not max: NaN must not get lost.
        difference = float(
            np.max(
                [
                    _difference(model, artifact, batch, scratch)
                    for batch in (1, 3)
                ]
            )
        )
        if not difference <= tolerance:
            raise RuntimeError(
                "The exported model gives other numbers than the model: the "
                f"largest difference is {difference:.3g}, allowed are "
                f"{tolerance:.3g}. Nothing was written to {str(path)!r}."
            )
        if path.exists():
            path.rename(scratch / "replaced")
        artifact.rename(path)
    return difference


def _export(model: keras.Model, artifact: str | pathlib.Path) -> None:
    model.export(
        artifact,
        format="tf_saved_model",
        verbose=False,
        # Keras knows the inputs of a functional model, in their structure.
        input_signature=(
            None if hasattr(model, "inputs") else _input_specs(model)
        ),
    )


def _input_specs(model: keras.Model) -> list[keras.layers.InputSpec]:
    """The model's inputs with a free batch axis.

    A model that is a class has no inputs, but was built for a shape.
    """
    if hasattr(model, "inputs"):
        inputs = model.inputs
    else:
        shape = model.get_build_config()["input_shape"]
        inputs = [keras.KerasTensor(shape, model.input_dtype)]
    return [
        keras.layers.InputSpec(
            shape=(None, *tensor.shape[1:]),
            dtype=tensor.dtype,
            name=getattr(tensor, "name", None),
        )
        for tensor in inputs
    ]


def _difference(
    model: keras.Model,
    artifact: pathlib.Path,
    batch: int,
    scratch: pathlib.Path,
) -> float:
    rng = np.random.default_rng(batch)
    inputs = []
    for tensor in _input_specs(model):
        shape = (batch, *(size or FREE_AXIS for size in tensor.shape[1:]))
        dtype = keras.backend.standardize_dtype(tensor.dtype)
        # A boolean or an integer needs both of its values tried.
        top = 1.0 if dtype.startswith(("float", "bfloat")) else 2.0
        array = rng.uniform(0.0, top, size=shape)
        inputs.append(
            (array >= 1).astype(dtype) if top > 1 else array.astype(dtype)
        )
    named: dict[str, Any] = {f"{i:03d}": x for i, x in enumerate(inputs)}
    np.savez(scratch / "inputs.npz", **named)
    expected = model.predict_on_batch(inputs[0] if len(inputs) == 1 else inputs)
    _run(
        "run the exported model",
        "-P",  # or the package's folder is the first place for imports
        pathlib.Path(__file__).with_name("serve_saved_model.py"),
        artifact,
        scratch / "inputs.npz",
        scratch / "outputs.npz",
    )
    with np.load(scratch / "outputs.npz", allow_pickle=False) as file:
        served = [file[key] for key in sorted(file.keys())]
    differences = []
    for a, b in zip(served, keras.tree.flatten(expected), strict=True):
        if a.shape != b.shape:
            raise RuntimeError(
                "The exported model gives another shape than the model: "
                f"{a.shape} instead of {b.shape}."
            )
        scale = np.maximum(1.0, np.max(np.abs(b)))
        differences.append(np.max(np.abs(a - b)) / scale)
    return float(np.max(differences))


def _run(what: str, *arguments: str | pathlib.Path) -> None:
    """Run this Python on `arguments`, under TensorFlow."""
    done = subprocess.run(  # noqa: S603
        [sys.executable, *map(str, arguments)],
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


if __name__ == "__main__":
    _export(keras.saving.load_model(sys.argv[1]), sys.argv[2])
