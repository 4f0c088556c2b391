"""Examples of a recorded data set as NumPy arrays.

Each set is a folder `keras_seqattn/datasets/<name>/`. Its `reader.py` reads
the published files with NumPy, and knows nothing of TensorFlow Datasets:

- `CONFIGS`: a dictionary, name of a configuration -> options of
  `read_examples`. The first is the default.
- `SPLITS`: the names of the splits.
- `SUPERVISED`: the names of the feature to learn from and of the one to learn.
- `read_examples(path, split, **options)`: an iterator of pairs of a number,
  which counts the examples of the split from 0, and a dictionary of arrays,
  equal in keys, shapes and types from example to example. `path` is a folder
  or an archive for `FileTree`. Raises `FileNotFoundError` and `ValueError`.

Its `<name>_dataset_builder.py` prepares the same examples, in the same order,
for TensorFlow Datasets: one builder configuration for each of `CONFIGS`.
"""

import importlib
import os
from typing import Any

import numpy as np

from keras_seqattn.argument_checks import check_choice

NAMES = (
    "opportunity_gestures",
    "primate_reaching",
    "smartwatch_har",
    "uci_har",
)


def load(
    name: str,
    split: str = "train",
    *,
    path: str | os.PathLike[str] | None = None,
    config: str | None = None,
    **options: Any,
) -> dict[str, np.ndarray]:
    """Read all examples of a split.

    Args:
        name: `"opportunity_gestures"`, `"primate_reaching"`,
            `"smartwatch_har"` or `"uci_har"`.
        split: The name of a split, one of `SPLITS` of the set's reader.
        path: The published archive, the folder unpacked from it, or the
            folder that holds either.
        config: The name of a configuration, one of `CONFIGS` of the set's
            reader. Default: the first.
        options: Options of the set's `read_examples` that replace those of
            the configuration.

    Returns:
        Arrays of shape `(examples, ...)`, one a feature.
    """
    check_choice("name", name, NAMES)
    reader = importlib.import_module(f"keras_seqattn.datasets.{name}.reader")
    check_choice("split", split, reader.SPLITS)
    config = config or next(iter(reader.CONFIGS))
    check_choice("config", config, reader.CONFIGS)
    examples = reader.read_examples(
        path, split, **{**reader.CONFIGS[config], **options}
    )
    return _stack([example for _, example in examples])


def _stack(examples: list[dict[str, np.ndarray]]) -> dict[str, np.ndarray]:
    return {
        name: np.stack([example[name] for example in examples])
        for name in examples[0]
    }
