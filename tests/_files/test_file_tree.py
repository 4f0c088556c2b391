import io
import os
import stat
import struct
import zipfile

import pytest

from keras_seqattn._files import file_tree
from keras_seqattn._files.file_tree import FileTree

Y = "Published Set/train/y.txt"


def archive(*files, compression=zipfile.ZIP_DEFLATED):
    """The bytes of a zip of pairs of names (or ZipInfo) and contents."""
    written = io.BytesIO()
    with zipfile.ZipFile(written, "w", compression) as file:
        for name, content in files:
            file.writestr(name, content)
    return written.getvalue()


@pytest.fixture
def write(tmp_path):
    def write(content, name="set.zip"):
        path = tmp_path / name
        path.write_bytes(content)
        return path

    return write


def read(path, name="train/y.txt", **limits):
    with FileTree(path, **limits) as tree:
        return "".join(tree.lines(name))


def test_a_folder_an_archive_and_archives_within_are_read_alike(
    tmp_path, write
):
    inner = archive((Y, "1\n2\n"), (f"__MACOSX/{Y}", "other"))
    outer = archive(("Published Set.zip", inner), ("names.txt", "x"))
    folder = tmp_path / "folder" / "Published Set" / "train"
    folder.mkdir(parents=True)
    (folder / "y.txt").write_text("1\n2\n")
    (folder / ".y.txt").write_text("hidden")
    only_zip = tmp_path / "only zip"
    only_zip.mkdir()
    (only_zip / "outer.zip").write_bytes(outer)
    for path, found in (
        (write(inner), Y),
        (write(outer, "outer.zip"), f"Published Set.zip/{Y}"),
        (only_zip, f"outer.zip/Published Set.zip/{Y}"),
        (tmp_path / "folder", Y),
        (folder.parent, "train/y.txt"),
    ):
        with FileTree(path) as tree:
            assert tree.find("train/y.txt") == found
            assert tree.matching("train/?.t*") == [found]
            assert [*tree.lines("train/y.txt")] == ["1\n", "2\n"]
            with tree.open("train/y.txt") as file:
                assert file.seek(2) == 2 and file.read() == b"2\n"
                assert file.seek(0) == 0 and file.read(1) == b"1"
            place = tree.place("train/y.txt")
            assert place.replace(os.sep, "/") == f"{path.as_posix()}/{found}"


def test_a_file_outside_archives_comes_first(tmp_path, write):
    (tmp_path / "train").mkdir()
    (tmp_path / "train" / "y.txt").write_text("unpacked")
    write(archive((Y, "packed")))
    assert read(tmp_path) == "unpacked"


def test_what_was_looked_for_before_changes_nothing(tmp_path, write):
    (tmp_path / "train").mkdir()
    (tmp_path / "train" / "y.txt").write_text("unpacked")
    write(archive((Y, "packed"), ("deeper.zip", archive((Y, "deeper")))))
    with FileTree(tmp_path) as tree:
        assert tree.matching("nothing") == []
        assert tree.find("y.txt") == "train/y.txt"
        assert tree.matching("t*/y.txt") == ["train/y.txt"]
        assert [*tree.lines("train/y.txt")] == ["unpacked"]
        # By its whole name, what lies within.
        assert [*tree.lines(f"set.zip/{Y}")] == ["packed"]
        assert [*tree.lines(f"set.zip/deeper.zip/{Y}")] == ["deeper"]


def test_nothing_is_unpacked_into_the_folder(tmp_path, write):
    read(write(archive(("inner.zip", archive((Y, "1"))))))
    assert [path.name for path in tmp_path.iterdir()] == ["set.zip"]


def test_missing_and_ambiguous_files(tmp_path, write):
    path = write(archive((Y, "1"), ("copy/train/y.txt", "2"), ("a[1].txt", "")))
    with pytest.raises(FileNotFoundError, match=r"lacks the file 'test/y\.txt"):
        read(path, "test/y.txt")
    with pytest.raises(ValueError, match=r"more than once.*Publ.*copy/train"):
        read(path)
    assert read(path, "copy/train/y.txt") == "2"
    # A part of a name is no name, and brackets are no pattern.
    with pytest.raises(FileNotFoundError):
        read(path, "rain/y.txt")
    assert read(path, "a[1].txt") == ""
    with pytest.raises(FileNotFoundError, match="no folder and no archive"):
        FileTree(tmp_path / "none")


