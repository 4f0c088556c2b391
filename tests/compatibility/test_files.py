"""Files of every version load on every backend, and give their numbers."""

import json
import pathlib
import subprocess
import sys
import zipfile

import keras
import numpy as np
import pytest

import keras_seqattn as ks
from keras_seqattn.export.named_model import NamedModel
from tests.compatibility.make_files import MODELS

FOLDER = pathlib.Path(__file__).parent
FILES = sorted(FOLDER.glob("*/*.keras"))


@pytest.mark.parametrize(
    "path", FILES, ids=lambda path: f"{path.parent.name}-{path.stem}"
)
def test_a_file_gives_its_numbers(path):
    named = NamedModel(keras.saving.load_model(path))
    stored = {"inputs": {}, "outputs": {}}
    with np.load(path.with_name("numbers.npz")) as file:
        for key in file:
            model, kind, name = key.split("/")
            if model == path.stem:
                stored[kind][name] = file[key]
    outputs = named.model.predict_on_batch(named.pack(stored["inputs"]))
    found = named.name(outputs)
    assert set(found) == set(stored["outputs"])
    for name, expected in stored["outputs"].items():
        np.testing.assert_allclose(
            keras.ops.convert_to_numpy(found[name]),
            expected,
            rtol=1e-5,
            atol=1e-5,
        )


def registered(config):
    if isinstance(config, dict):
        if config.get("registered_name"):
            yield config["registered_name"]
        for value in config.values():
            yield from registered(value)
    elif isinstance(config, list):
        for value in config:
            yield from registered(value)


def test_every_class_of_the_package_is_in_a_file():
    files = [p for p in FILES if p.parent.name == ks.__version__]
    assert {path.stem for path in files} == set(MODELS)
    found = set()
    for path in files:
        assert path.stat().st_size < 50_000
        with zipfile.ZipFile(path) as archive:
            found |= set(registered(json.loads(archive.read("config.json"))))
    names = {
        name
        for name, item in keras.saving.get_custom_objects().items()
        if name.startswith("keras_seqattn>") and isinstance(item, type)
    }
    assert names <= found


LOAD = """
import pathlib, sys
import keras_seqattn
import keras
files = sorted(pathlib.Path(sys.argv[1]).glob("*/*.keras"))
print(sum(keras.saving.load_model(file).built for file in files))
"""


@pytest.mark.process
def test_files_load_after_the_import_alone():
    """Whatever class of the package they hold."""
    done = subprocess.run(
        [sys.executable, "-c", LOAD, str(FOLDER)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert int(done.stdout.split()[-1]) == len(FILES) >= 24
