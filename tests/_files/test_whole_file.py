import os
import stat

import pytest

from keras_seqattn._files.whole_file import whole_file


def mode(path):
    return stat.S_IMODE(os.stat(path).st_mode)


def test_permissions_and_links_stay(tmp_path):
    path, link = tmp_path / "file", tmp_path / "link"
    path.write_text("old")
    path.chmod(0o600)
    link.symlink_to(path)
    with whole_file(link) as scratch:
        scratch.write_text("new")
    assert link.is_symlink() and path.read_text() == "new"
    assert mode(path) == 0o600


def test_a_failed_write_changes_nothing(tmp_path):
    path = tmp_path / "file"
    path.write_text("old")
    with pytest.raises(OSError, match="full"):
        with whole_file(path) as scratch:
            scratch.write_text("half")
            raise OSError("full")
    assert [p.name for p in tmp_path.iterdir()] == ["file"]
    assert path.read_text() == "old"
