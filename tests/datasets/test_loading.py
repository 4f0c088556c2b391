"""`load`, with TensorFlow Datasets and without, but without TensorFlow.

What needs TensorFlow is in `test_builders.py`.
"""

import os
import subprocess
import sys

import keras
import numpy as np
import pytest
import tensorflow_datasets as tfds

from keras_seqattn import datasets
from keras_seqattn import windows
from keras_seqattn.datasets.licences import say_licence
from keras_seqattn.datasets.smartwatch_har import reader as smartwatch
from keras_seqattn.datasets.uci_har import reader
from keras_seqattn.datasets.uci_har.uci_har_dataset_builder import Builder
from tests.datasets.original_files import uci_har_arrays
from tests.datasets.original_files import write_smartwatch_har
from tests.datasets.original_files import write_uci_har
from tests.datasets.original_files import zip_folder

UCI_ARCHIVE = "human+activity+recognition+using+smartphones.zip"


@pytest.fixture(scope="module")
def uci(tmp_path_factory):
    """The published archive of UCI HAR, which holds another."""
    root = tmp_path_factory.mktemp("uci")
    write_uci_har(root / "inner/UCI HAR Dataset", uci_har_arrays(18, 128))
    outer = root / "outer"
    outer.mkdir()
    zip_folder(root / "inner/UCI HAR Dataset", outer / "UCI HAR Dataset.zip")
    return zip_folder(outer, root / UCI_ARCHIVE)


def assert_equal(one, other):
    assert set(one) == set(other)
    for name in one:
        np.testing.assert_array_equal(one[name], other[name])
        assert one[name].dtype == other[name].dtype


def test_arrays_batches_folds_and_class_weights_feed_fit(uci):
    train = datasets.load("uci_har", "train", path=uci)
    test = datasets.load("uci_har", "test", path=uci)
    others, own = windows.subject_folds(train["subject"], folds=3)[0]
    x, y = train["signal"], train["label"]
    scale = windows.Standardizer.fit(x[others], axis=(0, 1))
    batches, held_out, tested = (
        windows.WindowBatches(a, b, 6, standardizer=scale, shuffle=shuffle)
        for a, b, shuffle in (
            (x[others], y[others], True),
            (x[own], y[own], False),
            (test["signal"], test["label"], False),
        )
    )
    model = keras.Sequential(
        [
            keras.Input((128, 9)),
            keras.layers.AveragePooling1D(128),
            keras.layers.Flatten(),
            keras.layers.Dense(6, activation="softmax"),
        ]
    )
    model.compile(keras.optimizers.Adam(0.2), "sparse_categorical_crossentropy")
    history = model.fit(
        batches,
        validation_data=held_out,
        epochs=30,
        shuffle=False,
        verbose=0,
        class_weight=windows.class_weights(y[others]),
    ).history
    # The mean of a window tells its activity: other subjects', too.
    assert history["val_loss"][-1] < 0.5 * history["val_loss"][0]
    predicted = model.predict(tested, verbose=0).argmax(axis=-1)
    assert np.mean(predicted == test["label"]) > 0.8


@pytest.fixture
def places(uci, tmp_path, monkeypatch):
    """Where TensorFlow Datasets takes our archive for the published one."""
    (url,) = Builder.url_infos
    infos = {url: tfds.core.download.checksums.compute_url_info(uci)}
    monkeypatch.setattr(Builder, "url_infos", infos)
    return {"data_dir": tmp_path / "data", "manual_dir": uci.parent}


def prepared(places):
    """The files that TensorFlow Datasets left, but its own settings."""
    return [
        str(path.relative_to(places["data_dir"]))
        for path in places["data_dir"].rglob("*")
        if path.is_file() and ".config" not in path.parts
    ]


def test_both_ways_give_the_same(uci, places, caplog):
    say_licence.cache_clear()
    for split in reader.SPLITS:
        assert_equal(
            datasets.load("uci_har", split, **places),
            datasets.load("uci_har", split, path=uci),
        )
    # The licence is said once, whatever the way. Prepared once.
    assert caplog.text.count("forbids any commercial use") == 1
    assert sum("array_record" in name for name in prepared(places)) == 2
    source = tfds.data_source(
        "uci_har",
        data_dir=places["data_dir"],
        builder_kwargs={"file_format": "array_record"},
    )["train"]
    train = datasets.load("uci_har", path=uci)
    for index in (17, 3):
        np.testing.assert_array_equal(
            source[index]["signal"], train["signal"][index]
        )


def test_a_wrong_checksum_leaves_nothing(uci, places, monkeypatch, tmp_path):
    monkeypatch.undo()
    with pytest.raises(
        Exception, match=r"(?s)(?s)has wrong checksum.*c00b8030"
    ):
        datasets.load("uci_har", **places)
    assert prepared(places) == []
    # The file of the user is still there.
    assert uci.exists()


def test_bad_data_leave_nothing_and_good_data_follow(tmp_path, monkeypatch):
    places = {"data_dir": tmp_path / "data", "manual_dir": tmp_path / "manual"}
    missing = r"(?s)not in the manual folder.*10\.5281/zenodo\.8398688"
    with pytest.raises(FileNotFoundError, match=missing):
        datasets.load("smartwatch_har", **places)
    write_smartwatch_har(tmp_path / "manual")
    # Other sets lie in the same folder.
    (tmp_path / "manual" / "another.zip").write_bytes(b"of another set")
    with pytest.raises(FileNotFoundError, match=r"223 recordings.*Received: 3"):
        datasets.load("smartwatch_har", **places)
    monkeypatch.setattr(smartwatch, "RECORDINGS", 3)
    file = tmp_path / "manual" / "DATA" / "s12" / "s12_01_sw.csv"
    good = file.read_text()
    file.write_text(good.replace(good.splitlines()[9].split(",")[2], "nan"))
    with pytest.raises(ValueError, match=r"s12_01_sw.*finite.*in row 10"):
        datasets.load("smartwatch_har", **places)
    assert prepared(places) == []
    file.write_text(good)
    assert_equal(
        datasets.load("smartwatch_har", **places),
        datasets.load("smartwatch_har", path=tmp_path / "manual" / "DATA"),
    )


