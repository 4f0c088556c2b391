"""From any backend to TensorFlow: the model as a file, exported from there."""

import dataclasses
import importlib
import json
import pathlib
import sys
from typing import Any

import keras

from keras_seqattn.export.attention import with_attention_scores
from keras_seqattn.export.named_model import NamedModel
from keras_seqattn.export.proof import run_python
from keras_seqattn.export.request import Request

# All else is written under TensorFlow. Torch cannot write a SavedModel, JAX
# and torch no LiteRT; torch's own ONNX of a recurrent layer with a free time
# axis loads, runs and is wrong.
DIRECT: dict[str, tuple[str, ...]] = {
    "tensorflow": ("saved_model", "onnx", "litert"),
    "jax": ("saved_model",),
    "torch": (),
}
NOT_OWN = ("builtins", "keras")
# Keras imports these where it finds them, for two seconds. Layers of your own
# may need them, those of this package do not. (But torch's optimizers, which
# a compiled model's file names, are classes of their own.)
NOT_NEEDED = ("jax", "pandas", "sklearn", "torch")
OTHER_SIDE = """
import sys
_, path, *not_needed = sys.argv
sys.modules.update(dict.fromkeys(not_needed))
from keras_seqattn.export import bridge
bridge.read_and_write(path)
"""


def named_model(model: keras.Model, request: Request) -> NamedModel:
    """Return the model with the outputs and sizes that are to be exported."""
    if request.attention_scores:
        model = with_attention_scores(model)
    return NamedModel(model, request.batch_size, request.timesteps)


def write(
    model: keras.Model, named: NamedModel, path: pathlib.Path, request: Request
) -> None:
    """Write an artifact from this backend or through TensorFlow.

    Raises:
        ValueError: It has parts that TensorFlow's process could not find.
        RuntimeError: It failed in the subprocess.
    """
    if request.format in DIRECT[keras.backend.backend()]:
        _write(named, path, request)
        return
    modules = _own_modules(keras.saving.serialize_keras_object(model))
    with path.with_name("bridge.json").open("w") as file:
        json.dump([dataclasses.asdict(request), sorted(modules)], file)
    model.save(path.with_name("bridge.keras"))
    own = all(name.startswith("keras_seqattn.") for name in modules)
    not_needed = {*NOT_NEEDED} - {keras.backend.backend()} if own else ()
    run_python(
        "convert the model under TensorFlow",
        *("-c", OTHER_SIDE, str(path), *sorted(not_needed)),
        path=sys.path,  # With the folder of the script, for its own modules.
    )


def _write(named: NamedModel, path: pathlib.Path, request: Request) -> None:
    # Each format has a module of its name.
    writer = importlib.import_module(f"keras_seqattn.export.{request.format}")
    writer.write(named, path, request)


def _own_modules(config: Any) -> set[str]:
    """The modules that register the model's parts that are not Keras' own.

    Raises:
        ValueError: Another process could not find such a part.
    """
    if isinstance(config, (list, tuple)):
        return set().union(*map(_own_modules, config))
    if not isinstance(config, dict):
        return set()
    found = set().union(*map(_own_modules, config.values()))
    name = config.get("registered_name")
    if name and str(config.get("module")).split(".")[0] not in NOT_OWN:
        part = keras.saving.get_registered_object(name)
        module = getattr(part, "__module__", "__main__")
        if module == "__main__":
            raise ValueError(
                f"This export from {keras.backend.backend()} loads the model "
                "under TensorFlow in a new process, which must find all its "
                "parts: define them in a module (not in `__main__`), with "
                "`@keras.saving.register_keras_serializable()`. Received: "
                f"{name}, which cannot be found"
            )
        found.add(module)
    return found


def read_and_write(artifact: str) -> None:
    """The other side: load the model, write the artifact."""
    path = pathlib.Path(artifact)
    settings, modules = json.loads(path.with_name("bridge.json").read_text())
    for module in modules:
        try:
            importlib.import_module(module)
        except ImportError as error:
            sys.exit(
                f"The module {module!r} registers a part of the model, and "
                "cannot be imported in a new process under TensorFlow: "
                f"{error}. Put it where Python finds it (install it, or add "
                "its folder to PYTHONPATH), and let it import under the "
                "TensorFlow backend."
            )
    request = Request(**settings)
    model = keras.saving.load_model(path.with_name("bridge.keras"))
    try:
        _write(named_model(model, request), path, request)
    except RuntimeError as error:
        sys.exit(str(error))  # It says what to do; a traceback hides that.
