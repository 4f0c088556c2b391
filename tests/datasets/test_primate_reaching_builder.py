import http.server
import os
import pathlib
import subprocess
import sys
import threading
import tracemalloc

import numpy as np
import pytest
import tensorflow_datasets as tfds

from keras_seqattn import datasets
from keras_seqattn.datasets.primate_reaching import (
    primate_reaching_dataset_builder as primate_reaching,
)
from keras_seqattn.datasets.primate_reaching import reader
from keras_seqattn.datasets.primate_reaching import sessions
from tests.datasets import matlab_sessions
from tests.datasets.test_builders import BuilderTest

SESSION = "indy_20160921_01"  # whose MD5 is not known
SECONDS = 330
ROOT = pathlib.Path(__file__).parents[2]


def write(folder):
    matlab_sessions.poisson_session(
        pathlib.Path(folder) / f"{SESSION}.mat", SECONDS, rate=2
    )


class PrimateReachingTest(BuilderTest):
    __test__ = True
    DATASET_CLASS = primate_reaching.Builder
    BUILDER_CONFIG_NAMES_TO_TEST = [  # noqa: RUF012
        primate_reaching.PrimateReachingConfig(
            name="bins",
            options={
                "recording": SESSION,
                "bin_width": 0.128,
                "timesteps": None,
            },
        ),
    ]
    SPLITS = {"train": 2500, "test": 78}  # noqa: RUF012
    SUPERVISED = ("spikes", "movement")
    title = "Nonhuman Primate Reaching with Multichannel"
    licence = "CC BY 4.0"
    unit = "mm/s"
    write = staticmethod(write)

    def test_metadata(self):
        info = self.builder.info
        assert self.title in info.citation
        assert "Licence" in info.description
        assert info.homepage == "https://doi.org/10.5281/zenodo.3854034"
        assert info.redistribution_info.license == "CC BY 4.0"
        assert info.supervised_keys == ("spikes", "movement")
        assert "mm/s." in info.features["movement"].doc.desc
        assert info.features["spikes"].shape == (20, 96)
        assert self.builder.builder_config.name == "indy_20160407_02_64ms"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("manual")
    write(folder)
    return folder


def build(data_dir, manual_dir=None, **options):
    config = primate_reaching.PrimateReachingConfig(
        name="own", options={"recording": SESSION, **options}
    )
    builder = primate_reaching.Builder(
        data_dir=data_dir, config=config, file_format="array_record"
    )
    builder.download_and_prepare(
        download_config=tfds.download.DownloadConfig(
            manual_dir=manual_dir or data_dir / "none"
        )
    )
    return builder


def test_prepared_examples_are_the_readers(folder, tmp_path):
    name = f"{SESSION}_128ms"
    through_tfds, read = (
        datasets.load("primate_reaching", "test", config=name, **place)
        for place in (
            {"data_dir": tmp_path, "manual_dir": folder},
            {"path": folder},
        )
    )
    assert through_tfds.keys() == read.keys()
    for key, values in read.items():
        np.testing.assert_array_equal(through_tfds[key], values)
        assert through_tfds[key].dtype == values.dtype
    assert read["spikes"].shape == (59, 20, 96)
    assert read["spikes"].sum() > 10_000
    assert (np.diff(read["time_ms"]) > 0).all()
    assert set(read["session"]) == {sessions.NAMES.index(SESSION)}


def test_load_holds_the_windows_once(folder):
    tracemalloc.start()
    loaded = datasets.load(
        "primate_reaching", "train", path=folder, config=f"{SESSION}_128ms"
    )
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    size = sum(array.nbytes for array in loaded.values())
    assert size > 9e6
    assert peak < 1.5 * size


def test_digests_belong_to_published_files():
    infos = primate_reaching.Builder.url_infos
    assert len(infos) == 4
    for url, info in infos.items():
        name = info.filename.removesuffix(".mat")
        assert url == primate_reaching.URL.format(name=name)
        assert name in sessions.MD5
        assert len(bytes.fromhex(info.checksum)) == 32
        assert 84e6 < info.size < 1.2e9


