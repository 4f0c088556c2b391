"""Recorded data sets, with TensorFlow Datasets and without."""

import contextlib
import importlib

from keras_seqattn.activity.data import subject_folds as subject_folds
from keras_seqattn.batches import WindowBatches as WindowBatches
from keras_seqattn.batches import class_weights as class_weights
from keras_seqattn.datasets.loading import NAMES
from keras_seqattn.datasets.loading import load as load
from keras_seqattn.windows import Standardizer as Standardizer

# Importing a builder makes it known to `tfds.load`. Where TensorFlow Datasets
# cannot be imported, `load` says so when it needs it.
with contextlib.suppress(ImportError):
    for _name in NAMES:
        importlib.import_module(
            f"keras_seqattn.datasets.{_name}.{_name}_dataset_builder"
        )
