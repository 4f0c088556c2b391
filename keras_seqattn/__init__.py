"""Attention and recurrence for sequences, in Keras 3, on three backends."""

import importlib
from typing import TYPE_CHECKING
from typing import Any

from keras_seqattn import activations as activations
from keras_seqattn import activity as activity
from keras_seqattn import callbacks as callbacks
from keras_seqattn import decoding as decoding
from keras_seqattn import export as export
from keras_seqattn import layers as layers
from keras_seqattn import learning_rules as learning_rules
from keras_seqattn import memory as memory
from keras_seqattn import models as models
from keras_seqattn import streaming as streaming
from keras_seqattn import tasks as tasks
from keras_seqattn import windows as windows
from keras_seqattn.version import __version__ as __version__

if TYPE_CHECKING:
    from keras_seqattn import datasets as datasets
    from keras_seqattn import visualization as visualization

# They need more packages than Keras: imported when they are first used.
_LAZY = ("datasets", "visualization")


def __getattr__(name: str) -> Any:
    if name in _LAZY:
        return importlib.import_module(f"keras_seqattn.{name}")
    raise AttributeError(f"module 'keras_seqattn' has no attribute {name!r}")


def __dir__() -> list[str]:
    return [
        "__version__",
        "activations",
        "activity",
        "callbacks",
        "datasets",
        "decoding",
        "export",
        "layers",
        "learning_rules",
        "memory",
        "models",
        "streaming",
        "tasks",
        "visualization",
        "windows",
    ]
