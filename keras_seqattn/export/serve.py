"""Run an artifact on stored inputs, as whoever serves it will.

The proof runs this file in a fresh process, in which Keras and this package
cannot be imported: the artifact must do without them.

    python serve.py FORMAT ARTIFACT INPUTS.npz OUTPUTS.npz [...]

Each `INPUTS.npz` holds the inputs by name; its `OUTPUTS.npz` will hold the
outputs by name.
"""

import sys
from collections.abc import Callable
from typing import Any

# TensorFlow would import Keras, and Keras JAX, which takes seconds.
for name in ("keras", "keras_seqattn", "jax", "torch"):
    sys.modules[name] = None  # type: ignore[assignment]

import numpy as np  # noqa: E402

Arrays = dict[str, np.ndarray]


def saved_model(path: str) -> Callable[[Arrays], Arrays]:
    """A SavedModel by its default signature, as TensorFlow Serving does."""
    import tensorflow as tf

    loaded = tf.saved_model.load(path)
    serve = loaded.signatures["serving_default"]

    def run(inputs: Arrays) -> Arrays:
        outputs = serve(**{k: tf.constant(x) for k, x in inputs.items()})
        return {name: output.numpy() for name, output in outputs.items()}

    return run


def onnx(path: str) -> Callable[[Arrays], Arrays]:
    """An ONNX file with onnxruntime, and nothing else."""
    import onnxruntime

    session = onnxruntime.InferenceSession(
        path, providers=["CPUExecutionProvider"]
    )
    names = [output.name for output in session.get_outputs()]
    return lambda inputs: dict(
        zip(names, session.run(names, inputs), strict=True)
    )


def litert(path: str) -> Callable[[Arrays], Arrays]:
    """A LiteRT file with the built-in operations alone."""
    import tensorflow as tf

    interpreter = tf.lite.Interpreter(
        path,
        experimental_op_resolver_type=(
            tf.lite.experimental.OpResolverType.BUILTIN
        ),
    )

    def run(inputs: Arrays) -> Arrays:
        # The runner resizes a free batch axis to what it is given.
        outputs: dict[str, Any] = interpreter.get_signature_runner()(**inputs)
        return {name: output.copy() for name, output in outputs.items()}

    return run


def main(kind: str, artifact: str, *paths: str) -> None:
    """Load once, run on each file of inputs, store the outputs."""
    run = {"saved_model": saved_model, "onnx": onnx, "litert": litert}[kind](
        artifact
    )
    for inputs, outputs in zip(paths[::2], paths[1::2], strict=True):
        with np.load(inputs, allow_pickle=False) as file:
            found = run({key: file[key] for key in file})
        arrays: dict[str, Any] = found
        np.savez(outputs, **arrays)


if __name__ == "__main__":
    main(*sys.argv[1:])
