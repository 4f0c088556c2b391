"""Files of a folder or of a zip archive, read in place and with care."""

import contextlib
import dataclasses
import fnmatch
import functools
import io
import lzma
import os
import shutil
import stat
import tempfile
import zipfile
import zlib
from collections.abc import Callable
from collections.abc import Iterator
from types import TracebackType
from typing import IO

# No file of the data sets here is as large when unpacked, nor are the archives
# within archives together.
MAX_BYTES = 2**31
# A folder with more files is not a data set but, say, a home folder.
MAX_FILES = 100_000
# A folder may hold a zip, which may hold another: UCI's archives do.
MAX_DEPTH = 2

# What zipfile and its decompressors raise on a damaged member.
_DAMAGED = (
    zipfile.BadZipFile,
    zlib.error,
    lzma.LZMAError,
    EOFError,
    OSError,
    NotImplementedError,
    RuntimeError,
)


@dataclasses.dataclass(frozen=True)
class _File:
    """A file, unpacked or not: where it is, its size, how to open it.

    `depth` counts the archives around it, without the one that was given.
    """

    place: str
    size: int | None
    open: Callable[[], IO[bytes]]
    depth: int = 0


class FileTree:
    """The files of a folder or of a zip archive, found by their last parts.

    Nothing is unpacked into a folder. Zip archives within are looked through
    where a file is not found outside them. `__MACOSX` and hidden files are
    left out. Links in a folder are the user's own: those to files are read.

    Args:
        path: A folder or a zip archive.
        max_bytes: Largest size of a file in an archive, unpacked, and of all
            archives within together.

    Raises:
        FileNotFoundError: There is nothing at `path`.
        ValueError: It is neither a folder nor a complete zip archive, or the
            archive holds links or names that lead out of it.

    Example:
    ```python
    import zipfile
    from keras_seqattn._files.file_tree import FileTree

    with zipfile.ZipFile("set.zip", "w") as archive:
        archive.writestr("Published Set/train/y.txt", "1 2 3")
    with FileTree("set.zip") as tree:
        print(tree.find("train/y.txt"))  # Published Set/train/y.txt
        print([*tree.lines("train/y.txt")])  # ['1 2 3']
    ```
    """

    def __init__(
        self, path: str | os.PathLike[str], max_bytes: int = MAX_BYTES
    ) -> None:
        self.path = os.fspath(path)
        self.max_bytes = max_bytes
        self._inner_bytes = 0
        self._stack = contextlib.ExitStack()
        self._depth = 0
        if not os.path.exists(self.path):
            raise FileNotFoundError(
                f"There is no folder and no archive at {self.path!r}."
            )
        try:
            self._files = (
                _folder(self.path)
                if os.path.isdir(self.path)
                else self._archive(self.path, self.path)
            )
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> "FileTree":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the archives."""
        self._stack.close()

    def matching(self, pattern: str) -> list[str]:
        """Return the names, sorted, whose last parts match a pattern.

        Those in archives within count where none outside them matches.

        Args:
            pattern: Parts of a path, joined by `/`, with `*` and `?` within
                a part: `"S?-*.dat"`, `"train/*.txt"`.
        """
        parts = pattern.split("/")

        def matches(name: str) -> bool:
            last = name.split("/")[-len(parts) :]
            return len(last) == len(parts) and all(
                map(fnmatch.fnmatchcase, last, parts)
            )

        found = sorted(filter(matches, self._files))
        while not found and self._look_deeper():
            found = sorted(filter(matches, self._files))
        # They may have been looked through for another pattern.
        depth = min((self._files[name].depth for name in found), default=0)
        return [name for name in found if self._files[name].depth == depth]

    def find(self, name: str) -> str:
        """Return the one name that ends in `name`, whole parts of a path.

        Raises:
            FileNotFoundError: There is none.
            ValueError: There are several.
        """
        found = [name] if name in self._files else self.matching(name)
        if not found:
            raise FileNotFoundError(
                f"{self.path!r} lacks the file {name!r}. It must be the "
                "published archive, or the folder unpacked from it. It holds "
                f"{len(self._files)} files: {sorted(self._files)[:5]} ..."
            )
        if len(found) > 1:
            raise ValueError(
                f"{self.path!r} holds {name!r} more than once; give the "
                f"folder or archive that holds one of them: {found}"
            )
        return found[0]

    def place(self, name: str) -> str:
        """Return where a file is, for messages."""
        return self._files[self.find(name)].place

    def open(self, name: str) -> IO[bytes]:
        """Open a file, found as by `find`, for reading at any position.

        A file in an archive is first copied, and its checksum compared, to a
        temporary file that vanishes when it is closed.

        Raises:
            FileNotFoundError: There is no such file.
            ValueError: Several, or one that is damaged or too large.
        """
        return self._open(self._files[self.find(name)])

    def lines(self, name: str) -> Iterator[str]:
        """Read a text file, found as by `find`, line by line.

        A checksum is compared at the end: what is made of the lines before
        must not outlive an error.

        Raises:
            FileNotFoundError: There is no such file.
            ValueError: Several, or one that is damaged or too large.
        """
        file = self._files[self.find(name)]
        with (
            self._clear_errors(file),
            file.open() as stream,
            io.TextIOWrapper(stream, "utf-8-sig", errors="replace") as text,
        ):
            yield from text

    def _open(self, file: _File) -> IO[bytes]:
        if file.size is None:
            return file.open()
        copy = tempfile.TemporaryFile()
        try:
            with self._clear_errors(file), file.open() as packed:
                shutil.copyfileobj(packed, copy, 2**20)
            copy.seek(0)
        except BaseException:
            copy.close()
            raise
        return copy

    @contextlib.contextmanager
    def _clear_errors(self, file: _File) -> Iterator[None]:
        """Check the size, and say of damaged data where and what they are."""
        if file.size is not None and file.size > self.max_bytes:
            raise ValueError(
                f"{file.place!r} would unpack to {file.size} bytes, more than "
                f"the {self.max_bytes} that are allowed. Is it the original "
                "archive?"
            )
        try:
            yield
        except _DAMAGED as error:
            raise ValueError(
                f"{file.place!r} cannot be read; it may be cut short or "
                "damaged: fetch it again. "
                f"Received: {error or type(error).__name__}"
            ) from error

    def _archive(self, source: str | IO[bytes], place: str) -> dict[str, _File]:
        """List the files of a zip archive, and keep it open."""
        try:
            archive = self._stack.enter_context(zipfile.ZipFile(source))
        except _DAMAGED as error:
            raise ValueError(
                f"{place!r} is neither a folder nor a complete zip archive; "
                "if it was fetched, it may be cut short: fetch it again. "
                f"Received: {error}"
            ) from error
        files: dict[str, _File] = {}
        for info in archive.infolist():
            name = info.filename.replace("\\", "/")
            parts = name.split("/")
            if ".." in parts or name.startswith("/") or ":" in parts[0]:
                raise ValueError(
                    f"{place!r} holds a name that leads out of it, so it is "
                    f"not read. Received: {info.filename!r}"
                )
            if stat.S_ISLNK(info.external_attr >> 16):
                raise ValueError(
                    f"{place!r} holds a link, so it is not read. "
                    f"Received: {info.filename!r}"
                )
            if info.is_dir() or _is_hidden(parts):
                continue
            if name in files:
                raise ValueError(
                    f"{place!r} holds two files of one name, so it is not "
                    f"read. Received: {info.filename!r}"
                )
            files[name] = _File(
                f"{place}/{name}",
                info.file_size,
                functools.partial(archive.open, info),
            )
        return files

    def _look_deeper(self) -> bool:
        """List the archives among the files too; False if there are none."""
        archives = [
            name for name in self._files if name.lower().endswith(".zip")
        ]
        if self._depth == MAX_DEPTH or not archives:
            return False
        self._depth += 1
        for name in archives:
            packed = self._files.pop(name)
            # They stay on the disk, as temporary files, until `close`.
            self._inner_bytes += packed.size or 0
            if self._inner_bytes > self.max_bytes:
                raise ValueError(
                    f"The archives within {self.path!r} would unpack to more "
                    f"than the {self.max_bytes} bytes that are allowed. "
                    "Is it the original archive? Received: "
                    f"{self._inner_bytes} bytes up to {packed.place!r}"
                )
            source = self._stack.enter_context(self._open(packed))
            for inner, file in self._archive(source, packed.place).items():
                self._files[f"{name}/{inner}"] = dataclasses.replace(
                    file, depth=self._depth
                )
        return True


def _folder(root: str) -> dict[str, _File]:
    files: dict[str, _File] = {}
    for folder, _, names in os.walk(root):
        for base in names:
            path = os.path.join(folder, base)
            parts = os.path.relpath(path, root).split(os.sep)
            if not _is_hidden(parts):
                files["/".join(parts)] = _File(
                    path, None, functools.partial(_open_file, path)
                )
        if len(files) > MAX_FILES:
            raise ValueError(
                f"{root!r} holds more than {MAX_FILES} files. Give the folder "
                "of the data set itself."
            )
    return files


def _open_file(path: str) -> IO[bytes]:
    return open(path, "rb")


def _is_hidden(parts: list[str]) -> bool:
    return any(part == "__MACOSX" or part.startswith(".") for part in parts)
