"""The builders, as TensorFlow Datasets tests them. Needs TensorFlow."""

import pathlib
import tempfile
from unittest import mock

import tensorflow_datasets as tfds

from keras_seqattn.datasets.smartwatch_har import reader as smartwatch_har
from keras_seqattn.datasets.smartwatch_har import smartwatch_har_dataset_builder
from keras_seqattn.datasets.uci_har import uci_har_dataset_builder
from tests.datasets.original_files import uci_har_arrays
from tests.datasets.original_files import write_smartwatch_har
from tests.datasets.original_files import write_uci_har


class BuilderTest(tfds.testing.DatasetBuilderTestCase):
    """Writes the published files first. Subclasses say which."""

    __test__ = False

    def test_session(self, **options):
        return super().test_session(**options)

    # TensorFlow's class skips it: "Not a test."
    test_session.__test__ = False

    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.TemporaryDirectory()
        cls.EXAMPLE_DIR = cls.folder.name
        cls.write(pathlib.Path(cls.folder.name))
        super().setUpClass()

    @classmethod
    def tearDownClass(cls):
        super().tearDownClass()
        cls.folder.cleanup()

    def test_metadata(self):
        info = self.builder.info
        assert self.title in info.citation
        assert "Licence" in info.description
        assert info.homepage.startswith("https://doi.org/")
        assert self.licence in info.redistribution_info.license
        assert info.supervised_keys == ("signal", "label")
        assert self.unit in info.features["signal"].doc.desc


class UciHarTest(BuilderTest):
    __test__ = True
    DATASET_CLASS = uci_har_dataset_builder.Builder
    SPLITS = {"train": 12, "test": 12}  # noqa: RUF012
    title = "A Public Domain Dataset for Human Activity"
    licence = "forbids any commercial use"
    unit = "rad/s"

    @staticmethod
    def write(folder):
        write_uci_har(folder / "UCI HAR Dataset", uci_har_arrays(12, 128))


class SmartwatchHarTest(BuilderTest):
    __test__ = True
    DATASET_CLASS = smartwatch_har_dataset_builder.Builder
    SPLITS = {"train": 12}  # noqa: RUF012
    title = "inertial measurements of smartphones and smartwatches"
    licence = "CC BY 4.0"
    unit = "m/s^2"
    write = staticmethod(write_smartwatch_har)

    def setUp(self):
        self.enter_context(mock.patch.object(smartwatch_har, "RECORDINGS", 3))
        super().setUp()
