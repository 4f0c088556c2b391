import os
import pathlib
import sys

import pytest

# Before Keras is imported. Small models: more threads only get in each
# other's way. JAX compiles a loop anew in each eager call and process: what it
# compiled is kept from run to run.
CACHE = pathlib.Path(__file__).parents[1] / ".cache/jax"
os.environ.update(
    {
        "OMP_NUM_THREADS": "1",
        "TF_CPP_MIN_LOG_LEVEL": "3",
        "MPLBACKEND": "Agg",
        "JAX_COMPILATION_CACHE_DIR": str(CACHE),
        "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
        "JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES": "-1",
        **os.environ,
    }
)

if os.environ.get("KERAS_BACKEND") == "torch":
    # Before TensorFlow, which another package may import: the other order
    # crashes on some machines.
    import torch

    torch.set_num_threads(1)

import keras  # noqa: E402

pytest_plugins = ("tests.which_backends",)


def pytest_configure(config: pytest.Config) -> None:
    wanted = os.environ.get("KERAS_BACKEND")
    if wanted != keras.backend.backend():
        raise pytest.UsageError(
            "Name the backend to test: KERAS_BACKEND=tensorflow, jax or "
            "torch. All three, each in its own process: "
            "python -m tests.run_backends"
        )
    if wanted == "jax" and config.getoption("every_backend"):
        # A tracer that outlives its trace is found: in 2.4 times the time.
        jax.config.update("jax_check_tracer_leaks", True)


def pytest_report_header() -> str:
    return f"keras {keras.__version__}, backend {keras.backend.backend()}"


if keras.backend.backend() == "jax":
    import jax

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_setup(item: pytest.Item) -> None:
        """No type is changed by mixing, and a NaN is found where it arises.

        Before the fixtures, which may be of the whole module.
        """
        mixed = item.get_closest_marker("mixed_types") is not None
        jax.config.update(
            "jax_numpy_dtype_promotion", "standard" if mixed else "strict"
        )
        jax.config.update(
            "jax_debug_nans", item.get_closest_marker("nan") is None
        )


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
    if "matplotlib.pyplot" in sys.modules:
        sys.modules["matplotlib.pyplot"].close("all")
