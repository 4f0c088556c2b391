"""Export as LiteRT, for phones and small devices."""

import os
import pathlib
import warnings
from collections.abc import Iterator
from typing import Any

import keras
import numpy as np

from keras_seqattn._checks import check_positive_integer
from keras_seqattn.export.artifact import export
from keras_seqattn.export.named_model import NamedModel
from keras_seqattn.export.preprocessing import Preprocessing
from keras_seqattn.export.preprocessing_tag import preprocessing_to_export
from keras_seqattn.export.quantization import CALIBRATION
from keras_seqattn.export.quantization import FLOAT
from keras_seqattn.export.quantization import to_be_quantized
from keras_seqattn.export.request import Request

# What remains float. LiteRT's 8-bit division stops at a divisor that rounds to
# zero; with the other sums and products as floats too, half as many windows get
# another class, for 5 % more bytes.
FLOATS = ("ABS", "ADD", "DIV", "LOG", "MUL", "SQRT", "SUB")


def export_litert(
    model: keras.Model,
    path: str | os.PathLike[str],
    tolerance: float = 1e-4,
    *,
    timesteps: int | None = None,
    batch_size: int | None = 1,
    attention_scores: bool = False,
    preprocessing: Preprocessing | None = None,
    quantize: str | None = None,
    representative: Any = None,
    labels: Any = None,
    max_loss: float | None = None,
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
        quantize: How its numbers become smaller: `"float16"`, weights alone;
            `"dynamic"`, 8-bit weights; `"int8"`, 8-bit weights and products,
            with floats for inputs, outputs, states and what is done element
            by element. Default: not at all.

            A model with a loop over time is then exported as its one step,
            as of `streaming.step_model(model, mask=False)`: a device feeds it
            sample by sample, from states of zeros, and passes each output
            `next_<state>` on as the input `<state>`. At the last sample of a
            window it says what the model says. It must be causal.

            A quantized artifact is not held to `tolerance`. It is run on all
            of `representative` beside the model, and what it loses is written
            to `<path>.json` under `"quantization"`, with the bytes of both.
        representative: With `quantize`, some hundred windows of all kinds, not
            trained on, as the model's one input takes them: `(windows,
            timesteps, channels)`. By them ranges are found and the loss is
            measured.
        labels: With `quantize`, the class of each window, an integer (of one
            output between 0 and 1, 1 where it is above 1/2). The loss is
            then that of accuracy. Default: none; the loss is the
            share of windows whose class is another than the model's, or
            where its outputs are no probabilities, the mean squared
            difference as a share of their variance.
        max_loss: With `quantize`, the largest loss. Default: 0.01.

    Returns:
        The largest difference found; with `quantize` the loss (below zero
        where the quantized model is the better one).

    Raises:
        ImportError: TensorFlow is not installed.
        FileExistsError: There is a directory at `path`.
        ValueError: The model cannot be exported, or not with such arguments.
        RuntimeError: The export failed, the artifact's numbers differ, or it
            loses more than `max_loss`.

    Example:
    ```python
    import numpy as np
    import keras_seqattn as ks

    model = ks.models.build_neural_decoder(timesteps=5, channels=30, units=8)
    difference = ks.export.export_litert(model, "decoder.tflite")
    print(difference < 1e-4)  # True

    model = ks.models.build_activity_classifier(16, 3, classes=4, units=8)
    windows = np.random.default_rng(0).normal(size=(100, 16, 3))
    loss = ks.export.export_litert(
        model, "step.tflite", quantize="dynamic", representative=windows,
        max_loss=0.1,
    )
    print(loss <= 0.1)  # True
    ```
    """
    if timesteps is not None:
        timesteps = check_positive_integer("timesteps", timesteps)
    if batch_size is not None:
        batch_size = check_positive_integer("batch_size", batch_size)
    request = Request(
        "litert",
        attention_scores=attention_scores,
        timesteps=timesteps,
        batch_size=batch_size,
        preprocessing=preprocessing_to_export(model, preprocessing),
        quantize=quantize,
    )
    model, quantization = to_be_quantized(
        model, request, representative, labels, max_loss
    )
    inputs = NamedModel(model, batch_size, timesteps).inputs
    if any(None in spec.shape[1:] for spec in inputs.values()):
        raise ValueError(
            "LiteRT needs sequences of one length, which this model leaves "
            "free: give `timesteps`. Received: inputs of shape "
            f"{ {name: spec.shape for name, spec in inputs.items()} }"
        )
    return export(model, path, request, tolerance, quantization)


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
    failed = "LiteRT's built-in operations are not enough for this model."
    try:
        content = converter.convert()
        if request.quantize:
            failed = f"LiteRT cannot quantize it by {request.quantize!r}."
            path.with_name(FLOAT).write_bytes(content)
            with warnings.catch_warnings():
                # The converter's own use of what TensorFlow will drop.
                warnings.filterwarnings("ignore", message="(?s).*Interpreter")
                content = _quantized(converter, path, request)
        path.write_bytes(content)
    except Exception as error:
        hint = (
            "A recurrent layer needs a fixed batch: give `batch_size`."
            if request.batch_size is None
            else "Export a SavedModel or ONNX instead."
        )
        raise RuntimeError(
            f"{failed} {hint} The converter said:\n{str(error)[:500]}"
        ) from error


def _quantized(converter: Any, path: pathlib.Path, request: Request) -> bytes:
    """Let the converter quantize, by the inputs stored beside the artifact."""
    import tensorflow as tf

    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    if request.quantize == "float16":
        converter.target_spec.supported_types = [tf.float16]
    if request.quantize != "int8":
        return bytes(converter.convert())
    with np.load(path.with_name(CALIBRATION), allow_pickle=False) as file:
        inputs = {name: file[name] for name in file}
    count = len(next(iter(inputs.values())))
    batch = np.arange(request.batch_size or 1)

    def samples() -> Iterator[dict[str, np.ndarray]]:
        for start in range(0, count, len(batch)):
            yield {k: x[(start + batch) % count] for k, x in inputs.items()}

    converter.representative_dataset = samples
    # Of the converter's debugger, which alone can leave operations as floats.
    debugger = tf.lite.experimental.QuantizationDebugger(
        converter=converter,
        debug_dataset=samples,
        debug_options=tf.lite.experimental.QuantizationDebugOptions(
            denylisted_ops=list(FLOATS)
        ),
    )
    return bytes(debugger.get_nondebug_quantized_model())
