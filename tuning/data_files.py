"""A file or folder of data on its way to a machine that does not have it."""

import os
import pathlib
from typing import NamedTuple


class DataFiles(NamedTuple):
    """A file or a folder.

    Attributes:
        name: Its last name; or of what is no path, as a generated task, all.
        contents: Bytes by path within the folder; a file's path is `""`.
    """

    name: str
    contents: dict[str, bytes]


def read_files(data: str) -> DataFiles:
    """Read a file, or a folder with all that is in it."""
    root = pathlib.Path(data)
    if root.is_file():
        return DataFiles(root.name, {"": root.read_bytes()})
    if root.is_dir():
        contents = {
            path.relative_to(root).as_posix(): path.read_bytes()
            for path in sorted(root.rglob("*"))
            if path.is_file()
        }
        return DataFiles(root.name, contents)
    return DataFiles(data, {})


def write_files(files: DataFiles, folder: str | os.PathLike[str]) -> str:
    """Write what was read into a folder, and return its path there."""
    if not files.contents:
        return files.name
    root = pathlib.Path(folder) / files.name
    for name, content in files.contents.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return str(root)
