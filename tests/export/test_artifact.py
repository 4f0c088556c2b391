import json
import pathlib

import pytest

from keras_seqattn.export import artifact
from keras_seqattn.export.request import Request
from tests.export import models

PREPROCESSING = models.PREPROCESSING.to_dict()


@pytest.fixture(params=["saved_model", "onnx"])
def export(request, monkeypatch, tmp_path):
    """Export a text in place of an artifact, to `tmp_path / "new"`."""
    ending = {"saved_model": "", "onnx": ".onnx"}[request.param]
    path = tmp_path / "new" / f"model{ending}"
    file = path if ending else path / "saved_model.pb"
    monkeypatch.setattr(artifact, "largest_difference", lambda *_: 0.0)

    def run(text, preprocessing=None):
        def write(model, named, scratch, _):
            if not ending:
                scratch.mkdir()
                scratch /= "saved_model.pb"
            scratch.write_text(text)

        monkeypatch.setattr(artifact, "write", write)
        asked = Request(request.param, preprocessing=preprocessing)
        artifact.export(models.decoder(), path, asked, 1e-4)

    return run, path, file


def names(path):
    return sorted(x.name for x in path.parent.iterdir())


def test_the_json_beside_is_that_of_the_artifact(export):
    run, path, file = export
    run("one", PREPROCESSING)
    beside = path.with_name(f"{path.name}.json")
    assert json.loads(beside.read_text()) == PREPROCESSING
    run("two", {**PREPROCESSING, "window": 21})
    assert json.loads(beside.read_text())["window"] == 21
    run("three")
    assert (file.read_text(), names(path)) == ("three", [path.name])


def test_a_json_of_others_is_left_alone(export):
    run, path, file = export
    run("one")
    beside = path.with_name(f"{path.name}.json")
    for text in ("my settings", '{"mine": 1}', "3"):
        beside.write_text(text)
        with pytest.raises(FileExistsError, match="else than a preprocessing"):
            run("two", PREPROCESSING)
        assert (file.read_text(), beside.read_text()) == ("one", text)
    run("three")
    assert (file.read_text(), beside.read_text()) == ("three", text)


@pytest.mark.parametrize("fails", ["artifact", "beside"])
def test_a_failing_rename_leaves_what_there_was(fails, export, monkeypatch):
    run, path, file = export
    replace = pathlib.Path.replace

    def fail(self, target):
        if self.name == fails:
            raise OSError("the disk is gone")
        return replace(self, target)

    with monkeypatch.context() as patch, pytest.raises(OSError, match="gone"):
        patch.setattr(pathlib.Path, "replace", fail)
        run("one", PREPROCESSING)
    assert names(path) == []
    run("one", PREPROCESSING)
    before = names(path)
    with monkeypatch.context() as patch, pytest.raises(OSError, match="gone"):
        patch.setattr(pathlib.Path, "replace", fail)
        run("two", {**PREPROCESSING, "window": 21})
    assert (file.read_text(), names(path)) == ("one", before)
    beside = path.with_name(f"{path.name}.json")
    assert json.loads(beside.read_text()) == PREPROCESSING


def test_a_failed_export_makes_no_directory(export, monkeypatch, tmp_path):
    run, _, _ = export
    monkeypatch.setattr(artifact, "largest_difference", lambda *_: 1.0)
    with pytest.raises(RuntimeError, match="gives other numbers"):
        run("one")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["m", "m.onnx", "m.tflite"])
def test_below_a_file_nothing_is_written(tmp_path, name):
    """Told at once, and not by whoever makes the folder in the end."""
    (tmp_path / "file").write_text("theirs")
    kind = {"m": "saved_model", "m.onnx": "onnx", "m.tflite": "litert"}[name]
    request = Request(kind)
    for path in (tmp_path / "file" / name, tmp_path / "file" / "a" / name):
        with pytest.raises(NotADirectoryError, match="is a file, so nothing"):
            request.check_path(path)
    request.check_path(tmp_path / "a" / "b" / name)
    request.check_path(pathlib.Path(name))
    assert (tmp_path / "file").read_text() == "theirs"