def test_a_configuration_of_ones_own(folder, tmp_path):
    options = {
        "bin_width": 0.032,
        "timesteps": 3,
        "stride": 500,
        "effector": "finger",
        "quantity": "acceleration",
        "alignment": "mean",
    }
    builder = build(tmp_path, folder, **options)
    source = builder.as_data_source("train")
    expected = [
        e
        for _, e in reader.read_examples(
            folder, "train", recording=SESSION, **options
        )
    ]
    assert len(source) == len(expected) == 20
    for found, example in zip(source, expected, strict=True):
        np.testing.assert_array_equal(found["spikes"], example["spikes"])
        np.testing.assert_array_equal(found["movement"], example["movement"])
    assert "mm/s^2" in builder.info.features["movement"].doc.desc


def test_a_session_without_the_area_leaves_nothing(folder, tmp_path):
    with pytest.raises(ValueError, match=r"no channel of \['S1'\]"):
        build(tmp_path, folder, area="S1")
    assert not [*tmp_path.rglob("*record*")]


def test_interrupted_preparation_begins_anew(folder, tmp_path, monkeypatch):
    whole = reader.read_examples

    def interrupted(*arguments, **options):
        for number, example in whole(*arguments, **options):
            if number == 5:
                raise KeyboardInterrupt
            yield number, example

    monkeypatch.setattr(reader, "read_examples", interrupted)
    with pytest.raises(KeyboardInterrupt):
        build(tmp_path, folder, stride=100)
    assert not [*tmp_path.rglob("*record*")]
    monkeypatch.setattr(reader, "read_examples", whole)
    assert (
        len(build(tmp_path, folder, stride=100).as_data_source("train")) == 50
    )


class Server(http.server.ThreadingHTTPServer):
    """Gives one file, however it is asked for."""

    def __init__(self, content):
        self.asked = []
        self.content = content
        super().__init__(("127.0.0.1", 0), _Handler)


class _Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.server.asked.append(self.path)
        self.send_response(200)
        self.send_header("Content-Length", str(len(self.server.content)))
        self.end_headers()
        self.wfile.write(self.server.content)

    def log_message(self, *arguments):
        pass


@pytest.fixture
def server(folder, monkeypatch):
    with Server((folder / f"{SESSION}.mat").read_bytes()) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        monkeypatch.setattr(
            primate_reaching,
            "URL",
            f"http://127.0.0.1:{server.server_port}/{{name}}.mat?download=1",
        )
        yield server
        server.shutdown()
        thread.join()


def test_what_is_not_at_hand_is_downloaded(server, tmp_path):
    builder = build(tmp_path, stride=100)
    assert server.asked == [f"/{SESSION}.mat?download=1"]
    assert len(builder.as_data_source("train")) == 50
    assert builder.info.download_size == len(server.content)


def test_what_is_at_hand_is_not_downloaded(
    server, folder, tmp_path, monkeypatch
):
    both = ("indy_20160927_04", SESSION)
    monkeypatch.setitem(sessions.RECORDINGS, "indy", both)
    builder = build(tmp_path, folder, recording="indy", stride=100)
    assert server.asked == ["/indy_20160927_04.mat?download=1"]
    found = [e["session"] for e in builder.as_data_source("train")]
    assert found == [
        sessions.NAMES.index(name) for name in both for _ in range(50)
    ]


def test_another_file_than_the_published_is_refused(server, tmp_path):
    with pytest.raises(ValueError, match="not the published session indy_2016"):
        build(tmp_path, recording="indy_20160407_02")
    assert not [*tmp_path.rglob("*record*")]


def test_a_long_session_needs_little_memory(tmp_path):
    """50 minutes, 96 channels, 4 million spikes, a window of 20 in each bin."""
    name = "indy_20161220_02"
    matlab_sessions.poisson_session(tmp_path / f"{name}.mat", 3000)
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "tests.datasets.prepare_in_little_memory",
            str(tmp_path),
            name,
        ],
        # TensorFlow alone would hold 900 MB.
        env={**os.environ, "KERAS_BACKEND": "jax", "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    numbers, tensorflow = done.stdout.splitlines()[-2:]
    imports, peak, examples = map(float, numbers.split())
    assert examples == 46_874 - 2 * 19  # whole bins, two parts
    assert peak < 600
    assert peak - imports < 150
    assert tensorflow == "False"
