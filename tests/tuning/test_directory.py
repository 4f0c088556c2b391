import dataclasses
import errno
import fcntl
import os
import pathlib
import socket

import keras
import pytest

from tuning import directory
from tuning.directory import SearchError
from tuning.directory import claimed
from tuning.directory import read_json
from tuning.directory import write_atomically
from tuning.settings import Settings


@pytest.fixture
def settings(tmp_path):
    return Settings(
        stem="tests.tuning.small_stem",
        directory=str(tmp_path / "search"),
        backend=keras.backend.backend(),
    )


def begin(settings):
    """Leave a search behind."""
    with claimed(settings, resume=False) as keep_settings:
        keep_settings()
        write_atomically(f"{settings.directory}/trials/oracle.json", "{}")


def test_two_searches_on_one_directory_refuse(settings):
    with claimed(settings, resume=False):
        with pytest.raises(SearchError, match="Another search runs") as error:
            with claimed(settings, resume=True):
                pass
        assert f"process {os.getpid()} on {socket.gethostname()}" in str(
            error.value
        )
    with claimed(settings, resume=True):
        pass


def test_a_used_directory_needs_resume(settings):
    begin(settings)
    with pytest.raises(SearchError, match=r"a search in .* already.*--resume"):
        with claimed(settings, resume=False):
            pass
    with claimed(settings, resume=True):
        pass


def test_other_settings_refuse_and_are_named(settings):
    begin(settings)
    other = dataclasses.replace(settings, seeds=(0, 1), space="faults")
    with pytest.raises(SearchError) as error:
        with claimed(other, resume=True):
            pass
    message = str(error.value)
    assert "seeds is [0] there and [0, 1] here" in message
    assert "space is 'modern' there and 'faults' here" in message
    assert "tuner" not in message
    fewer = dataclasses.replace(settings, max_trials=19)
    with pytest.raises(SearchError, match="max_trials is 20 there and 19"):
        with claimed(fewer, resume=True):
            pass
    more = dataclasses.replace(settings, max_trials=21)
    path = f"{settings.directory}/settings.json"
    with claimed(more, resume=True) as keep_settings:
        # The trials may still turn out to be damaged.
        assert read_json(path)["max_trials"] == 20
        keep_settings()
    assert read_json(path)["max_trials"] == 21


def test_a_search_without_a_trial_leaves_the_directory_free(settings):
    with claimed(settings, resume=False) as keep_settings:
        keep_settings()
    other = dataclasses.replace(settings, space="faults")
    with claimed(other, resume=False):
        pass


def test_resuming_nothing_begins(settings):
    with claimed(settings, resume=True) as keep_settings:
        keep_settings()
        assert os.path.exists(f"{settings.directory}/settings.json")


def test_a_full_disk_says_so_and_leaves_the_file(tmp_path):
    path = tmp_path / "file.json"
    write_atomically(path, "before")
    # A device that is always full.
    os.symlink("/dev/full", tmp_path / "file.json.part")
    with pytest.raises(SearchError, match=r"No space left .*safe.*--resume"):
        write_atomically(path, "after")
    assert path.read_text() == "before"
    assert os.listdir(tmp_path) == ["file.json"]
    write_atomically(path, "after")
    assert path.read_text() == "after"


def test_a_directory_that_refuses_says_so(settings, monkeypatch, tmp_path):
    (tmp_path / "file").write_text("")
    below = dataclasses.replace(settings, directory=str(tmp_path / "file/x"))
    with pytest.raises(SearchError, match=r"Cannot use .*Not a directory"):
        with claimed(below, resume=False):
            pass

    def refuse(*arguments, **keywords):
        raise PermissionError(errno.EACCES, "Permission denied")

    with monkeypatch.context() as patch:
        patch.setattr(directory.pathlib.Path, "mkdir", refuse)
        with pytest.raises(SearchError, match=r"Cannot use .*Permission"):
            with claimed(settings, resume=False):
                pass
    with monkeypatch.context() as patch:
        patch.setattr(directory.pathlib.Path, "exists", refuse)
        with pytest.raises(SearchError, match=r"Cannot read .*Permission"):
            directory.read_settings(settings.directory)


