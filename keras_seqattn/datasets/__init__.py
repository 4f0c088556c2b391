"""Recorded data sets, with TensorFlow Datasets and without."""

from keras_seqattn.datasets.file_tree import FileTree as FileTree
from keras_seqattn.datasets.loading import NAMES as NAMES
from keras_seqattn.datasets.loading import load as load
