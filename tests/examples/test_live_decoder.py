import pathlib
import re
import subprocess
import sys

import keras
import numpy as np

import keras_seqattn as ks

SCRIPT = pathlib.Path(__file__).parents[2] / "examples/live_decoder.py"


def run(output, *arguments):
    done = subprocess.run(
        [
            *(sys.executable, str(SCRIPT), "--output", str(output)),
            *("--bins", "1500", "--seconds", "10", *arguments),
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_live_is_what_batches_say(tmp_path):
    output = tmp_path / "out"
    settings = ("--units", "8", "--epochs", "4", "--timesteps", "5")
    printed = run(output, *settings)
    assert "40 units from 'unit 0' on, bins of 64 ms, windows of 5" in printed
    assert re.search(r"\d+ spikes of 156 bins.*; late: 0\n", printed)
    live, batch, difference = map(
        float,
        re.search(
            r"R2 live (\S+), in batches (\S+); .* (\S+) cm/s", printed
        ).groups(),
    )
    assert live == batch and difference < 1e-3
    # So short a training learns something.
    assert 0.2 < live < 1
    rows = [
        re.split(r"\s{2,}", line.strip())
        for line in printed.splitlines()
        if re.match(r" (from the|the step)", line)
    ]
    assert [row[0] for row in rows] == [
        "from the last spike",
        "from the bin's end",
        "the step alone",
    ]
    for _, *times in rows:
        p50, p95, p99 = map(float, times)
        assert 0 < p50 <= p95 <= p99
    # A step is a part of the way.
    assert float(rows[2][1]) <= min(float(row[1]) for row in rows)

    assert sorted(path.name for path in output.iterdir()) == [
        "decoder.keras",
        "live_decoder.png",
    ]
    image = (output / "live_decoder.png").read_bytes()
    assert image[:4] == b"\x89PNG" and len(image) > 20_000
    model = keras.saving.load_model(output / "decoder.keras")
    said = ks.export.preprocessing_of(model)
    assert said.unit_ids == tuple(f"unit {i}" for i in range(40))

    # Another time, not trained anew.
    again = run(tmp_path / "again", "--decoder", output / "decoder.keras")
    assert "Trained" not in again and f"R2 live {live:.3f}" in again
    assert [x.name for x in (tmp_path / "again").iterdir()] == [
        "live_decoder.png"
    ]
    assert np.isfinite(model.predict(np.ones((1, 5, 40)), verbose=0)).all()
