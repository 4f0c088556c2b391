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
    data_dir: str | os.PathLike[str] | None = None,
    manual_dir: str | os.PathLike[str] | None = None,
    **options: Any,
) -> dict[str, np.ndarray]:
    """Load all examples of a split, with or without TensorFlow Datasets.

    With `path` the published files are read with NumPy. Without it,
    TensorFlow Datasets (`pip install keras_seqattn[datasets]`) downloads and
    prepares the set once, and reads the prepared files from then on; neither
    way imports TensorFlow. Both give the same arrays in the same order.

    Args:
        name: `"opportunity_gestures"`, `"primate_reaching"`,
            `"smartwatch_har"` or `"uci_har"`.
        split: The name of a split, one of `SPLITS` of the set's reader.
        path: The published archive, the folder unpacked from it, or a folder
            that holds either; or an `.npz` file of the split's arrays, as
            `numpy.savez(file, **load(...))` writes it.
        config: The name of a configuration, one of `CONFIGS` of the set's
            reader. Default: the first.
        data_dir: Where TensorFlow Datasets keeps what it prepared. Default:
            `~/tensorflow_datasets`.
        manual_dir: A folder with archives that you fetched yourself, for
            TensorFlow Datasets. Default: `data_dir/downloads/manual`.
        options: With `path`: options of the set's `read_examples` that
            replace those of the configuration.

    Returns:
        Arrays of shape `(examples, ...)`, one a feature.

    Raises:
        ValueError: Arguments out of range, or damaged files.
        FileNotFoundError: A file is missing from `path`.
        ImportError: No `path`, and TensorFlow Datasets is not installed.

    Example:
    ```python
    import numpy as np
    from keras_seqattn import datasets

    windows = {
        "signal": np.random.default_rng(0).normal(size=(6, 128, 9)),
        "label": np.arange(6),
        "subject": np.array([1, 1, 1, 3, 3, 3]),
    }
    np.savez("uci_har_train.npz", **windows)
    train = datasets.load("uci_har", path="uci_har_train.npz")
    print(train["signal"].shape)  # (6, 128, 9)
    ```
    """
    check_choice("name", name, NAMES)
    reader = importlib.import_module(f"keras_seqattn.datasets.{name}.reader")
    check_choice("split", split, reader.SPLITS)
    config = config or next(iter(reader.CONFIGS))
    check_choice("config", config, reader.CONFIGS)
    if path is None:
        if options:
            raise ValueError(
                f"{sorted(options)} are options of the reader, which needs "
                "`path`; TensorFlow Datasets takes `config` alone."
            )
        return _load_prepared(name, split, config, data_dir, manual_dir)
    if os.fspath(path).endswith(".npz"):
        return _load_npz(path, reader.SUPERVISED)
    options = {**reader.CONFIGS[config], **options}
    examples = [e for _, e in reader.read_examples(path, split, **options)]
    return _stack(examples, f"{os.fspath(path)!r}")


def _load_npz(
    path: str | os.PathLike[str], needed: tuple[str, ...]
) -> dict[str, np.ndarray]:
    with np.load(path, allow_pickle=False) as file:
        arrays = dict(file)
    missing = [name for name in needed if name not in arrays]
    if missing or len({len(array) for array in arrays.values()}) > 1:
        shapes = {name: array.shape for name, array in arrays.items()}
        raise ValueError(
            f"{os.fspath(path)!r} must hold {needed}, and in each array one "
            f"entry an example. Received: shapes {shapes}"
        )
    return arrays


def _load_prepared(
    name: str,
    split: str,
    config: str,
    data_dir: str | os.PathLike[str] | None,
    manual_dir: str | os.PathLike[str] | None,
) -> dict[str, np.ndarray]:
    try:
        import tensorflow_datasets as tfds
    except ImportError as error:
        raise ImportError(
            "Without `path`, TensorFlow Datasets is needed: "
            "pip install keras_seqattn[datasets]"
        ) from error
    # Its other formats cannot be read without TensorFlow.
    builder = tfds.builder(
        f"{name}/{config}", data_dir=data_dir, file_format="array_record"
    )
    builder.download_and_prepare(
        download_config=tfds.download.DownloadConfig(manual_dir=manual_dir)
    )
    source = builder.as_data_source(split)
    return _stack(list(source), f"the split {split!r}")


def _stack(
    examples: list[dict[str, np.ndarray]], place: str
) -> dict[str, np.ndarray]:
    if not examples:
        raise ValueError(f"There is no example in {place}.")
    return {
        name: np.stack([example[name] for example in examples])
        for name in examples[0]
    }
