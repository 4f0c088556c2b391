import json
import zipfile

import keras
import pytest

from keras_seqattn.export import __main__ as command_line
from keras_seqattn.export.keras_file import load_keras_file
from tests.export import models


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    path = tmp_path_factory.mktemp("file") / "decoder.keras"
    models.decoder().save(path)
    return path


def test_the_module_runs_without_a_warning(tmp_path, run_python):
    said = run_python(
        *("-W", "error::RuntimeWarning", "-m", "keras_seqattn.export"),
        *(tmp_path / "none.keras", "--format", "onnx"),
        code=1,
    )
    assert "error: There is no file" in said and "Traceback" not in said


@pytest.mark.parametrize(
    "format, name, arguments, settings",
    [
        ("saved_model", "decoder_saved_model", [], {}),
        ("onnx", "decoder.onnx", ["--tolerance", "1e-6"], {}),
        (
            *("litert", "decoder.tflite"),
            ["--timesteps", "5", "--batch-size", "2", "--attention-scores"],
            {"timesteps": 5, "batch_size": 2, "attention_scores": True},
        ),
    ],
)
def test_each_format_has_its_function_and_name(
    format, name, arguments, settings, file, tmp_path, monkeypatch, capsys
):
    fields = tmp_path / "fields.json"
    fields.write_text(json.dumps(models.PREPROCESSING.to_dict()))
    calls = []

    def export(model, path, **settings):
        calls.append((model.name, path, settings))
        return 1.25e-7

    monkeypatch.setitem(command_line.EXPORTS, format, export)
    arguments = [*arguments, "--preprocessing", str(fields)]
    command_line.main([str(file), "--format", format, *arguments])
    ((model, path, given),) = calls
    preprocessing = given.pop("preprocessing")
    assert preprocessing.to_dict() == models.PREPROCESSING.to_dict()
    tolerance = 1e-6 if "--tolerance" in arguments else 1e-4
    assert model == "neural_decoder" and path == file.with_name(name)
    assert given == {
        **{"tolerance": tolerance, "attention_scores": False},
        **settings,
    }
    assert f"{path}: reloaded" in capsys.readouterr().out


def error(capsys, *arguments):
    with pytest.raises(SystemExit) as caught:
        command_line.main([*map(str, arguments)])
    if isinstance(caught.value.code, str):
        return caught.value.code
    return capsys.readouterr().err


def test_errors_are_a_line_and_nothing_is_written(
    file, tmp_path, capsys, without
):
    target = ("--output", tmp_path / "new" / "model.onnx")
    onnx = ("--format", "onnx", *target)
    found = error(capsys, tmp_path / "none.keras", *onnx)
    assert found.startswith("error: There is no file")
    for steps in (0, 3):
        assert "are for --format litert" in error(
            capsys, file, *onnx, "--timesteps", steps
        )
    assert "`tolerance` must be" in error(capsys, file, *onnx, "--tolerance=-1")
    assert "No module named 'my_layers'" in error(
        capsys, file, *onnx, "--import", "my_layers"
    )
    fields = tmp_path / "fields.json"
    for text in ("{", "[]", '{"means": 3}'):
        fields.write_text(text)
        found = error(capsys, file, *onnx, "--preprocessing", fields)
        assert "must be JSON with the fields" in found
    fields.write_text('{"mean": [0], "scale": [1], "in_model": "false"}')
    found = error(capsys, file, *onnx, "--preprocessing", fields)
    assert "`in_model` must be True or False" in found
    assert "must end with '.tflite'" in error(
        capsys, file, "--format", "litert", "--timesteps", 3, *target
    )
    without("onnxruntime")
    assert "pip install" in error(capsys, file, *onnx)
    assert [p.name for p in tmp_path.iterdir()] == ["fields.json"]


# --- Files


def test_truncated_files(file, tmp_path):
    content = file.read_bytes()
    path = tmp_path / "model.keras"
    for size in (0, 10, len(content) // 2, len(content) - 5):
        path.write_bytes(content[:size])
        with pytest.raises(
            ValueError, match=rf"only a part of one.*{size} bytes"
        ):
            load_keras_file(path)


def test_damaged_weights(file, tmp_path):
    content = bytearray(file.read_bytes())
    with zipfile.ZipFile(file) as archive:
        (weights,) = (x for x in archive.infolist() if "weights" in x.filename)
    content[weights.header_offset + 200] ^= 0xFF
    path = tmp_path / "model.keras"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"damaged: the checksum.*weights"):
        load_keras_file(path)


def test_damaged_compression(tmp_path):
    path = tmp_path / "model.keras"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("config.json", "a" * 5000)
    content = bytearray(path.read_bytes())
    start = 30 + len("config.json")
    content[start : start + 4] = b"\xff" * 4
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"part of one.*decompress"):
        load_keras_file(path)


def test_foreign_files(tmp_path):
    path = tmp_path / "model.keras"
    path.write_text("chapter 1")
    with pytest.raises(ValueError, match="or only a part of one"):
        load_keras_file(path)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("thesis.txt", "chapter 1")
    with pytest.raises(ValueError, match=r"zip archive of \['thesis.txt'\]"):
        load_keras_file(path)
    with pytest.raises(FileNotFoundError, match="There is no file"):
        load_keras_file(tmp_path)


def test_layers_that_nobody_knows_and_functions_that_may_do_anything(tmp_path):
    class Unknown(keras.layers.Layer):
        def call(self, x):
            return x

    x = keras.Input((3,))
    path = tmp_path / "model.keras"
    keras.Model(x, Unknown()(x)).save(path)
    with pytest.raises(ValueError, match=r"import their module first.*Unknown"):
        load_keras_file(path)
    keras.Model(x, keras.layers.Lambda(lambda x: 2 * x)(x)).save(path)
    with pytest.raises(ValueError, match=r"(?s)cannot load it.*lambda"):
        load_keras_file(path)
