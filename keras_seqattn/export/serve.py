"""Run an artifact on stored inputs, as whoever serves it will.

The proof runs this file in a fresh process, in which Keras and this package
cannot be imported: the artifact must do without them.

    python serve.py FORMAT ARTIFACT INPUTS.npz OUTPUTS.npz [...]

Each `INPUTS.npz` holds the inputs by name; its `OUTPUTS.npz` will hold the
outputs by name. `FORMAT:BATCH` runs on as many of them at a time. Where
arrays named `next_<state>` are among the inputs, which hold the states before
the first step, the others are sequences, fed step by step, and the outputs
those of the last.
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


def in_batches(
    run: Callable[[Arrays], Arrays], inputs: Arrays, batch: int
) -> Arrays:
    """Run on a few at a time; on sequences step by step."""
    first = {k[5:]: x for k, x in inputs.items() if k.startswith("next_")}
    given = {k: x for k, x in inputs.items() if not k.startswith("next_")}
    found = []
    for start in range(0, len(next(iter(given.values()))), batch):
        part = {k: x[start : start + batch] for k, x in given.items()}
        if not first:
            found.append(run(part))
            continue
        states = first
        for step in range(next(iter(part.values())).shape[1]):
            outputs = run(
                {**{k: x[:, step] for k, x in part.items()}, **states}
            )
            states = {name: outputs[f"next_{name}"] for name in first}
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
            found = {key: file[key] for key in file}
        arrays: dict[str, Any]
        arrays = in_batches(run, found, int(batch)) if batch else run(found)
        np.savez(outputs, **arrays)


if __name__ == "__main__":
    main(*sys.argv[1:])
