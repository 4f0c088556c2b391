"""UCI HAR for TensorFlow Datasets."""

import os
from collections.abc import Iterator

import numpy as np
import tensorflow_datasets as tfds

from keras_seqattn.datasets.at_hand import at_hand
from keras_seqattn.datasets.licences import say_licence
from keras_seqattn.datasets.uci_har import reader

URL = (
    "https://archive.ics.uci.edu/static/public/240/"
    "human+activity+recognition+using+smartphones.zip"
)
# The archive in the archive, and the folder in that.
AT_HAND = ("UCI HAR Dataset.zip", "UCI HAR Dataset")


class Builder(tfds.core.GeneratorBasedBuilder):
    """Windows of a smartphone's signals, each an activity of a subject."""

    VERSION = tfds.core.Version("1.0.0")
    RELEASE_NOTES = {"1.0.0": "First release: the raw windows."}
    MANUAL_DOWNLOAD_INSTRUCTIONS = f"""
    The archive is downloaded from UCI, doi:10.24432/C54S4K. To use one that
    you have, place it in the manual folder under its name,
    human+activity+recognition+using+smartphones.zip, or what is in it under
    one of the names {AT_HAND}, whose checksum is not compared.
    """
    BUILDER_CONFIGS = [
        tfds.core.BuilderConfig(
            name=name, description="The raw windows, not the 561 features."
        )
        for name in reader.CONFIGS
    ]

    def _info(self) -> tfds.core.DatasetInfo:
        return self.dataset_info_from_configs(
            features=tfds.features.FeaturesDict(
                {
                    "signal": tfds.features.Tensor(
                        shape=(reader.TIMESTEPS, len(reader.CHANNELS)),
                        dtype=np.float32,
                        doc=(
                            "Samples at 50 Hz, oldest first; channels: "
                            f"{', '.join(reader.CHANNELS)}; acceleration in "
                            "g, body_acc without gravity, total_acc with it; "
                            "angular velocity in rad/s."
                        ),
                    ),
                    "label": tfds.features.ClassLabel(names=reader.CLASSES),
                    "subject": tfds.features.Scalar(
                        dtype=np.int64, doc="Who was recorded, 1 .. 30."
                    ),
                }
            ),
            supervised_keys=reader.SUPERVISED,
            homepage="https://doi.org/10.24432/C54S4K",
            license=reader.LICENCE,
            # The published order, so that all ways of loading agree.
            disable_shuffling=True,
        )

    def _split_generators(
        self, dl_manager: tfds.download.DownloadManager
    ) -> dict[str, Iterator[tuple[int, dict[str, np.ndarray]]]]:
        say_licence(self.name, reader.LICENCE)
        path = at_hand(dl_manager, *AT_HAND) or dl_manager.download(URL)
        return {
            split: self._generate_examples(path, split)
            for split in reader.SPLITS
        }

    def _generate_examples(
        self, path: str | os.PathLike[str], split: str
    ) -> Iterator[tuple[int, dict[str, np.ndarray]]]:
        yield from reader.read_examples(path, split)
