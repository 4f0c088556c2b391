"""Run a model, or its artifact, on windows: a step model step by step."""

import pathlib
from typing import Any
from typing import NamedTuple

import keras
import numpy as np

from keras_seqattn._files.array_file import ANY
from keras_seqattn._files.array_file import ArrayFile
from keras_seqattn.export.named_model import NamedModel
from keras_seqattn.export.proof import run_python
from keras_seqattn.streaming.names import NEXT

Arrays = dict[str, np.ndarray]
SAMPLES = 1000  # Of inputs that a calibration sees: all ranges are there.
BATCH = 256


class WindowRun(NamedTuple):
    """What a model of floats made of the windows.

    Attributes:
        answer: (windows, ...), its output; of a step after the last one.
        inputs: Some of what it was given, states too: (samples, ...).
    """

    answer: np.ndarray
    inputs: Arrays


def states_of(named: NamedModel) -> dict[str, Any]:
    """The states of a step model, by name; of another model none."""
    if not named.is_step:
        return {}
    outputs = {*named.outputs}
    return {
        name: spec
        for name, spec in named.inputs.items()
        if NEXT + name in outputs
    }


def answer_of(named: NamedModel) -> str:
    """The name of the one output that is no state.

    Raises:
        ValueError: There are more.
    """
    new = {NEXT + name for name in states_of(named)}
    names = [name for name in named.outputs if name not in new]
    if len(names) != 1:
        raise ValueError(
            "A quantized model must have one output, by which its loss is "
            "measured (and the states of a step). "
            f"Received: {named.model.name}, with the outputs {names}"
        )
    return names[0]


def run_model(named: NamedModel, windows: Arrays) -> WindowRun:
    """Run the model of floats, with the states that windows bring about."""
    states = states_of(named)
    count, *rest = next(iter(windows.values())).shape
    steps = rest[0] if states else 1
    share = max(1, -(-SAMPLES // steps))
    random = np.random.default_rng(0)
    answers, seen = [], []
    for start in range(0, count, BATCH):
        part = {k: x[start : start + BATCH] for k, x in windows.items()}
        size = len(next(iter(part.values())))
        state = {
            name: np.zeros((size, *spec.shape[1:]), spec.dtype)
            for name, spec in states.items()
        }
        for step in range(steps):
            given = {k: x[:, step] if states else x for k, x in part.items()}
            given |= state
            found = named.name(named.model.predict_on_batch(named.pack(given)))
            arrays = {
                name: np.asarray(keras.ops.convert_to_numpy(x))
                for name, x in found.items()
            }
            state = {name: arrays[NEXT + name] for name in states}
            some = -(-share * size // count)
            rows = random.choice(size, min(size, some), replace=False)
            seen.append({name: x[rows] for name, x in given.items()})
        answers.append(arrays[answer_of(named)])
    inputs = {
        name: np.concatenate([given[name] for given in seen])
        for name in named.inputs
    }
    return WindowRun(np.concatenate(answers), inputs)


def run_artifact(
    named: NamedModel,
    kind: str,
    artifact: pathlib.Path,
    scratch: pathlib.Path,
    windows: Arrays,
) -> np.ndarray:
    """Return the answer of an artifact, in a fresh process without Keras."""
    count = len(next(iter(windows.values())))
    batch = next(iter(named.inputs.values())).shape[0] or min(count, BATCH)
    given: dict[str, Any] = {
        name: np.concatenate([x, np.repeat(x[-1:], -count % batch, axis=0)])
        for name, x in windows.items()
    }
    for name, spec in states_of(named).items():
        given[NEXT + name] = np.zeros((batch, *spec.shape[1:]), spec.dtype)
    paths = [scratch / "windows.npz", scratch / "answers.npz"]
    np.savez(paths[0], **given)
    run_python(
        "run the quantized model",
        "-P",  # or the package's folder is the first place for imports
        str(pathlib.Path(__file__).with_name("serve.py")),
        *(f"{kind}:{batch}", str(artifact), *map(str, paths)),
    )
    with ArrayFile(paths[1]) as file:
        return file.read(answer_of(named), ANY)[:count]
