"""Run the tests on every backend, each in its own process.

    python -m tests.run_backends [--every-backend] [pytest arguments]

Which tests run where: `tests/which_backends.py`. Prints one closing count.
Fails if a test failed or was skipped, if a backend is not installed, if the
backends ran different numbers of the tests they share, or if a test ran
nowhere.
"""

import json
import os
import pathlib
import subprocess
import sys
import tempfile
import time
from collections import Counter
from typing import Any

BACKENDS = ("tensorflow", "jax", "torch")


def run(
    backend: str, report: pathlib.Path, arguments: list[str]
) -> tuple[dict[str, Any], dict[str, str], int]:
    """Return what was collected, what became of it, and pytest's exit code."""
    print(f"\n===== {backend} =====", flush=True)
    begun = time.monotonic()
    code = subprocess.run(
        [
            *(sys.executable, "-m", "pytest", "--numprocesses=2"),
            *("--dist=worksteal", f"--run-report={report}", *arguments),
        ],
        env={**os.environ, "KERAS_BACKEND": backend},
        check=False,
    ).returncode
    print(f"{backend}: {time.monotonic() - begun:.0f} s", flush=True)
    collected = pathlib.Path(f"{report}.collected")
    return (
        json.loads(collected.read_text()) if collected.exists() else {},
        json.loads(report.read_text()) if report.exists() else {},
        code,
    )


def main() -> int:
    with tempfile.TemporaryDirectory() as directory:
        results = {
            backend: run(
                backend, pathlib.Path(directory, backend), sys.argv[1:]
            )
            for backend in BACKENDS
        }
    print("\n===== all backends =====")
    total: Counter[str] = Counter()
    for backend, (collected, outcomes, code) in results.items():
        counts = Counter(outcomes.values())
        tiers = Counter(collected[name]["tier"] for name in outcomes)
        print(f"{backend:>10}: {_line(counts)}; {dict(sorted(tiers.items()))}")
        if code and not counts["failed"]:
            print(f"{backend}: pytest ended with exit code {code}")
            counts["failed"] += 1
        if counts["skipped"]:
            print(f"{backend}: a skipped test is a failure")
        total += counts
    for complaint in complaints(results):
        print(complaint)
        total["failed"] += 1
    print(_line(total))
    return 1 if total["failed"] or total["skipped"] else 0


def complaints(results: dict[str, Any]) -> list[str]:
    """Return what is wrong between the backends."""
    found = []
    every = {b: set(collected) for b, (collected, *_) in results.items()}
    for backend, names in every.items():
        others = set().union(*every.values()) - names
        if others:
            found.append(
                f"{backend} did not collect {len(others)} tests that another "
                f"backend did, such as {min(others)}"
            )
    ran = {backend: set(done) for backend, (_, done, _) in results.items()}
    missing = set().union(*every.values()) - set().union(*ran.values())
    if missing:
        found.append(
            f"{len(missing)} tests ran nowhere, such as {min(missing)}"
        )
    for backend, (collected, *_) in results.items():
        for name, where in collected.items():
            if (name in ran[backend]) != (backend in where["on"]):
                found.append(f"{name} was to run on {where['on']} alone")
    shared = {
        backend: sum(
            collected[name]["tier"] == "backend"
            and len(collected[name]["on"]) == len(BACKENDS)
            for name in done
        )
        for backend, (collected, done, _) in results.items()
    }
    if len(set(shared.values())) != 1:
        found.append(f"The backends ran different numbers of tests: {shared}")
    return found


def _line(counts: Counter[str]) -> str:
    return (
        f"{counts['passed']} passed, {counts['failed']} failed, "
        f"{counts['skipped']} skipped"
    )


if __name__ == "__main__":
    sys.exit(main())
