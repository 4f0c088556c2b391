import os

import pytest

if os.environ.get("KERAS_BACKEND") == "torch":
    # Before TensorFlow, which another package may import: the other order
    # crashes on some machines.
    import torch

    torch.set_num_threads(1)

import keras
import matplotlib

matplotlib.use("Agg")


def pytest_configure(config: pytest.Config) -> None:
    wanted = os.environ.get("KERAS_BACKEND")
    if wanted != keras.backend.backend():
        raise pytest.UsageError(
            "Name the backend to test: KERAS_BACKEND=tensorflow, jax or "
            "torch. All three, each in its own process: "
            "python -m tests.run_backends"
        )


def pytest_report_header() -> str:
    return f"keras {keras.__version__}, backend {keras.backend.backend()}"


@pytest.fixture(autouse=True)
def seed() -> None:
    keras.utils.set_random_seed(1234)


@pytest.fixture(autouse=True)
def default_policy():
    yield
    keras.config.set_dtype_policy("float32")


@pytest.fixture(autouse=True)
def closed_figures():
    yield
    import matplotlib.pyplot as plt

    plt.close("all")
