"""A file that is there as a whole, or as it was before."""

import contextlib
import os
import pathlib
import shutil
from collections.abc import Iterator


@contextlib.contextmanager
def whole_file(path: str | os.PathLike[str]) -> Iterator[pathlib.Path]:
    """Write beside a file, and take its place in the end.

    Its permissions stay as they are, and so does a link to it: what it
    points to is replaced.

    Args:
        path: The file.

    Yields:
        Where to write.

    Raises:
        OSError: It cannot be written there. The file is as it was.
    """
    path = pathlib.Path(os.path.realpath(path))
    scratch = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        yield scratch
        if path.exists():
            shutil.copymode(path, scratch)
        scratch.replace(path)
    finally:
        scratch.unlink(missing_ok=True)
