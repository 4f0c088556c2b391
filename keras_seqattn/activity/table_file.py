"""CSV files as people have them, as text in a pandas frame."""

import bz2
import gzip
import io
import lzma
import warnings
import zipfile
import zlib
from typing import IO
from typing import Any

SUFFIXES = (".csv", ".tsv")
PACKED = (".gz", ".bz2", ".xz", ".zip")
MAX_BYTES = 2**31
_MARKS = (
    (b"\xef\xbb\xbf", "utf-8-sig"),
    (b"\xff\xfe", "utf-16"),
    (b"\xfe\xff", "utf-16"),
)


def pandas() -> Any:
    """Import pandas, or say how to get it."""
    try:
        import pandas as module
    except ImportError as error:
        raise ImportError(
            "Tables are read by pandas: pip install keras_seqattn[activity]"
        ) from error
    return module


def is_table(path: str) -> bool:
    """Whether a path is called as a CSV file is, packed or not."""
    name = path.lower()
    for suffix in PACKED:
        name = name.removesuffix(suffix)
    return name.endswith(SUFFIXES)


def read_table(path: str) -> Any:
    """Read a CSV file: every cell as text, the index its line in the file.

    Args:
        path: UTF-8, UTF-16 or Latin-1, between `,`, `;` or tabs, maybe
            compressed (.gz, .bz2, .xz, or a .zip with one file).

    Raises:
        ValueError: It is empty, damaged, or has rows of unequal length.
    """
    text = _text(_unpacked(path), path)
    first = next((line for line in text.splitlines() if line.strip()), "")
    if not first:
        raise ValueError(
            f"{path!r} must begin with a row of names. Received: nothing"
        )
    separator = max("\t;,|", key=first.count)
    table = _parse(text, separator, path)
    blank = (table.isna() | (table == "")).all(axis=1)
    table = table[~blank]
    names = [str(name).strip() for name in table.iloc[0]]
    body = table.iloc[1:]
    _check_lengths(body, text.splitlines(), separator, path)
    body.columns = names
    kept_columns = [
        bool(name) or not _says_nothing(body.iloc[:, i], first=i == 0)
        for i, name in enumerate(names)
    ]
    body = body.loc[:, kept_columns]
    kept = list(body.columns)
    if "" in kept or len(set(kept)) != len(kept) or not len(body):
        raise ValueError(
            f"{path!r} must begin with a row of distinct names, and hold a "
            f"row more. Received: {len(body) + 1} rows, the first is {kept}"
        )
    return body


def _says_nothing(nameless: Any, first: bool) -> bool:
    """Of a separator at the end of rows, or a frame's own count of rows."""
    pattern = r"\d+(\.0)?" if first else ""
    return bool(nameless.str.fullmatch(f"({pattern})|").all())


def _check_lengths(
    body: Any, lines: list[str], separator: str, path: str
) -> None:
    """Raise if a row ends before its last entry: pandas fills it up."""
    width = body.shape[1]
    last = body.iloc[:, -1]
    for row in body.index[last.isna() | (last == "")]:
        entries = lines[row - 1].count(separator) + 1
        if entries < width:
            raise ValueError(
                f"{path!r} must have {width} entries a row, as many as the "
                f"first. Received: {entries} in row {row}"
            )


def _parse(text: str, separator: str, path: str) -> Any:
    pd = pandas()
    body = text.lstrip("\r\n")
    before = len(text[: len(text) - len(body)].splitlines())
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", pd.errors.ParserWarning)
            table = pd.read_csv(
                io.StringIO(body),
                sep=separator,
                header=None,
                dtype=str,
                keep_default_na=False,
                skip_blank_lines=False,
                index_col=False,
                skipinitialspace=True,
            )
    except (
        pd.errors.EmptyDataError,
        pd.errors.ParserError,
        pd.errors.ParserWarning,
    ) as error:
        raise ValueError(
            f"{path!r} must have as many entries in each row as in the first. "
            f"Received: {error}"
        ) from error
    table.index += 1 + before
    return table


def _unpacked(path: str) -> bytes:
    try:
        with open(path, "rb") as file:
            start = file.read(6)
            file.seek(0)
            content = _stream(file, start, path).read(MAX_BYTES + 1)
    except (
        zipfile.BadZipFile,
        lzma.LZMAError,
        zlib.error,
        EOFError,
        RuntimeError,
        NotImplementedError,
        OSError,
    ) as error:
        # Of a damaged .bz2 file it is an OSError without a number.
        if isinstance(error, OSError) and error.errno is not None:
            raise
        raise ValueError(
            f"{path!r} cannot be unpacked: it is damaged or encrypted. Copy or "
            f"fetch it again. Received: {error}"
        ) from error
    if len(content) > MAX_BYTES:
        raise ValueError(
            f"{path!r} is too large. Received: more than {MAX_BYTES:,} bytes"
        )
    return content


def _stream(file: IO[bytes], start: bytes, path: str) -> IO[bytes]:
    if start.startswith(b"\x1f\x8b"):
        return gzip.open(file)  # type: ignore[return-value]
    if start.startswith(b"BZh"):
        return bz2.open(file)
    if start.startswith(b"\xfd7zXZ"):
        return lzma.open(file)
    if start.startswith(b"PK"):
        archive = zipfile.ZipFile(file)
        names = [
            name
            for name in archive.namelist()
            if is_table(name) and not name.startswith("__MACOSX")
        ]
        if len(names) != 1:
            raise ValueError(
                f"{path!r} must hold one CSV file. Unpack it, and give the "
                f"folder. Received: {names[:9]}"
            )
        return archive.open(names[0])
    return file


def _text(content: bytes, path: str) -> str:
    encoding = next((e for mark, e in _MARKS if content.startswith(mark)), "")
    if not encoding:
        encoding = "utf-8"
        if b"\0" in content[:200]:
            # Of UTF-16 without a mark, every other byte is zero.
            encoding = "utf-16-be" if content[:1] == b"\0" else "utf-16-le"
    try:
        text = content.decode(encoding)
    except UnicodeDecodeError as error:
        if encoding != "utf-8":
            raise ValueError(
                f"{path!r} is no text. Received: {error}"
            ) from error
        text = content.decode("latin-1")
    if "\0" in text:
        raise ValueError(f"{path!r} is no text. Received: zero bytes")
    return text
