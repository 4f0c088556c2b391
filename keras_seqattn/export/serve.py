"""Run an artifact on stored inputs, as whoever serves it will.

The proof runs this file in a fresh process, in which Keras and this package
cannot be imported: the artifact must do without them.

    python serve.py FORMAT ARTIFACT INPUTS.npz OUTPUTS.npz [...]

Each `INPUTS.npz` holds the inputs by name; its `OUTPUTS.npz` will hold the
outputs by name. `FORMAT:BATCH` runs on as many windows of one input at a time.
Where the others are states before the first step, named `next_<state>`, the
windows are fed sample by sample, and the outputs are those at the last.
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

    runner = interpreter.get_signature_runner()

    def run(inputs: Arrays) -> Arrays:
        # The runner resizes a free batch axis to what it is given.
        outputs: dict[str, Any] = runner(**inputs)
        return {name: output.copy() for name, output in outputs.items()}

    return run


def on_windows(
    run: Callable[[Arrays], Arrays], inputs: Arrays, batch: int
) -> Arrays:
    """Run on some windows at a time, sample by sample where it has states."""
    zeros = {k[5:]: x for k, x in inputs.items() if k.startswith("next_")}
    ((name, windows),) = (
        (k, x) for k, x in inputs.items() if not k.startswith("next_")
    )
    found = []
    for part in np.split(windows, range(batch, len(windows), batch)):
        states = zeros
        for x in part.swapaxes(0, 1) if zeros else [part]:
            outputs = run({name: x, **states})
            states = {k: outputs[f"next_{k}"] for k in zeros}
        found.append(outputs)
    return {k: np.concatenate([x[k] for x in found]) for k in found[0]}


def main(kind: str, artifact: str, *paths: str) -> None:
    """Load once, run on each file of inputs, store the outputs."""
    kind, _, batch = kind.partition(":")
    run = {"saved_model": saved_model, "onnx": onnx, "litert": litert}[kind](
        artifact
    )
    for inputs, outputs in zip(paths[::2], paths[1::2], strict=True):
        with np.load(inputs, allow_pickle=False) as file:
            given = {key: file[key] for key in file}
        found = on_windows(run, given, int(batch)) if batch else run(given)
        arrays: dict[str, Any] = found
        np.savez(outputs, **arrays)


if __name__ == "__main__":
    main(*sys.argv[1:])
