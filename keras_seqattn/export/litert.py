"""Export as LiteRT, for phones and small devices."""

import os
import pathlib
from typing import Any

import keras

from keras_seqattn._checks import check_positive_integer
from keras_seqattn.export.artifact import export
from keras_seqattn.export.named_model import NamedModel
from keras_seqattn.export.preprocessing import Preprocessing
from keras_seqattn.export.preprocessing_tag import preprocessing_to_export
from keras_seqattn.export.request import Request


def export_litert(
    model: keras.Model,
    path: str | os.PathLike[str],
    tolerance: float = 1e-4,
    *,
    timesteps: int | None = None,
    batch_size: int | None = 1,
    attention_scores: bool = False,
    preprocessing: Preprocessing | None = None,
) -> float:
    """Export a model as LiteRT (formerly TensorFlow Lite) and prove it.

    As `export_saved_model`, for the LiteRT interpreter with its built-in
    operations alone. These have a loop over time only where every size is
    fixed, so an artifact takes sequences of one length, and one at a time
    unless you say how many. For a stream, export a step model.

    Args:
        model: As in `export_saved_model`.
        path: File to write, whose name ends with `.tflite`.
        tolerance: As in `export_saved_model`.
        timesteps: Length of the sequences, where the model leaves it free.
        batch_size: Number of sequences. Default: 1. `None` leaves it free,
            which only models without a loop allow.
        attention_scores: As in `export_saved_model`.
        preprocessing: What must be done to a recording before, to be read
            from `<path>.json`. Default: as in `export_saved_model`.

    Returns:
        The largest difference found.

    Raises:
        ImportError: TensorFlow is not installed.
        FileExistsError: There is a directory at `path`.
        ValueError: The model cannot be exported, or not with such arguments.
        RuntimeError: The export failed, or the artifact's numbers differ.

    Example:
    ```python
    import keras_seqattn as ks

    model = ks.models.build_neural_decoder(timesteps=5, channels=30, units=8)
    difference = ks.export.export_litert(model, "decoder.tflite")
    print(difference < 1e-4)  # True
    ```
    """
    if timesteps is not None:
        timesteps = check_positive_integer("timesteps", timesteps)
    if batch_size is not None:
        batch_size = check_positive_integer("batch_size", batch_size)
    inputs = NamedModel(model, batch_size, timesteps).inputs
    if any(None in spec.shape[1:] for spec in inputs.values()):
        raise ValueError(
            "LiteRT needs sequences of one length, which this model leaves "
            "free: give `timesteps`. Received: inputs of shape "
            f"{ {name: spec.shape for name, spec in inputs.items()} }"
        )
    request = Request(
        "litert",
        attention_scores=attention_scores,
        timesteps=timesteps,
        batch_size=batch_size,
        preprocessing=preprocessing_to_export(model, preprocessing),
    )
    return export(model, path, request, tolerance)


def write(named: NamedModel, path: pathlib.Path, request: Request) -> None:
    """Write a LiteRT file that needs nothing but the built-in operations.

    Loops become LiteRT's own where all sizes are fixed; with a free axis they
    would need the operations of TensorFlow.

    Raises:
        RuntimeError: The converter cannot do it, and what may help.
    """
    import tensorflow as tf

    model = named.model
    # Weights as constants: LiteRT cannot read a variable within a loop.
    weights = [
        [tf.constant(variable.numpy()) for variable in variables]
        for variables in (
            model.trainable_variables,
            model.non_trainable_variables,
        )
    ]

    def call(**inputs: Any) -> dict[str, Any]:
        outputs, _ = model.stateless_call(
            *weights, named.pack(inputs), training=False
        )
        return named.name(outputs)

    concrete = tf.function(call, autograph=False).get_concrete_function(
        **{
            name: tf.TensorSpec(spec.shape, spec.dtype, name)
            for name, spec in named.inputs.items()
        }
    )
    converter = tf.lite.TFLiteConverter.from_concrete_functions(
        [concrete], tf.Module()
    )
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS]
    try:
        path.write_bytes(converter.convert())
    except Exception as error:
        hint = (
            "A recurrent layer needs a fixed batch: give `batch_size`."
            if request.batch_size is None
            else "Export a SavedModel or ONNX instead."
        )
        raise RuntimeError(
            "LiteRT's built-in operations are not enough for this model. "
            f"{hint} The converter said:\n{str(error)[:500]}"
        ) from error
