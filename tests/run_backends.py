"""Run the tests on every backend, each in its own process.

    python -m tests.run_backends [pytest arguments]

Prints one closing count. Fails if a test failed, if a backend is not
installed or ran no test, or if a test was skipped.
"""

import os
import subprocess
import sys
import tempfile
import xml.etree.ElementTree as ElementTree
from collections import Counter

BACKENDS = ("tensorflow", "jax", "torch")


def run(backend: str, report: str, arguments: list[str]) -> Counter[str]:
    environment = {
        # Small models: more threads only get in each other's way.
        "OMP_NUM_THREADS": "1",
        "TF_CPP_MIN_LOG_LEVEL": "3",
        # JAX compiles a loop anew in each eager call; here, once.
        "JAX_COMPILATION_CACHE_DIR": f"{report}.cache",
        "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
        "JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES": "-1",
        **os.environ,
        "KERAS_BACKEND": backend,
    }
    print(f"\n===== {backend} =====", flush=True)
    code = subprocess.run(
        [
            sys.executable,
            "-m",
            "pytest",
            "--numprocesses=2",
            "--dist=worksteal",
            f"--junitxml={report}",
            *arguments,
        ],
        env=environment,
        check=False,
    ).returncode
    counts: Counter[str] = Counter()
    if os.path.exists(report):
        for suite in ElementTree.parse(report).iter("testsuite"):  # noqa: S314
            tests, failed, skipped = (
                sum(int(suite.get(key, 0)) for key in keys)
                for keys in (("tests",), ("failures", "errors"), ("skipped",))
            )
            counts["passed"] += tests - failed - skipped
            counts["failed"] += failed
            counts["skipped"] += skipped
    if not counts["passed"] and not counts["failed"]:
        print(f"{backend}: no test ran")
        counts["failed"] += 1
    if counts["skipped"]:
        print(f"{backend}: {counts['skipped']} skipped, which is a failure")
    if code and not counts["failed"] and not counts["skipped"]:
        print(f"{backend}: pytest ended with exit code {code}")
        counts["failed"] += 1
    return counts


def main() -> int:
    with tempfile.TemporaryDirectory() as directory:
        results = {
            backend: run(backend, f"{directory}/{backend}.xml", sys.argv[1:])
            for backend in BACKENDS
        }
    print("\n===== all backends =====")
    for backend, counts in results.items():
        print(f"{backend:>10}: {_line(counts)}")
    ran = {backend: sum(counts.values()) for backend, counts in results.items()}
    if len(set(ran.values())) != 1:
        print(f"The backends ran different numbers of tests: {ran}")
        results[min(ran, key=ran.get)]["failed"] += 1
    total: Counter[str] = sum(results.values(), Counter())
    print(_line(total))
    return 1 if total["failed"] or total["skipped"] else 0


def _line(counts: Counter[str]) -> str:
    return (
        f"{counts['passed']} passed, {counts['failed']} failed, "
        f"{counts['skipped']} skipped"
    )


if __name__ == "__main__":
    sys.exit(main())
