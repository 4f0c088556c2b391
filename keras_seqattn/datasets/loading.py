"""Examples of a recorded data set as NumPy arrays.

Each set is a folder `keras_seqattn/datasets/<name>/`. Its `reader.py` reads
the published files with NumPy, and knows nothing of TensorFlow Datasets:

- `CONFIGS`: a dictionary, name of a configuration -> options of
  `read_examples`. The first is the default.
- `SPLITS`: the names of the splits.
- `SUPERVISED`: the names of the feature to learn from and of the one to learn.
- `LICENCE`: what is logged when the set is loaded.
- `read_examples(path, split, **options)`: an iterator of pairs of a number,
  which counts the examples of the split from 0, and a dictionary of arrays,
  equal in keys, shapes and types from example to example. All options are
  named, for `load` lists them. `path` is a folder
  or an archive for `FileTree`. Raises `FileNotFoundError` and `ValueError`.

Its `<name>_dataset_builder.py` prepares the same examples, in the same order,
for TensorFlow Datasets: one builder configuration for each of `CONFIGS`.
"""

import importlib
import inspect
import os
from collections.abc import Iterable
from typing import Any

import numpy as np

from keras_seqattn._checks import check_choice
from keras_seqattn.datasets.licences import say_licence

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
    r"""Load all examples of a split, with or without TensorFlow Datasets.

    With `path` the published files are read with NumPy. Without it,
    TensorFlow Datasets (`pip install keras_seqattn[datasets]`) downloads and
    prepares the set once, and reads the prepared files from then on; neither
    way imports TensorFlow. Both give the same arrays in the same order.

    Args:
        name: `"opportunity_gestures"`, `"primate_reaching"`,
            `"smartwatch_har"` or `"uci_har"`.
        split: The name of a split, one of `SPLITS` of the set's reader.
        path: The published archive, the folder unpacked from it, or a folder
            that holds either. For files of your own there are
            `activity.load_recordings` and `load_recording`.
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
        ImportError: No `path`, and TensorFlow Datasets cannot be imported.

    Example:
    ```python
    import pathlib
    from keras_seqattn import datasets

    # A recording of 2 s in the published form; the set has 223 such files.
    columns = "x_acc,y_acc,z_acc,x_gyro,y_gyro,z_gyro,timestamp,label"
    rows = [f"{i},0,9.8,0,0,0,{10 * i},WALKING" for i in range(200)]
    folder = pathlib.Path("DATA/s01")
    folder.mkdir(parents=True)
    (folder / "s01_01_sw.csv").write_text("\n".join([columns, *rows]))
    watch = datasets.load("smartwatch_har", path="DATA")
    print(watch["signal"].shape, watch["label"])  # (3, 100, 6) [2 2 2]
    ```
    """
    check_choice("name", name, NAMES)
    reader = importlib.import_module(f"keras_seqattn.datasets.{name}.reader")
    check_choice("split", split, reader.SPLITS)
    if config is None:
        config = next(iter(reader.CONFIGS))
    check_choice("config", config, reader.CONFIGS)
    say_licence(name, reader.LICENCE)
    if path is None:
        if options:
            raise ValueError(
                f"{sorted(options)} are options of the reader, which needs "
                "`path`; TensorFlow Datasets takes `config` alone."
            )
        return _load_prepared(name, split, config, data_dir, manual_dir)
    if data_dir is not None or manual_dir is not None:
        raise ValueError(
            "`data_dir` and `manual_dir` are for TensorFlow Datasets, and "
            "`path` is read without it: leave out either. Received: "
            f"path={path!r}, data_dir={data_dir!r}, manual_dir={manual_dir!r}"
        )
    signature = inspect.signature(reader.read_examples)
    known = [
        option.name
        for option in signature.parameters.values()
        if option.kind is option.KEYWORD_ONLY
    ]
    unknown = sorted(set(options) - set(known))
    if unknown:
        raise ValueError(
            f"{name!r} has the options {known}. Received: {unknown}"
        )
    options = {**reader.CONFIGS[config], **options}
    examples = reader.read_examples(path, split, **options)
    return _stack((e for _, e in examples), 1000, f"{os.fspath(path)!r}")


def _load_prepared(
    name: str,
    split: str,
    config: str,
    data_dir: str | os.PathLike[str] | None,
    manual_dir: str | os.PathLike[str] | None,
) -> dict[str, np.ndarray]:
    try:
        import tensorflow_datasets as tfds

        # Makes the set known to it.
        importlib.import_module(
            f"keras_seqattn.datasets.{name}.{name}_dataset_builder"
        )
    except ImportError as error:
        raise ImportError(
            "Without `path`, TensorFlow Datasets is needed, which cannot be "
            f"imported ({error}): pip install keras_seqattn[datasets]"
        ) from error
    # Its other formats cannot be read without TensorFlow.
    builder = tfds.builder(
        f"{name}/{config}", data_dir=data_dir, file_format="array_record"
    )
    builder.download_and_prepare(
        download_config=tfds.download.DownloadConfig(manual_dir=manual_dir)
    )
    source = builder.as_data_source(split)
    return _stack(source, len(source), f"the split {split!r}")


def _stack(
    examples: Iterable[dict[str, np.ndarray]], size: int, place: str
) -> dict[str, np.ndarray]:
    """Stack examples, about `size` of them, without holding them twice."""
    arrays: dict[str, np.ndarray] = {}
    count = 0
    for example in examples:
        if not arrays:
            first = {name: np.asarray(e) for name, e in example.items()}
            arrays = {
                name: np.empty((size, *value.shape), value.dtype)
                for name, value in first.items()
            }
        if count == size:
            size += size // 8 + 1
            _resize(arrays, size)
        for name, value in example.items():
            arrays[name][count] = value
        count += 1
    if not count:
        raise ValueError(f"There is no example in {place}.")
    _resize(arrays, count)
    return arrays


def _resize(arrays: dict[str, np.ndarray], size: int) -> None:
    # In place: nobody else has seen these arrays.
    for array in arrays.values():
        array.resize((size, *array.shape[1:]), refcheck=False)
