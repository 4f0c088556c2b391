"""Run the benchmarks on every backend, each in its own process.

python -m benchmarks.run_backends [pytest arguments]
"""

import os
import subprocess
import sys

for backend in ("tensorflow", "jax", "torch"):
    print(f"\n===== {backend} =====", flush=True)
    subprocess.run(  # noqa: S603
        [
            *(sys.executable, "-m", "pytest", "benchmarks", "-s"),
            *("--benchmark-enable", *sys.argv[1:]),
        ],
        env={
            "TF_CPP_MIN_LOG_LEVEL": "3",
            **os.environ,
            "KERAS_BACKEND": backend,
        },
        check=True,
    )
