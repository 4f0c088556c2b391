"""The smartwatch recordings of Matey-Sanz et al. for TensorFlow Datasets."""

import os
from collections.abc import Iterator

import numpy as np
import tensorflow_datasets as tfds

from keras_seqattn.datasets.smartwatch_har import reader


class Builder(tfds.core.GeneratorBasedBuilder):
    """Windows of a smartwatch's signals, each an activity of a subject."""

    VERSION = tfds.core.Version("1.0.0")
    RELEASE_NOTES = {"1.0.0": "First release: the watch's recordings."}
    MANUAL_DOWNLOAD_INSTRUCTIONS = """
    Download the archive of https://doi.org/10.5281/zenodo.8398688 and place
    it here as it is, or unpacked. (No checksum of it is published.)
    """
    BUILDER_CONFIGS = [
        tfds.core.BuilderConfig(
            name=name,
            description=(
                f"Windows of {options['seconds']} s, of which each shares "
                f"{options['overlap']} with the next."
            ),
        )
        for name, options in reader.CONFIGS.items()
    ]

    def _info(self) -> tfds.core.DatasetInfo:
        seconds = reader.CONFIGS[self.builder_config.name]["seconds"]
        return self.dataset_info_from_configs(
            features=tfds.features.FeaturesDict(
                {
                    "signal": tfds.features.Tensor(
                        shape=(
                            round(seconds * reader.RATE),
                            len(reader.CHANNELS),
                        ),
                        dtype=np.float32,
                        doc=(
                            "Samples at about 100 Hz, oldest first; channels: "
                            f"{', '.join(reader.CHANNELS)}; acceleration with "
                            "gravity in m/s^2, angular velocity in rad/s."
                        ),
                    ),
                    "label": tfds.features.ClassLabel(names=reader.CLASSES),
                    "subject": tfds.features.Scalar(
                        dtype=np.int64, doc="Who was recorded, 1 .. 23."
                    ),
                }
            ),
            supervised_keys=reader.SUPERVISED,
            homepage="https://doi.org/10.1016/j.dib.2023.109809",
            license="CC BY 4.0",
            # The published order, so that all ways of loading agree.
            disable_shuffling=True,
        )

    def _split_generators(
        self, dl_manager: tfds.download.DownloadManager
    ) -> dict[str, Iterator[tuple[int, dict[str, np.ndarray]]]]:
        return {"train": self._generate_examples(dl_manager.manual_dir)}

    def _generate_examples(
        self, path: str | os.PathLike[str]
    ) -> Iterator[tuple[int, dict[str, np.ndarray]]]:
        options = reader.CONFIGS[self.builder_config.name]
        yield from reader.read_examples(path, "train", **options)
