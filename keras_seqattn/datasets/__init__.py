"""Recorded data sets, with TensorFlow Datasets and without.

`import keras_seqattn.datasets.builders` makes them known to `tfds.load`.
"""

from keras_seqattn.datasets.loading import NAMES as NAMES
from keras_seqattn.datasets.loading import load as load
