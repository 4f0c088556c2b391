"""On which backends a test runs.

A test is of one tier, by its own marker, its module's or its room's:

    backend   on all three: what a backend computes (the default)
    plain     on one: what no backend touches
    process   on the one that a hash of its id names, on all three with
              `--every-backend`: fresh processes and whole trainings, which
              take long and hardly depend on the backend

`only("torch", ...)` names the backends on which a test says something. These
rules hold in a run of all backends (`--run-report`, see `run_backends`). A run
by hand runs all that it is given, but for `only`.
"""

import json
import os
import pathlib
import zlib

import keras
import pytest

BACKENDS = ("tensorflow", "jax", "torch")
BACKEND = keras.backend.backend()
# The one that compiles nothing has the plain tests, and half of the others'.
PLAIN_BACKEND = "torch"
TURNS = ("tensorflow", "jax", "torch", "torch")
TIERS = ("backend", "plain", "process")

ROOMS = {
    "tests/_files/": "plain",
    "tests/datasets/": "plain",
    "tests/reference/": "plain",
    "tests/fuzz/": "plain",
    "tests/tasks/": "plain",
    "tests/visualization/": "plain",
    "tests/windows/": "plain",
    "tests/activity/": "process",
    "tests/decoding/": "process",
    "tests/examples/": "process",
    "tests/export/": "process",
    "tests/learning_rules/": "process",
    "tests/memory/": "process",
    "tests/tuning/": "process",
    "tests/test_docs.py": "plain",
    "tests/test_documentation.py": "process",
    "tests/test_export_table.py": "plain",
    "tests/test_safe_files.py": "plain",
    "tests/test_site.py": "plain",
    "tests/test_structure.py": "plain",
}


def tier(item: pytest.Item) -> str:
    """Return the tier of a test."""
    # The nearest marker wins: a test's own, then its module's.
    for marker in item.iter_markers():
        if marker.name in TIERS:
            return marker.name
    room = next((r for r in ROOMS if item.nodeid.startswith(r)), None)
    return ROOMS[room] if room else "backend"


def backends(item: pytest.Item, every: bool) -> tuple[str, ...]:
    """Return the backends that a test runs on in a run of all."""
    only = item.get_closest_marker("only")
    wanted = only.args if only else BACKENDS
    if tier(item) == "plain":
        return (PLAIN_BACKEND if PLAIN_BACKEND in wanted else wanted[0],)
    if tier(item) == "process" and not every:
        turns = [name for name in TURNS if name in wanted]
        return (turns[zlib.crc32(item.nodeid.encode()) % len(turns)],)
    return tuple(wanted)


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("backends")
    group.addoption(
        "--run-report",
        help="file for what was collected and run; what other backends run "
        "is left to them",
    )
    group.addoption(
        "--every-backend",
        action="store_true",
        help="process tests on all backends",
    )


def pytest_configure(config: pytest.Config) -> None:
    for line in (
        "backend: runs on every backend",
        "plain: runs on one backend",
        "process: runs on one backend, in turn",
        "only(*backends): says nothing on the others",
        "nan: computes with NaN on purpose",
        "mixed_types: Keras itself multiplies integers with floats",
    ):
        config.addinivalue_line("markers", line)
    if config.getoption("run_report"):
        config.pluginmanager.register(_Report(config), "run_report")


def pytest_collection_modifyitems(
    config: pytest.Config, items: list[pytest.Item]
) -> None:
    shared = config.getoption("run_report")
    every = config.getoption("every_backend")
    found = {item.nodeid: backends(item, every) for item in items}
    if shared and os.environ.get("PYTEST_XDIST_WORKER", "gw0") == "gw0":
        collected = {
            name: {"on": on, "tier": tier(item)}
            for (name, on), item in zip(found.items(), items, strict=True)
        }
        pathlib.Path(f"{shared}.collected").write_text(json.dumps(collected))
    kept, left = [], []
    for item in items:
        only = item.get_closest_marker("only")
        wanted = found[item.nodeid] if shared else only.args if only else None
        (kept if wanted is None or BACKEND in wanted else left).append(item)
    items[:] = kept
    config.hook.pytest_deselected(items=left)


class _Report:
    """Writes what became of each test."""

    def __init__(self, config: pytest.Config) -> None:
        self.path = pathlib.Path(config.getoption("run_report"))
        self.outcomes: dict[str, str] = {}

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        rank = ("passed", "skipped", "failed")
        old = self.outcomes.get(report.nodeid, "passed")
        self.outcomes[report.nodeid] = max(old, report.outcome, key=rank.index)

    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        if "PYTEST_XDIST_WORKER" not in os.environ:
            self.path.write_text(json.dumps(self.outcomes))
