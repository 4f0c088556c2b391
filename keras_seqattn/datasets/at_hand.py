"""Published files that the user has, in TensorFlow Datasets' manual folder."""

import os
from typing import Any


def at_hand(dl_manager: Any, *patterns: str) -> os.PathLike[str] | None:
    """Find a file or folder of a set, whatever else the folder holds.

    The folder is shared by all sets (`data_dir/downloads/manual`), so a set
    takes nothing but what bears its names.

    Args:
        dl_manager: A `tfds.download.DownloadManager`.
        *patterns: Names, with `*` and `?`; the first that is there counts.

    Returns:
        Its path, or `None`.
    """
    try:
        folder = dl_manager.manual_dir
    except AssertionError:  # there is no such folder, or it is empty
        return None
    for pattern in patterns:
        for path in sorted(folder.glob(pattern)):
            return path
    return None
