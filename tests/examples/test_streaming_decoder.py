import pathlib
import re
import subprocess
import sys

import keras
import numpy as np

import keras_seqattn as ks

SCRIPT = pathlib.Path(__file__).parents[2] / "examples/streaming_decoder.py"


def test_both_decoders_bin_by_bin(tmp_path):
    done = subprocess.run(
        [
            *(sys.executable, str(SCRIPT), "--output", str(tmp_path / "out")),
            *("--bins", "1500", "--units", "8", "--epochs", "2"),
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    rows = [
        re.split(r"\s{2,}", line.strip())
        for line in done.stdout.splitlines()
        if re.match(r" (lstm|attention), ", line)
    ]
    assert [row[0] for row in rows] == ["lstm, runs on", "attention, 8 bins"]
    for row in rows:
        in_batches, by_bin, difference, lost, *times = map(float, row[1:])
        assert abs(in_batches - by_bin) < 2e-3 and difference < 1e-3
        # So short a training need not suffer from what is lost.
        assert max(lost, by_bin) < 1
        assert 0 < times[0] <= times[1] <= times[2]
    assert re.search(
        r"A bin is 64 ms long: .* within \d+\.\d\d ms", done.stdout
    )

    output = tmp_path / "out"
    assert sorted(path.name for path in output.iterdir()) == [
        "attention_step.keras",
        "lstm_step.keras",
        "session.npz",
        "streaming_decoder.png",
    ]
    image = (output / "streaming_decoder.png").read_bytes()
    assert image[:4] == b"\x89PNG" and len(image) > 20_000
    step = keras.saving.load_model(output / "attention_step.keras")
    session = ks.streaming.StreamingSession(step)
    session.load(output / "session.npz")
    assert np.isfinite(session.push(np.ones(40))).all()
