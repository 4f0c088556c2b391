"""Export as a TensorFlow SavedModel."""

import json
import os
import pathlib
from typing import Any

import keras
import numpy as np

from keras_seqattn.export.artifact import export
from keras_seqattn.export.named_model import NamedModel
from keras_seqattn.export.preprocessing import Preprocessing
from keras_seqattn.export.preprocessing_tag import preprocessing_to_export
from keras_seqattn.export.request import Request


def export_saved_model(
    model: keras.Model,
    path: str | os.PathLike[str],
    tolerance: float = 1e-4,
    *,
    attention_scores: bool = False,
    preprocessing: Preprocessing | None = None,
) -> float:
    """Export a model as a TensorFlow SavedModel and prove it.

    The artifact is loaded in a fresh process, with TensorFlow alone and not
    Keras or this package, run on random input of two batch sizes (and two
    lengths, where the model leaves them free), also with negative numbers and
    with missing steps, and compared with the model.
    Only then does it take its place at `path`, so that a failed export leaves
    nothing behind.

    On TensorFlow and JAX the model exports itself. Torch cannot write a
    SavedModel: there the model is saved as `.keras`, loaded under TensorFlow
    in a subprocess and exported from there. In all cases TensorFlow must be
    installed.

    `tf.saved_model.load(path).serve(x)` takes and returns what the model does.
    The signature `serving_default`, which TensorFlow Serving calls, has the
    model's inputs and outputs by name; for a model of one step, whose states
    are inputs and outputs, it is the signature `step` as well.

    Args:
        model: A built model whose inputs are tensors, in a list or dictionary
            or alone.
        path: Directory to write. An existing SavedModel is replaced.
        tolerance: Largest difference between an output of the artifact and
            of the model, relative to the output's largest value (or to 0.001
            where that is less).
        attention_scores: Whether the scores of its attention are further
            outputs. Needs a functional model with such a layer.
        preprocessing: What must be done to a recording before, to be read
            from the signature `preprocessing` and from `<path>.json`.
            Default: what a `PreprocessingTag` in the model says.

    Returns:
        The largest difference found.

    Raises:
        ImportError: TensorFlow is not installed.
        FileExistsError: There is something else than a SavedModel at `path`.
        ValueError: The model cannot be exported, or not with such arguments.
        RuntimeError: The export failed, or the artifact's numbers differ.

    Example:
    ```python
    import keras_seqattn as ks

    model = ks.models.build_neural_decoder(timesteps=5, channels=30, units=8)
    difference = ks.export.export_saved_model(model, "decoder_saved_model")
    print(difference < 1e-4)  # True
    ```
    """
    request = Request(
        "saved_model",
        attention_scores=attention_scores,
        preprocessing=preprocessing_to_export(model, preprocessing),
    )
    return export(model, path, request, tolerance)


def write(named: NamedModel, path: pathlib.Path, request: Request) -> None:
    """Write a SavedModel.

    The signature `preprocessing` takes nothing and returns what the request
    says of it.
    """
    import tensorflow as tf

    archive = keras.export.ExportArchive()
    serve = archive.track_and_add_endpoint(
        "serve",
        named.model,
        [named.pack(named.inputs)],
        **_jax_arguments(named),
    )

    def call_by_name(**inputs: Any) -> dict[str, Any]:
        return named.name(serve(named.pack(inputs)))

    by_name = tf.function(call_by_name, autograph=False)
    by_name.get_concrete_function(
        **{
            name: tf.TensorSpec(spec.shape, spec.dtype, name)
            for name, spec in named.inputs.items()
        }
    )
    archive.add_endpoint("serving_default", by_name)
    if named.is_step:
        archive.add_endpoint("step", by_name)
    if request.preprocessing:
        constant = tf.function(
            lambda: _constants(request.preprocessing), autograph=False
        )
        constant.get_concrete_function()
        archive.add_endpoint("preprocessing", constant)
    archive.write_out(path, verbose=False)


def _constants(values: dict[str, Any]) -> dict[str, Any]:
    import tensorflow as tf

    units = values.get("units", {})
    return {
        # NumPy's types, or numbers would be less exact than in the JSON.
        name: tf.constant(
            # A tensor holds no dictionary.
            json.dumps(value) if isinstance(value, dict) else np.asarray(value)
        )
        for name, value in (
            *((name, x) for name, x in values.items() if name != "units"),
            *((f"unit_of_{name}", unit) for name, unit in units.items()),
        )
    }


def _jax_arguments(named: NamedModel) -> dict[str, Any]:
    """One symbol for the time of all inputs; Keras takes one for each."""
    if keras.backend.backend() != "jax":
        return {}

    def shape(spec: keras.layers.InputSpec) -> str:
        # Free axes in the same place are of the same size.
        sizes = [size or f"axis{i}" for i, size in enumerate(spec.shape)]
        return f"({', '.join(map(str, sizes))})"

    shapes = {name: shape(spec) for name, spec in named.inputs.items()}
    return {
        "jax2tf_kwargs": {
            "polymorphic_shapes": [named.pack(shapes)],
            # Strides over a free axis have none.
            "with_gradient": False,
        }
    }
