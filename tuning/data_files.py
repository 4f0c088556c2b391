"""A file or folder of data on its way to a machine that does not have it."""

import atexit
import functools
import pathlib
import shutil
import tempfile
from typing import NamedTuple


class DataFiles(NamedTuple):
    """A file or a folder.

    Attributes:
        name: Its last name.
        contents: Path within the folder and bytes of each file; `""` is the
            path of a single file.
    """

    name: str
    contents: tuple[tuple[str, bytes], ...]


def read_files(data: str | None) -> DataFiles | None:
    """Read a file, or a folder with all that is in it.

    Returns:
        `None` for what is no path, as the name of a generated task.
    """
    if data is None or not pathlib.Path(data).exists():
        return None
    root = pathlib.Path(data).resolve()
    if root.is_file():
        return DataFiles(root.name, (("", root.read_bytes()),))
    contents = tuple(
        (path.relative_to(root).as_posix(), path.read_bytes())
        for path in sorted(root.rglob("*"))
        if path.is_file()
    )
    return DataFiles(root.name, contents)


@functools.lru_cache
def unpacked(files: DataFiles) -> str:
    """Return the path of the data, written once for all trials of a process.

    They are removed when the process ends.
    """
    folder = tempfile.mkdtemp(prefix="keras_seqattn_")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    root = pathlib.Path(folder, files.name)
    for name, content in files.contents:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return str(root)
