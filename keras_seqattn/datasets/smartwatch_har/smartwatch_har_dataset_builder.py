"""The smartwatch recordings of Matey-Sanz et al. for TensorFlow Datasets."""

import os
from collections.abc import Iterator

import numpy as np
import tensorflow_datasets as tfds

from keras_seqattn.datasets.at_hand import at_hand
from keras_seqattn.datasets.licences import say_licence
from keras_seqattn.datasets.smartwatch_har import reader

# The archive and the folders in it, as the record, GitHub or a clone name them.
AT_HAND = ("*sp-sw-har-dataset*", "DATA")


class Builder(tfds.core.GeneratorBasedBuilder):
    """Windows of a smartwatch's signals, each an activity of a subject."""

    VERSION = tfds.core.Version("1.0.0")
    RELEASE_NOTES = {"1.0.0": "First release: the watch's recordings."}
    MANUAL_DOWNLOAD_INSTRUCTIONS = f"""
    Download the archive of https://doi.org/10.5281/zenodo.8398688 and place
    it in the manual folder, as it is or unpacked, under a name like one of
    {AT_HAND}. (TensorFlow Datasets does not download it, since its checksum
    and address are not known here.)
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
            license=reader.LICENCE,
            # The published order, so that all ways of loading agree.
            disable_shuffling=True,
        )

    def _split_generators(
        self, dl_manager: tfds.download.DownloadManager
    ) -> dict[str, Iterator[tuple[int, dict[str, np.ndarray]]]]:
        say_licence(self.name, reader.LICENCE)
        path = at_hand(dl_manager, *AT_HAND)
        if path is None:
            raise FileNotFoundError(
                f"{self.name} is not in the manual folder. "
                f"{self.MANUAL_DOWNLOAD_INSTRUCTIONS}"
            )
        return {"train": self._generate_examples(path)}

    def _generate_examples(
        self, path: str | os.PathLike[str]
    ) -> Iterator[tuple[int, dict[str, np.ndarray]]]:
        options = reader.CONFIGS[self.builder_config.name]
        yield from reader.read_examples(path, "train", complete=True, **options)