def test_a_file_system_without_locks_says_so(settings, monkeypatch):
    def none(*arguments):
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "flock", none)
    with pytest.raises(SearchError, match="has no locks: No locks available"):
        with claimed(settings, resume=False):
            pass


def test_a_damaged_or_missing_file_is_named(settings):
    begin(settings)
    path = f"{settings.directory}/settings.json"
    for text in ('{"stem": ', '{"max_trials": "a"}'):
        pathlib.Path(path).write_text(text)
        with pytest.raises(SearchError, match=r"settings\.json' is damaged"):
            with claimed(settings, resume=True):
                pass
    os.remove(path)
    with pytest.raises(SearchError, match=r"Cannot read .*No such file"):
        with claimed(settings, resume=True):
            pass


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"stem": "decoder"}, "`stem` must be one of"),
        ({"space": "wide"}, "`space` must be one of .*modern"),
        ({"tuner": "genetic"}, "`tuner` must be one of"),
        ({"backend": "mxnet"}, "`backend` must be one of"),
        ({"max_trials": 0}, "`max_trials` must be a positive integer"),
        ({"epochs": 0}, "`epochs` must be a positive integer"),
        ({"seed": -1}, "`seed` must be an integer that is not negative"),
        ({"seeds": ()}, "`seeds` must hold at least one"),
        ({"seeds": (1, 1)}, "`seeds` must hold .* none twice"),
        ({"seeds": (-1,)}, "`seeds` must be an integer that is not negative"),
    ],
)
def test_settings_out_of_range(settings, change, message):
    with pytest.raises(ValueError, match=message):
        dataclasses.replace(settings, **change)


@pytest.mark.parametrize(
    "files",
    [
        {"results.csv": "mine"},
        {"settings.json": '{"mine": 1}'},
        {"settings.json": "[]"},
        {"lock": "my own notes"},
        {"trials/trial_0/trial.json": "{}"},
        {"best_model.keras": ""},
    ],
)
def test_others_files_are_left_alone(settings, files):
    folder = pathlib.Path(settings.directory)
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    before = sorted(folder.rglob("*"))
    for resume in (False, True):
        with pytest.raises(SearchError):
            with claimed(settings, resume):
                pass
    assert sorted(folder.rglob("*")) == before
    assert all((folder / name).read_text() == t for name, t in files.items())


def test_a_lock_that_is_a_link_is_not_followed(settings, tmp_path):
    target = tmp_path / "target"
    target.write_text("")
    folder = pathlib.Path(settings.directory)
    folder.mkdir()
    (folder / "lock").symlink_to(target)
    with pytest.raises(SearchError):
        with claimed(settings, resume=False):
            pass
    assert target.read_text() == ""
    begin_again = folder / "lock"
    begin_again.unlink()
    begin(settings)
    begin_again.unlink()
    begin_again.symlink_to(target)
    with pytest.raises(SearchError, match="Cannot use"):
        with claimed(settings, resume=True):
            pass
    assert target.read_text() == ""


def test_a_search_that_died_at_once_can_begin_again(settings):
    with claimed(settings, resume=False) as keep_settings:
        keep_settings()  # Before its first trial.
    with claimed(settings, resume=False):
        pass


@pytest.mark.parametrize("text", ["[]", "null", "3", '"a"', "{}"])
def test_json_of_another_shape_is_told_by_its_file(tmp_path, text):
    path = tmp_path / "oracle.json"
    path.write_text(text)
    with pytest.raises(SearchError, match=r"oracle\.json.* is damaged"):
        read_json(path, {"start_order": [str]})


@pytest.mark.parametrize(
    "shape, message",
    [
        ({"a": int}, "'a' must be int, not"),
        ({"a": [int]}, "an entry of 'a' must be int, not 'x'"),
        ({"a": [{"b": int}]}, "an entry of 'a' must be dict"),
        ({"a": [str | int], "c": int}, "the whole lacks 'c'"),
        ({str: dict}, "'a' must be dict, not"),
        ({"a": [str | int]}, None),
        ({str: list}, None),
    ],
)
def test_json_has_a_shape(tmp_path, shape, message):
    path = tmp_path / "some.json"
    path.write_text('{"a": [1, "x"]}')
    if message is None:
        assert read_json(path, shape) == {"a": [1, "x"]}
        return
    with pytest.raises(SearchError, match=message):
        read_json(path, shape)
