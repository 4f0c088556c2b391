"""TFDS builder of the reaching sessions of O'Doherty et al."""

import dataclasses
import functools
from collections.abc import Callable
from collections.abc import Iterator
from typing import Any

import numpy as np
import tensorflow_datasets as tfds

from keras_seqattn.datasets.at_hand import at_hand
from keras_seqattn.datasets.licences import say_licence
from keras_seqattn.datasets.primate_reaching import reader
from keras_seqattn.datasets.primate_reaching.session_file import AREA
from keras_seqattn.datasets.primate_reaching.session_file import QUANTITIES
from keras_seqattn.datasets.primate_reaching.session_file import QUANTITY
from keras_seqattn.datasets.primate_reaching.sessions import NAMES
from keras_seqattn.datasets.primate_reaching.sessions import RECORDINGS
from keras_seqattn.datasets.primate_reaching.sessions import URL
from keras_seqattn.datasets.primate_reaching.sessions import check_digest

CHANNELS = 96  # of an array; each area has one


@dataclasses.dataclass(eq=False)
class PrimateReachingConfig(tfds.core.BuilderConfig):
    """A recording, and how it is cut.

    Args:
        options: Options of `reader.read_examples`. Give a configuration of
            your own a name of its own: it names the prepared files.
    """

    options: dict[str, Any] = dataclasses.field(default_factory=dict)


# Written session by session as they are read. A `GeneratorBasedBuilder` would
# collect a split in memory first.
class Builder(tfds.core.ShardBasedBuilder):
    """Windows of spike counts with the movement they go with."""

    VERSION = tfds.core.Version("1.0.0")
    RELEASE_NOTES = {"1.0.0": "First release."}
    BUILDER_CONFIGS = [
        PrimateReachingConfig(
            name=name,
            description="{recording}, bins of {bin_width} s.".format(**options),
            options=options,
        )
        for name, options in reader.CONFIGS.items()
    ]
    MANUAL_DOWNLOAD_INSTRUCTIONS = """
    Each session is downloaded from its Zenodo record, 10.5281/zenodo.3854034,
    up to 1 GB a session. Files that you have already, under their published
    names (indy_20160407_02.mat), are taken from the manual folder instead.
    """

    def _info(self) -> tfds.core.DatasetInfo:
        options = self.builder_config.options
        areas = options.get("area", AREA).split("+")
        timesteps = options.get("timesteps", reader.TIMESTEPS)
        unit = QUANTITIES[options.get("quantity", QUANTITY)]
        bins = () if timesteps is None else (timesteps,)
        return self.dataset_info_from_configs(
            features=tfds.features.FeaturesDict(
                {
                    "spikes": tfds.features.Tensor(
                        shape=(*bins, CHANNELS * len(areas)),
                        dtype=np.uint16,
                        encoding="bytes",
                        doc="Spikes of each bin and channel, oldest bin first.",
                    ),
                    "movement": tfds.features.Tensor(
                        shape=(2,),
                        dtype=np.float32,
                        doc=f"x and y of the newest bin, in {unit}.",
                    ),
                    "time_ms": tfds.features.Scalar(
                        dtype=np.int64,
                        doc="End of the newest bin, in milliseconds since "
                        "the session's first sample.",
                    ),
                    "segment": tfds.features.Scalar(
                        dtype=np.int64,
                        doc="Number of the session's stretch without a gap.",
                    ),
                    "session": tfds.features.ClassLabel(
                        names=NAMES, doc="Which session it is from."
                    ),
                }
            ),
            supervised_keys=reader.SUPERVISED,
            homepage="https://doi.org/10.5281/zenodo.3854034",
            license=reader.LICENCE,
            disable_shuffling=True,  # in time order
        )

    def _shard_iterators_per_split(
        self, dl_manager: tfds.download.DownloadManager
    ) -> dict[str, list[Callable[[], Iterator[tuple[int, dict[str, Any]]]]]]:
        say_licence(self.name, reader.LICENCE)
        names = RECORDINGS[self.builder_config.options["recording"]]
        found = {name: at_hand(dl_manager, f"{name}.mat") for name in names}
        files = {name: file for name, file in found.items() if file}
        missing = [name for name in names if name not in files]
        if missing:
            files |= dl_manager.download(
                {name: URL.format(name=name) for name in missing}
            )
        for name in names:
            check_digest(name, files[name])
        return {
            split: [
                functools.partial(
                    reader.read_examples,
                    {name: files[name]},
                    split,
                    **self.builder_config.options,
                )
                for name in names
            ]
            for split in reader.SPLITS
        }
