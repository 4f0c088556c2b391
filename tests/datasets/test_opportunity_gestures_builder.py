import numpy as np
import pytest
import tensorflow_datasets as tfds

from keras_seqattn import datasets
from keras_seqattn.datasets.opportunity_gestures import (
    opportunity_gestures_dataset_builder as opportunity_gestures,
)
from keras_seqattn.datasets.opportunity_gestures import reader
from tests.datasets import opportunity_files as files
from tests.datasets.test_builders import BuilderTest


class OpportunityGesturesTest(BuilderTest):
    __test__ = True
    DATASET_CLASS = opportunity_gestures.Builder
    BUILDER_CONFIG_NAMES_TO_TEST = ["gestures_range"]  # noqa: RUF012
    SPLITS = {"train": 58, "test": 20}  # noqa: RUF012
    title = "Collecting complex activity datasets"
    licence = "CC BY 4.0"
    unit = "113 sensors without a unit"

    @staticmethod
    def write(folder):
        tables = files.make_all()
        files.write_opportunity(folder, tables)


@pytest.fixture(scope="module")
def manual_dir(tmp_path_factory):
    root = tmp_path_factory.mktemp("opportunity")
    files.write_opportunity(root / "unpacked", files.make_all(samples=30))
    manual_dir = root / "manual"
    manual_dir.mkdir()
    files.zip_files(root / "unpacked", manual_dir / "OpportunityUCIDataset.zip")
    return manual_dir


@pytest.mark.parametrize(
    "config, shards",
    [("gestures_range", 14), ("locomotion_zscore_across_files", 1)],
)
def test_prepared_examples_are_the_readers(
    manual_dir, tmp_path, config, shards
):
    for split in reader.SPLITS:
        read = datasets.load(
            "opportunity_gestures", split, config=config, path=manual_dir
        )
        prepared = datasets.load(
            "opportunity_gestures",
            split,
            config=config,
            data_dir=tmp_path,
            manual_dir=manual_dir,
        )
        assert prepared.keys() == read.keys()
        for name, values in read.items():
            np.testing.assert_array_equal(prepared[name], values)
            assert prepared[name].dtype == values.dtype
    [*found] = tmp_path.rglob("*-train.array_record*")
    assert len(found) == shards


def test_interrupted_preparation_begins_anew(manual_dir, tmp_path, monkeypatch):
    whole = reader.read_examples

    def interrupted(*arguments, recordings, **options):
        if recordings == ("S2-ADL1",):
            raise KeyboardInterrupt
        return whole(*arguments, recordings=recordings, **options)

    builder = opportunity_gestures.Builder(
        data_dir=tmp_path, file_format="array_record"
    )
    manual = tfds.download.DownloadConfig(manual_dir=manual_dir)
    monkeypatch.setattr(reader, "read_examples", interrupted)
    with pytest.raises(KeyboardInterrupt):
        builder.download_and_prepare(download_config=manual)
    assert not [*tmp_path.rglob("*record*")]
    monkeypatch.setattr(reader, "read_examples", whole)
    builder.download_and_prepare(download_config=manual)
    assert len(builder.as_data_source("train")) == 22


def test_a_damaged_recording_leaves_nothing(tmp_path):
    tables = files.make_all(samples=30)
    tables["S3-Drill"][8, files.GESTURES] = 1
    files.write_opportunity(tmp_path / "manual", tables)
    with pytest.raises(ValueError, match=r"S3-Drill\.dat.* 1\.0 in row 9"):
        datasets.load(
            "opportunity_gestures",
            data_dir=tmp_path / "data",
            manual_dir=tmp_path / "manual",
        )
    assert not [*tmp_path.rglob("*record*")]


def test_what_is_not_at_hand_is_downloaded(manual_dir, tmp_path, monkeypatch):
    (tmp_path / "manual").mkdir()
    (tmp_path / "manual" / "another.zip").write_bytes(b"of another set")
    asked = []

    def download(manager, url):
        asked.append(url)
        return manual_dir / "OpportunityUCIDataset.zip"

    monkeypatch.setattr(tfds.download.DownloadManager, "download", download)
    found = datasets.load(
        "opportunity_gestures",
        "test",
        data_dir=tmp_path / "data",
        manual_dir=tmp_path / "manual",
    )
    assert asked == [opportunity_gestures.URL]
    assert len(found["label"]) == 8
