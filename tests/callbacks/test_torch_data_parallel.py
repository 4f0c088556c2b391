import os
import subprocess
import sys

import numpy as np
import pytest

from keras_seqattn.callbacks.torch_data_parallel import TorchDataParallel
from tests.backend import BACKEND
from tests.callbacks import two_devices


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A folder of what two devices came to."""
    folder = tmp_path_factory.mktemp("two_devices")
    done = subprocess.run(
        [sys.executable, "-m", "tests.callbacks.two_devices", str(folder)],
        env={**os.environ, "KERAS_BACKEND": BACKEND},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return folder


def check(expected, case, folder):
    files = sorted(folder.glob(f"{case}_*.npz"))
    assert len(files) == (2 if BACKEND == "torch" else 1)
    for path in files:
        with np.load(path) as found:
            assert found["devices"] == 2
            for name, value in expected.items():
                np.testing.assert_allclose(
                    found[name], value, rtol=1e-5, atol=1e-5, err_msg=name
                )


def test_bursts(trained):
    check(two_devices.train("burst_prop"), "burst_prop", trained)


def test_batch_statistics(trained):
    """Of the whole batch on JAX, else the mean of those of each device."""
    ranks = 1 if BACKEND == "jax" else 2
    parts = [
        two_devices.train("batch_statistics", rank, ranks)
        for rank in range(ranks)
    ]
    expected = {name: sum(p[name] for p in parts) / ranks for name in parts[0]}
    moved = [v for name, v in expected.items() if "moving_mean" in name]
    assert len(moved) == 4 and min(np.abs(v).max() for v in moved) > 1e-3
    check(expected, "batch_statistics", trained)


def test_refusals(trained):
    if BACKEND == "torch":
        for rank in range(2):
            message = (trained / f"refused_{rank}.txt").read_text()
            assert "same number of batches" in message
            assert message.endswith("ranks 0, 1 ... [2, 4]")
        model, x, y = two_devices.burst_prop()
        with pytest.raises(ValueError, match="expects several processes"):
            model.fit(x, y, callbacks=[TorchDataParallel()], verbose=0)
    else:
        with pytest.raises(ValueError, match=f"backend '{BACKEND}'"):
            TorchDataParallel()