def test_cut_short(write):
    whole = archive((Y, "1 2 3\n" * 1000))
    for length in (0, 10, len(whole) // 2, len(whole) - 1):
        with pytest.raises(ValueError, match=r"complete zip archive.*cut"):
            read(write(whole[:length]))


def test_a_changed_byte(write):
    # Stored, so that the checksum alone tells.
    whole = archive((Y, "1 2 3\n" * 9), compression=zipfile.ZIP_STORED)
    damaged = whole.replace(b"1 2 3\n1", b"1 2 3\n7", 1)
    with pytest.raises(ValueError, match=r"y\.txt' cannot be read.*Bad CRC"):
        read(write(damaged))
    with FileTree(write(damaged)) as tree:
        with pytest.raises(ValueError, match="cannot be read"):
            tree.open("train/y.txt")
    packed = archive((Y, "1 2 3\n" * 9))
    start = packed.index(b"y.txt") + 5
    packed = packed[:start] + b"\xff\xff" + packed[start + 2 :]
    with pytest.raises(ValueError, match="cannot be read"):
        read(write(packed))


def test_a_member_that_declares_too_much_or_too_little(write):
    whole = archive((Y, "0" * 5000))
    with pytest.raises(ValueError, match="unpack to 5000 bytes, more than"):
        read(write(whole), max_bytes=4999)
    assert len(read(write(whole), max_bytes=5000)) == 5000

    def declare(size):
        entry = whole.index(b"PK\x01\x02") + 24
        return whole[:entry] + struct.pack("<I", size) + whole[entry + 4 :]

    with pytest.raises(ValueError, match="unpack to 4000000000 bytes"):
        read(write(declare(4_000_000_000)))
    with pytest.raises(ValueError, match="unpack to 4000000000 bytes"):
        with FileTree(write(declare(4_000_000_000))) as tree:
            tree.open(Y)
    with pytest.raises(ValueError, match="cannot be read"):
        read(write(declare(100)))
    # The same for an archive in the archive.
    with pytest.raises(ValueError, match=r"would unpack to more.*inner\.zip"):
        read(write(archive(("inner.zip", whole))), max_bytes=20)


def test_archives_within_share_a_limit(write):
    inner = archive((Y, "0" * 900), compression=zipfile.ZIP_STORED)
    path = write(archive(*((f"{i}.ZIP", inner) for i in range(3))))
    total = 3 * len(inner)
    with FileTree(path, max_bytes=total) as tree:
        assert len(tree.matching("train/y.txt")) == 3
    with FileTree(path, max_bytes=total - 1) as tree:
        with pytest.raises(ValueError, match=r"unpack to more.*to '.*2\.ZIP'"):
            tree.matching("train/y.txt")


@pytest.mark.parametrize(
    "name", ["../y.txt", "a/../../y.txt", "/y.txt", "..\\y.txt", "C:/y.txt"]
)
def test_names_that_lead_out(write, name):
    content = archive((Y, "1"), (name, "2"))
    with pytest.raises(ValueError, match="a name that leads out of it"):
        read(write(content))
    with pytest.raises(ValueError, match="a name that leads out of it"):
        read(write(archive(("inner.zip", content))))


def test_links_and_names_twice(write):
    link = zipfile.ZipInfo("Published Set/train/y.txt")
    link.external_attr = (stat.S_IFLNK | 0o777) << 16
    with pytest.raises(ValueError, match="holds a link"):
        read(write(archive((link, "/etc/passwd"))))
    with pytest.warns(UserWarning, match="Duplicate name"):
        twice = archive((Y, "1"), (Y, "2"))
    with pytest.raises(ValueError, match="two files of one name"):
        read(write(twice))


def test_a_folder_of_too_many_files(tmp_path, monkeypatch):
    monkeypatch.setattr(file_tree, "MAX_FILES", 3)
    for number in range(3):
        (tmp_path / f"{number}.txt").touch()
    FileTree(tmp_path)
    (tmp_path / "3.txt").touch()
    with pytest.raises(ValueError, match=r"more than 3 files. Give the folder"):
        FileTree(tmp_path)
