import json
import pathlib
import runpy
import sys

SCRIPT = pathlib.Path(__file__).parents[2] / "examples/export_saved_model.py"


def test_both_artifacts_decode_as_the_model_does(tmp_path, monkeypatch, capsys):
    arguments = ["--bins", "700", "--units", "6", "--epochs", "1"]
    arguments += ["--timesteps", "4", "--output", str(tmp_path)]
    monkeypatch.setattr(sys, "argv", [str(SCRIPT), *arguments])
    runpy.run_path(str(SCRIPT), run_name="__main__")
    printed = capsys.readouterr().out
    assert "The SavedModel says: windows of 4 steps, spikes / bin" in printed
    assert "The ONNX file says: windows of 4 steps, spikes / bin" in printed
    table = (tmp_path / "table.md").read_text()
    rows = [line.split(" | ") for line in table.splitlines()[2:]]
    shown = [line.split("  ") for line in printed.splitlines()]
    for row in rows:
        assert any(row[0].strip("| ") == line[0].strip() for line in shown)
    assert [row[0].split(",")[0] for row in rows] == [
        "| Keras",
        "| SavedModel",
        "| ONNX",
    ]
    # On spike counts of the test part, not on the proof's random numbers.
    assert all(float(row[2]) < 1e-4 for row in rows)
    assert len({row[3] for row in rows}) == 1
    said = json.loads((tmp_path / "decoder" / "1.json").read_text())
    assert said == json.loads((tmp_path / "decoder.onnx.json").read_text())
    assert said["in_model"] and len(said["mean"]) == len(said["channels"])
