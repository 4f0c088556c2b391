"""Export as ONNX."""

import json
import os
import pathlib
import types
from collections.abc import Iterator
from typing import Any

import keras
import numpy as np

from keras_seqattn.export.artifact import export
from keras_seqattn.export.named_model import NamedModel
from keras_seqattn.export.preprocessing import Preprocessing
from keras_seqattn.export.preprocessing_tag import preprocessing_to_export
from keras_seqattn.export.quantization import CALIBRATION
from keras_seqattn.export.quantization import FLOAT
from keras_seqattn.export.quantization import to_be_quantized
from keras_seqattn.export.request import Request

OPSET = 18


def export_onnx(
    model: keras.Model,
    path: str | os.PathLike[str],
    tolerance: float = 1e-4,
    *,
    attention_scores: bool = False,
    preprocessing: Preprocessing | None = None,
    quantize: str | None = None,
    representative: Any = None,
    labels: Any = None,
    max_loss: float | None = None,
) -> float:
    """Export a model as ONNX and prove it.

    As `export_saved_model`, for onnxruntime: inputs and outputs have the
    model's names, the batch axis is free, and the time axis where the model
    leaves it free.

    On every backend it is TensorFlow that writes the file (from JAX and torch
    in a subprocess): torch's own ONNX of a recurrent layer with a free time
    axis loads, runs and is wrong.

    Args:
        model: As in `export_saved_model`.
        path: File to write, whose name ends with `.onnx`.
        tolerance: As in `export_saved_model`.
        attention_scores: As in `export_saved_model`.
        preprocessing: What must be done to a recording before, to be read
            from the metadata `preprocessing` and from `<path>.json`.
            Default: as in `export_saved_model`.
        quantize: `"dynamic"` (8-bit weights, and the inputs that they are
            multiplied by, whose ranges are found at each call) or `"int8"`
            (these ranges fixed), by onnxruntime's quantizer. The rest is as
            in `export_litert`. Default: not at all.
        representative: As in `export_litert`.
        labels: As in `export_litert`.
        max_loss: As in `export_litert`.

    Returns:
        The largest difference found; with `quantize` the loss.

    Raises:
        ImportError: tensorflow, tf2onnx or onnxruntime is not installed.
        FileExistsError: There is a directory at `path`.
        ValueError: The model cannot be exported, or not with such arguments.
        RuntimeError: The export failed, the artifact's numbers differ, or it
            loses more than `max_loss`.

    Example:
    ```python
    import keras_seqattn as ks

    model = ks.models.build_neural_decoder(timesteps=5, channels=30, units=8)
    difference = ks.export.export_onnx(model, "decoder.onnx")
    print(difference < 1e-4)  # True
    ```
    """
    request = Request(
        "onnx",
        attention_scores=attention_scores,
        preprocessing=preprocessing_to_export(model, preprocessing),
        quantize=quantize,
    )
    model, quantization = to_be_quantized(
        model, request, representative, labels, max_loss
    )
    return export(model, path, request, tolerance, quantization)


def write(named: NamedModel, path: pathlib.Path, request: Request) -> None:
    """Write an ONNX file with named inputs, outputs and free axes.

    What the request says of preprocessing is in its metadata, as JSON under
    `"preprocessing"`.
    """
    import onnx
    import tensorflow as tf
    import tf2onnx

    specs = [
        tf.TensorSpec(spec.shape, spec.dtype, name)
        for name, spec in named.inputs.items()
    ]

    def call(*inputs: Any) -> dict[str, Any]:
        packed = named.pack(dict(zip(named.inputs, inputs, strict=True)))
        return named.name(named.model(packed, training=False))

    function = tf.function(call, input_signature=specs, autograph=False)
    found, _ = tf2onnx.convert.from_function(
        function,
        input_signature=specs,
        opset=OPSET,
        custom_op_handlers={"Log1p": (_log1p, [])},
    )
    # Constants of a layer that are no weights, such as a training mean, have
    # become inputs.
    inputs = {value.name: value for value in found.graph.input}
    used = set(_read(found.graph))
    for tensor, inside in function.get_concrete_function().graph.captures:
        if inside.name in inputs and inside.name in used:
            found.graph.initializer.append(
                onnx.numpy_helper.from_array(tensor.numpy(), inside.name)
            )
    del found.graph.input[:]
    found.graph.input.extend(inputs[name] for name in named.inputs)
    outputs = {value.name: value for value in found.graph.output}
    del found.graph.output[:]
    found.graph.output.extend(outputs[name] for name in named.outputs)
    for value in (*found.graph.input, *found.graph.output):
        axes = value.type.tensor_type.shape.dim
        for axis, title in zip(axes, ("batch", "time"), strict=False):
            if not axis.HasField("dim_value"):
                axis.dim_param = title
    if request.quantize:
        found = _quantized(found, path, request.quantize)
    if request.preprocessing:
        entry = found.metadata_props.add()
        entry.key = "preprocessing"
        entry.value = json.dumps(request.preprocessing)
    onnx.checker.check_model(found)
    onnx.save(found, path)


def _quantized(model: Any, path: pathlib.Path, method: str) -> Any:
    """Quantize by onnxruntime, by the inputs stored beside the artifact."""
    import onnx
    from onnxruntime import quantization

    whole, small = path.with_name(FLOAT), path.with_name("small.onnx")
    onnx.save(model, whole)
    kind = quantization.QuantType.QInt8
    if method == "dynamic":
        quantization.quantize_dynamic(whole, small, weight_type=kind)
    else:
        with np.load(path.with_name(CALIBRATION), allow_pickle=False) as file:
            batches = iter([{name: file[name] for name in file}])
        quantization.quantize_static(
            whole,
            small,
            types.SimpleNamespace(get_next=lambda: next(batches, None)),
            # Scales of all else would take more bytes than weights save.
            op_types_to_quantize=["Conv", "Gemm", "MatMul"],
            weight_type=kind,
            per_channel=True,
        )
    return onnx.load(small)


def _read(graph: Any) -> Iterator[str]:
    """The names that a graph's nodes read, those of its loops' too."""
    for node in graph.node:
        yield from node.input
        for attribute in node.attribute:
            if attribute.HasField("g"):
                yield from _read(attribute.g)


def _log1p(context: Any, node: Any, name: str, arguments: Any) -> Any:
    """log(1 + x) in ONNX, which has no operation for it.

    With u = 1 + x rounded, log(u) x / (u - 1) has the error of the rounding
    in its numerator and denominator alike (Kahan); where u is 1, x is right.
    """
    from tf2onnx import utils

    (x,) = node.input
    dtype = context.get_dtype(x)
    result = {
        "outputs": [node.output[0]],
        "shapes": [context.get_shape(node.output[0])],
        "dtypes": [dtype],
    }
    context.remove_node(node.name)
    one = context.make_const(
        utils.make_name("one"),
        np.array(1, utils.map_onnx_to_numpy_type(dtype)),
    ).output[0]

    def operation(kind: str, *inputs: str) -> str:
        return context.make_node(kind, list(inputs)).output[0]

    u = operation("Add", one, x)
    small = operation("Equal", u, one)
    rounded = operation("Where", small, one, operation("Sub", u, one))
    ratio = operation("Div", x, rounded)
    y = operation("Mul", operation("Log", u), ratio)
    return context.make_node("Where", [small, x, y], **result)
