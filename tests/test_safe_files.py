"""Nothing here writes or loads a file that could run code.

No `Lambda` layer, no pickle, no `safe_mode=False`, no `.h5`.
"""

import ast
import json
import pathlib
import zipfile

import pytest

ROOT = pathlib.Path(__file__).parents[1]
FOLDERS = ("keras_seqattn", "tuning", "examples", "benchmarks")
SOURCES = [
    path
    for folder in FOLDERS
    for path in sorted(ROOT.glob(f"{folder}/**/*.py"))
]
FILES = sorted(ROOT.glob("tests/compatibility/*/*.keras"))
MODULES = {"pickle", "cloudpickle", "dill", "joblib", "marshal", "shelve"}
# It reads one pickle, which it knows by its SHA-256.
MAY_UNPICKLE = ROOT / "keras_seqattn/activity/seglearn_watch.py"


def unsafe(tree):
    for node in ast.walk(tree):
        match node:
            case ast.Import(names=names):
                found = {name.name.split(".")[0] for name in names} & MODULES
                yield from (f"import {name}" for name in found)
            case ast.ImportFrom(module=str(module)):
                if module.split(".")[0] in MODULES:
                    yield f"import {module}"
            case ast.Attribute(attr=name) | ast.Name(id=name):
                if name in ("Lambda", "enable_unsafe_deserialization"):
                    yield name
            case ast.keyword(arg="safe_mode"):
                yield "safe_mode"
            case ast.keyword(arg="allow_pickle", value=value):
                if ast.unparse(value) != "False":
                    yield "allow_pickle"
            case ast.Constant(value=str(text)):
                if text.endswith((".h5", ".hdf5")):
                    yield text


def test_the_sources():
    found = {
        str(path.relative_to(ROOT)): sorted(unsafe(ast.parse(path.read_text())))
        for path in SOURCES
        if path != MAY_UNPICKLE
    }
    assert len(found) > 80
    assert {path: names for path, names in found.items() if names} == {}


def test_the_one_that_reads_a_pickle_knows_it():
    tree = ast.parse(MAY_UNPICKLE.read_text())
    assert list(unsafe(tree)) == ["allow_pickle"]
    (function,) = (
        node
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef) and list(unsafe(node))
    )
    # What is loaded is what was compared: not the file once more.
    *_, check, load = function.body
    assert ast.unparse(check).startswith(
        "if hashlib.sha256(content).hexdigest() != SHA256:\n    raise"
    )
    assert ast.unparse(load) == (
        "return np.load(io.BytesIO(content), allow_pickle=True).item()"
    )


@pytest.mark.parametrize(
    "source",
    [
        "import pickle",
        "import os, joblib.numpy_pickle",
        "from cloudpickle import dumps",
        "keras.layers.Lambda(f)",
        "from keras.layers import Dense\nLambda(f)",
        "keras.saving.load_model(path, safe_mode=False)",
        "keras.config.enable_unsafe_deserialization()",
        "numpy.load(path, allow_pickle=True)",
        "model.save_weights(folder + '.weights.h5')",
    ],
)
def test_what_would_be_found(source):
    assert len(list(unsafe(ast.parse(source)))) == 1


def classes(config):
    if isinstance(config, dict):
        if "class_name" in config:
            yield config["class_name"]
        for value in config.values():
            yield from classes(value)
    elif isinstance(config, list):
        for value in config:
            yield from classes(value)


def test_the_saved_models():
    found = set()
    for path in FILES:
        with zipfile.ZipFile(path) as archive:
            found |= set(classes(json.loads(archive.read("config.json"))))
    assert {"Functional", "LARNN", "BurstPropNetwork"} <= found
    # How Keras writes layers and functions with code in them.
    assert not {"Lambda", "__lambda__"} & found
