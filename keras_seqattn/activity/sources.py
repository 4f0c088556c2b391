"""Which kind of recordings a path is."""

import os

from keras_seqattn._files.array_file import ArrayFile
from keras_seqattn._files.file_tree import FileTree
from keras_seqattn.activity.csv_file import load_csv
from keras_seqattn.activity.npz_files import load_continuous
from keras_seqattn.activity.npz_files import load_windows
from keras_seqattn.activity.seglearn_watch import load_seglearn_watch
from keras_seqattn.windows.activity_windows import ActivityWindows


def load_activity(
    path: str | os.PathLike[str] | None = None, part: str = "train"
) -> ActivityWindows:
    """Read activity recordings of any known kind.

    Args:
        path: The archive of UCI HAR or of the smartwatch set of Matey-Sanz
            et al., or its folder; an `.npz` file with windows
            (`load_windows`) or with continuous, labelled recordings
            (`load_continuous`); a `.csv` file with such recordings
            (`load_csv`); or a copy of seglearn's `.npy` file. Default: the
            recordings that the package seglearn ships (`load_seglearn_watch`).
        part: `"train"` or `"test"`: which part of UCI HAR.

    Returns:
        An `ActivityWindows`.

    Raises:
        FileNotFoundError: There is nothing at `path`, or a file is missing
            from a folder or an archive.
        ValueError: It is none of the above, or damaged.
    """
    if path is None:
        return load_seglearn_watch()
    path = os.fspath(path)
    if not os.path.exists(path):
        raise FileNotFoundError(f"There are no recordings at {path!r}.")
    if path.lower().endswith(".npy"):
        return load_seglearn_watch(path)
    if path.lower().endswith(".csv"):
        return load_csv(path)
    if path.lower().endswith(".npz"):
        return _load_npz(path)
    return _load_published(path, part)


def _load_npz(path: str) -> ActivityWindows:
    with ArrayFile(path) as file:
        continuous = "label" in file
    return load_continuous(path) if continuous else load_windows(path)


def _load_published(path: str, part: str) -> ActivityWindows:
    # Here, since `keras_seqattn.datasets` is imported when it is used.
    from keras_seqattn.datasets.licences import say_licence
    from keras_seqattn.datasets.smartwatch_har import reader as smartwatch
    from keras_seqattn.datasets.uci_har import reader as uci_har

    with FileTree(path) as tree:
        if tree.matching(smartwatch.FILES):
            say_licence("smartwatch_har", smartwatch.LICENCE)
            return smartwatch.read_windows(tree)
        say_licence("uci_har", uci_har.LICENCE)
        return uci_har.read_windows(tree, part)
