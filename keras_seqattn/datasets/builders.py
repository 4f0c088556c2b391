"""Imports the builders, which makes them known to `tfds.load`."""

import importlib

from keras_seqattn.datasets.loading import NAMES

for _name in NAMES:
    importlib.import_module(
        f"keras_seqattn.datasets.{_name}.{_name}_dataset_builder"
    )