READERS = """
import importlib
import sys

from keras_seqattn import datasets

for name in datasets.NAMES:
    importlib.import_module(f"keras_seqattn.datasets.{name}.reader")
print("tensorflow_datasets" in sys.modules, len(datasets.NAMES))
import keras_seqattn.datasets.builders
import tensorflow_datasets as tfds

for name in datasets.NAMES:
    builder = tfds.builder(
        name, data_dir=sys.argv[1], file_format="array_record"
    )
    print(builder.name, type(builder).__module__)
"""


def test_importing_a_reader_imports_no_tensorflow_datasets(tmp_path):
    done = subprocess.run(
        [sys.executable, "-c", READERS, tmp_path],
        env={**os.environ, "KERAS_BACKEND": "numpy"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    first, *builders = done.stdout.splitlines()
    assert first == "False 4"
    assert builders == [
        f"{name} keras_seqattn.datasets.{name}.{name}_dataset_builder"
        for name in datasets.NAMES
    ]


CHILD = """
import sys

sys.modules["tensorflow_datasets"] = None  # as if not installed

from importlib.machinery import PathFinder

find_spec = PathFinder.find_spec
PathFinder.find_spec = lambda name, *rest: (
    None if name == "tensorflow" else find_spec(name, *rest)
)
from keras_seqattn import datasets
from keras_seqattn import windows

path, data_dir = sys.argv[1:]
print(len(datasets.load("smartwatch_har", path=path)["label"]))
try:
    datasets.load("smartwatch_har")
except ImportError as error:
    print(error)

# From here on, without TensorFlow alone. Killed in the middle of a file.
del sys.modules["tensorflow_datasets"]
import os
from keras_seqattn.datasets.smartwatch_har import reader
from keras_seqattn.datasets.smartwatch_har import (
    smartwatch_har_dataset_builder,
)

reader.RECORDINGS = 3
read_examples = reader.read_examples


def killed(*args, **options):
    for number, example in read_examples(*args, **options):
        if number == 7:
            sys.stdout.flush()
            os.kill(os.getpid(), 9)
        yield number, example


reader.read_examples = killed
datasets.load("smartwatch_har", data_dir=data_dir, manual_dir=path)
"""


def test_without_tensorflow_and_after_a_kill(tmp_path, monkeypatch):
    monkeypatch.setattr(smartwatch, "RECORDINGS", 3)
    write_smartwatch_har(tmp_path / "manual")
    places = {"data_dir": tmp_path / "data", "manual_dir": tmp_path / "manual"}
    done = subprocess.run(
        [sys.executable, "-c", CHILD, *map(str, reversed(places.values()))],
        env={**os.environ, "KERAS_BACKEND": "numpy"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == -9, done.stderr
    count, message, *_ = done.stdout.splitlines()
    assert count == "12"
    assert message.endswith("pip install keras_seqattn[datasets]")
    # What the killed one left does not pass for a prepared set.
    left = list((tmp_path / "data" / "smartwatch_har" / "one_second").iterdir())
    assert left and not (left[0].parent / "1.0.0").exists()
    assert_equal(
        datasets.load("smartwatch_har", **places),
        datasets.load("smartwatch_har", path=tmp_path / "manual"),
    )


def test_the_inner_archive_at_hand_is_not_downloaded(uci, tmp_path):
    assert_equal(
        datasets.load(
            "uci_har",
            "test",
            data_dir=tmp_path,
            manual_dir=uci.parent / "outer",
        ),
        datasets.load("uci_har", "test", path=uci),
    )


def test_arguments_out_of_range(uci):
    with pytest.raises(ValueError, match=r"`name` must be one of .*'uci_har'"):
        datasets.load("mnist")
    with pytest.raises(ValueError, match=r"one of \('train', 'test'\)"):
        datasets.load("uci_har", "validation")
    with pytest.raises(ValueError, match=r"`config` must be one of \('raw',\)"):
        datasets.load("uci_har", config="features", path=uci)
    with pytest.raises(ValueError, match=r"\['seconds'\] are options of the"):
        datasets.load("smartwatch_har", seconds=2.0)
    with pytest.raises(ValueError, match="`config` must be one of"):
        datasets.load("uci_har", config="", path=uci)
    with pytest.raises(ValueError, match=r"leave out either.*manual_dir='m'"):
        datasets.load("uci_har", path=uci, manual_dir="m")


@pytest.mark.parametrize(
    "name, known",
    [
        ("opportunity_gestures", "'task', 'scaling', 'timesteps', 'stride'"),
        ("primate_reaching", "'recording', .*'area', 'bin_width', 'effector'"),
        ("smartwatch_har", "'seconds', 'overlap'"),
        ("uci_har", ""),
    ],
)
def test_unknown_options(name, known):
    with pytest.raises(ValueError, match=rf"options \[{known}.*: \['second'\]"):
        datasets.load(name, path="none", second=2)
