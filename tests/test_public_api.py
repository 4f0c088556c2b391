import inspect
import pathlib
import subprocess
import sys
import zipfile

import keras
import pytest

import keras_seqattn as ks
from keras_seqattn.datasets.loading import NAMES
from keras_seqattn.learning_rules.images import methods
from keras_seqattn.learning_rules.images import optimizer
from keras_seqattn.learning_rules.sequences import methods as sequences
from keras_seqattn.streaming import step_layers

ROOT = pathlib.Path(__file__).parents[1]
# What the builders of the data sets read.
DESCRIPTIONS = [
    file
    for ending in ("README.md", "CITATIONS.bib", "TAGS.txt", "checksums.tsv")
    for file in ROOT.glob(f"keras_seqattn/datasets/*/{ending}")
]


def test_names():
    rooms = {name for name in dir(ks) if not name.startswith("_")}
    assert rooms == {
        "activations",
        "activity",
        "callbacks",
        "datasets",
        "decoding",
        "export",
        "layers",
        "learning_rules",
        "memory",
        "models",
        "streaming",
        "tasks",
        "visualization",
        "windows",
    }
    for name in rooms:
        assert inspect.ismodule(getattr(ks, name))
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        ks.nothing  # noqa: B018


def test_registered_names_are_frozen():
    """Files of every release hold these names."""
    found = {
        keras.saving.get_registered_name(item)
        for module in (ks.layers, ks.models)
        for item in vars(module).values()
        if isinstance(item, type)
    }
    assert found == {
        "keras_seqattn>BurstPropDense",
        "keras_seqattn>BurstPropNetwork",
        "keras_seqattn>GainModulatedNeuron",
        "keras_seqattn>GainModulatedNeuronCell",
        "keras_seqattn>LARNN",
        "keras_seqattn>LARNNCell",
        "keras_seqattn>TemporalAttention",
    }

    # Loaded after `import keras_seqattn.learning_rules`.
    rules = {
        keras.saving.get_registered_name(item)
        for room in (methods, optimizer, sequences)
        for item in vars(room).values()
        if isinstance(item, type) and item.__module__ == room.__name__
    }
    assert {name for name in rules if ">" in name} == {
        "keras_seqattn>FeedbackAlignmentNetwork",
        "keras_seqattn>HalfSumOfSquares",
        "keras_seqattn>LayerwiseSGD",
        "keras_seqattn>SequenceBackpropagation",
        "keras_seqattn>SequenceFeedbackAlignment",
        "keras_seqattn>Shrink",
    }

    steps = {
        keras.saving.get_registered_name(item)
        for item in vars(step_layers).values()
        if isinstance(item, type) and item.__module__ == step_layers.__name__
    }
    assert {name for name in steps if ">" in name} == {
        "keras_seqattn>BurstPropStep",
        "keras_seqattn>ConvolutionStep",
        "keras_seqattn>Newest",
        "keras_seqattn>OneStep",
        "keras_seqattn>RecurrentStep",
        "keras_seqattn>Window",
    }

    tag = ks.export.PreprocessingTag
    assert keras.saving.get_registered_name(tag) == (
        "keras_seqattn>PreprocessingTag"
    )

    functions = {
        keras.saving.get_registered_name(item)
        for name, item in vars(ks.activations).items()
        if callable(item) and not name.startswith("_") and name != "Any"
    }
    assert functions == {
        "keras_seqattn>adaptive_softplus_sigmoid",
        "keras_seqattn>gain_softplus",
    }


PROBE = """
import sys, logging, random, warnings
import keras, numpy
before = set(sys.modules)
state = (random.getstate(), str(numpy.random.get_state()),
         list(logging.root.handlers), logging.root.level,
         list(warnings.filters), keras.config.floatx(),
         keras.config.dtype_policy().name)
import keras_seqattn
assert state == (random.getstate(), str(numpy.random.get_state()),
         list(logging.root.handlers), logging.root.level,
         list(warnings.filters), keras.config.floatx(),
         keras.config.dtype_policy().name)
new = {name.split(".")[0] for name in set(sys.modules) - before}
print(sorted(new - set(sys.stdlib_module_names)))
print([name for name in ("tensorflow_datasets", "keras_tuner",
                         "keras_seqattn.datasets",
                         "keras_seqattn.visualization")
       if name in sys.modules])
if keras.backend.backend() != "tensorflow":
    assert "tensorflow" not in sys.modules
"""


def test_import_brings_keras_and_numpy_alone_and_changes_nothing():
    done = subprocess.run(
        [sys.executable, "-c", PROBE],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    new, forbidden = done.stdout.splitlines()
    assert new == "['keras_seqattn']"
    assert forbidden == "[]"


def test_the_wheel_holds_the_package_alone(tmp_path):
    source = tmp_path / "source"
    source.mkdir()
    for name in ("pyproject.toml", "setup.cfg", "README.md", "LICENSE"):
        (source / name).write_bytes((ROOT / name).read_bytes())
    for file in (
        *ROOT.glob("keras_seqattn/**/*.py"),
        *ROOT.glob("keras_seqattn/py.typed"),
        *DESCRIPTIONS,
        *ROOT.glob("tests/*.py"),
        *ROOT.glob("examples/*.py"),
    ):
        copy = source / file.relative_to(ROOT)
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.write_bytes(file.read_bytes())
    done = subprocess.run(
        [
            *(sys.executable, "-m", "build", "--wheel", "--no-isolation"),
            *("--outdir", str(tmp_path), str(source)),
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    (wheel,) = tmp_path.glob("*.whl")
    names = zipfile.ZipFile(wheel).namelist()
    assert wheel.name.startswith(f"keras_seqattn-{ks.__version__}-")
    assert {name.split("/")[0] for name in names} == {
        "keras_seqattn",
        f"keras_seqattn-{ks.__version__}.dist-info",
    }
    expected = {
        str(file.relative_to(ROOT))
        for file in ROOT.glob("keras_seqattn/**/*.py")
    }
    assert {name for name in names if name.endswith(".py")} == expected
    assert "keras_seqattn/py.typed" in names
    assert len(DESCRIPTIONS) == 4 * len(NAMES)
    assert {str(file.relative_to(ROOT)) for file in DESCRIPTIONS} <= set(names)
