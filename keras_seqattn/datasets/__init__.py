"""Recorded data sets, with TensorFlow Datasets and without.

The readers do not import TensorFlow Datasets. `import
keras_seqattn.datasets.builders` does, and makes the sets known to `tfds.load`.
"""

from keras_seqattn.datasets.loading import NAMES as NAMES
from keras_seqattn.datasets.loading import load as load
