"""Opportunity for TensorFlow Datasets."""

import functools
from collections.abc import Callable
from collections.abc import Iterator

import numpy as np
import tensorflow_datasets as tfds

from keras_seqattn.datasets.at_hand import at_hand
from keras_seqattn.datasets.licences import say_licence
from keras_seqattn.datasets.opportunity_gestures import reader
from keras_seqattn.datasets.opportunity_gestures.recordings import SENSORS
from keras_seqattn.datasets.opportunity_gestures.recordings import TASKS

URL = (
    "https://archive.ics.uci.edu/static/public/226/"
    "opportunity+activity+recognition.zip"
)
# What the archive has been called, and the folder in it.
AT_HAND = (
    "opportunity+activity+recognition.zip",
    "OpportunityUCIDataset.zip",
    "OpportunityUCIDataset",
)
_SCALING = {
    "range": "each sensor's fixed range is 0 .. 1",
    "zscore": "each recording has mean 0 and deviation 1/2",
}
Shard = Callable[[], Iterator[tuple[int, dict[str, np.ndarray]]]]


# Written recording by recording as they are read, or a split at once if windows
# cross them. A `GeneratorBasedBuilder` would collect a split in memory first,
# and serialized.
class Builder(tfds.core.ShardBasedBuilder):
    """Windows of body-worn sensors, each a gesture or a way of moving."""

    VERSION = tfds.core.Version("1.0.0")
    RELEASE_NOTES = {"1.0.0": "First release."}
    BUILDER_CONFIGS = [
        tfds.core.BuilderConfig(
            name=name,
            description=(
                f"{len(TASKS[options['task']][1])} classes of "
                f"{options['task']}; {_SCALING[options['scaling']]}"
                + "; windows cross files" * options["across_files"]
                + "."
            ),
        )
        for name, options in reader.CONFIGS.items()
    ]
    MANUAL_DOWNLOAD_INSTRUCTIONS = f"""
    The archive is downloaded from UCI, doi:10.24432/C5M027. To use one that
    you have, place it in the manual folder under one of the names
    {AT_HAND}.
    """

    def _info(self) -> tfds.core.DatasetInfo:
        options = reader.CONFIGS[self.builder_config.name]
        _, codes = TASKS[options["task"]]
        return self.dataset_info_from_configs(
            features=tfds.features.FeaturesDict(
                {
                    "signal": tfds.features.Tensor(
                        shape=(reader.TIMESTEPS, len(SENSORS)),
                        dtype=np.float32,
                        encoding="bytes",
                        doc=(
                            "Samples at 30 Hz, oldest first, of 113 sensors "
                            f"without a unit: {_SCALING[options['scaling']]}."
                        ),
                    ),
                    "label": tfds.features.ClassLabel(names=[*codes.values()]),
                    "subject": tfds.features.Scalar(
                        dtype=np.int64, doc="Who was recorded, 1 .. 3."
                    ),
                }
            ),
            supervised_keys=reader.SUPERVISED,
            homepage="https://doi.org/10.24432/C5M027",
            license=reader.LICENCE,
            disable_shuffling=True,  # in order of time
        )

    def _shard_iterators_per_split(
        self, dl_manager: tfds.download.DownloadManager
    ) -> dict[str, list[Shard]]:
        say_licence(self.name, reader.LICENCE)
        path = at_hand(dl_manager, *AT_HAND) or dl_manager.download(URL)
        options = reader.CONFIGS[self.builder_config.name]

        def shard(split: str, names: tuple[str, ...]) -> Shard:
            return functools.partial(
                reader.read_examples, path, split, recordings=names, **options
            )

        return {
            split: [shard(split, names)]
            if options["across_files"]
            else [shard(split, (name,)) for name in names]
            for split, names in reader.RECORDINGS.items()
        }
