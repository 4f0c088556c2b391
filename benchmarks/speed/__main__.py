"""The tables of speed: the package beside its peers, and beside what it was.

    python -m benchmarks.speed [--before COMMIT] [--write docs/results.md]

On each backend, in a process of its own on one thread, the ways of a case are
called in turn, so that a drift of the machine's speed hits all alike. With
`--before` the package as it was at that commit is then called in turn with
today's, each alone in its process. Times are of CPU. A ratio is that of two
calls of one round; its median and quartiles are over all rounds. `--folder`
keeps what was measured, and what is there is not measured again. An hour on
one core, all of it.
"""

import argparse
import datetime
import importlib
import io
import json
import os
import pathlib
import subprocess
import sys
import tarfile
import tempfile

import numpy as np

from benchmarks.kept import Kept
from keras_seqattn._training.tables import markdown_table

ROOT = pathlib.Path(__file__).parents[2]
BACKENDS = {"tensorflow": "TensorFlow", "jax": "JAX", "torch": "torch"}
TABLES = (
    "larnn",
    "temporal_attention",
    "streaming",
    "gain_modulated_neuron",
    "burst_prop",
    "temporal_bursts",
    "batches",
)


class Worker:
    """A process with a backend, and the package of one folder."""

    def __init__(self, backend, package):
        paths = os.pathsep.join([str(package), str(ROOT)])
        self.process = subprocess.Popen(
            # Without the working folder before these paths.
            [sys.executable, "-P", "-m", "benchmarks.speed.worker"],
            env={
                "TF_CPP_MIN_LOG_LEVEL": "3",
                **os.environ,
                **{"KERAS_BACKEND": backend, "PYTHONPATH": paths},
                "OMP_NUM_THREADS": "1",
                "TF_NUM_INTRAOP_THREADS": "1",
                "TF_NUM_INTEROP_THREADS": "1",
                "XLA_FLAGS": "--xla_cpu_multi_thread_eigen=false",
            },
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def ask(self, *order):
        self.process.stdin.write(json.dumps(order) + "\n")
        self.process.stdin.flush()
        answer = self.process.stdout.readline()
        if not answer:
            raise RuntimeError(f"The process of {order} has ended.")
        return json.loads(answer)

    def end(self):
        self.process.stdin.close()
        self.process.wait()


def measure(backend, packages, count, table, case, rounds):
    """Seconds of the first so many ways of a case.

    Returns:
        `{package: {way: {"first": seconds, "rounds": [seconds, ...]}}}`,
        without a package of before that has no such thing.
    """
    workers = {name: Worker(backend, path) for name, path in packages.items()}
    found = {}
    for name, worker in workers.items():
        try:
            first = worker.ask("prepare", table, case, count)
        except RuntimeError:
            if name == "now":
                raise
            print(f"{table}, {case}, {backend}: not to be had before.")
            continue
        found[name] = {
            way: {"first": seconds, "rounds": []}
            for way, seconds in first.items()
        }
    for _ in range(rounds):
        for name, ways in found.items():
            for way, times in ways.items():
                times["rounds"].append(workers[name].ask("call", way))
    for worker in workers.values():
        worker.end()
    return found


def quartiles(ratios):
    low, middle, high = (
        f"{ratio:.2f}" if ratio >= 0.1 else f"{ratio:.2g}"
        for ratio in np.percentile(ratios, (25, 50, 75))
    )
    return f"{middle} ({low} - {high})"


def column(found):
    """What a backend's column holds, by the name of its row."""
    ways = found["peers"]["now"]
    ours, *peers = ways
    now = np.array(ways[ours]["rounds"])
    cells = {f"{ours}, ms": f"{1e3 * np.median(now):,.1f}"}
    for peer in peers:
        cells[f"over {peer}"] = quartiles(now / ways[peer]["rounds"])
    first = ways[ours]["first"]
    if "before" in found.get("before", {}):
        pair = [found["before"][name][ours] for name in ("now", "before")]
        now, before = (np.array(one["rounds"]) for one in pair)
        cells["over itself before"] = quartiles(now / before)
        first = pair[0]["first"]
        cells["first call before, s"] = f"{pair[1]['first']:.1f}"
    cells["first call, s"] = f"{first:.1f}"
    return cells


def table_of(results):
    """Markdown of `{case: {backend: {"peers": , "before": }}}`."""
    backends = list(next(iter(results.values())))
    rows = []
    for case, by_backend in results.items():
        rows.append([f"**{case}**"] + [""] * len(backends))
        columns = [column(found) for found in by_backend.values()]
        names = dict.fromkeys(name for cells in columns for name in cells)
        rows += [
            [name, *(cells.get(name, "") for cells in columns)]
            for name in names
        ]
    return markdown_table(["", *(BACKENDS[name] for name in backends)], rows)


def write_into(page, table, text):
    """The page with this text between the marks of the table."""
    begin, end = f"<!-- speed: {table} -->\n", "<!-- end of speed -->"
    head, rest = page.split(begin)
    return f"{head}{begin}\n{text}\n\n{end}{rest.split(end, 1)[1]}"


def unpack(commit, folder):
    """The package as it was at a commit."""
    packed = subprocess.run(  # noqa: S603
        ["git", "archive", commit, "keras_seqattn"],  # noqa: S607
        cwd=ROOT,
        stdout=subprocess.PIPE,
        check=True,
    ).stdout
    with tarfile.open(fileobj=io.BytesIO(packed)) as archive:
        archive.extractall(folder, filter="data")


def main():
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--before", metavar="COMMIT")
    parser.add_argument("--tables", nargs="+", choices=TABLES, default=TABLES)
    parser.add_argument(
        "--backends", nargs="+", choices=BACKENDS, default=list(BACKENDS)
    )
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--folder", help="keeps what was measured")
    parser.add_argument("--write", type=pathlib.Path, metavar="PAGE")
    given = parser.parse_args()
    kept = Kept(given.folder)
    with tempfile.TemporaryDirectory() as before:
        # What to measure: its name, in which packages, how many ways of a case.
        parts = {"peers": ("peers", {"now": ROOT}, None)}
        if given.before:
            unpack(given.before, before)
            name = f"before {given.before}"
            parts["before"] = name, {"now": ROOT, "before": before}, 1
        for table in given.tables:
            module = importlib.import_module(f"benchmarks.speed.{table}")
            results = {
                case: {
                    backend: {
                        part: kept.get(
                            f"{table} {case} {backend} {name}",
                            *(measure, backend, *asked, table, case),
                            given.rounds,
                        )
                        for part, (name, *asked) in parts.items()
                    }
                    for backend in given.backends
                }
                for case in module.CASES
            }
            beside = f", before: {given.before}" if given.before else ""
            text = (
                f"{table_of(results)}\n\n{datetime.date.today()}, "
                f"{given.rounds} rounds{beside}."
            )
            print(f"\n{module.__doc__}\n{text}", flush=True)
            if given.write:
                page = given.write.read_text()
                given.write.write_text(write_into(page, table, text))


if __name__ == "__main__":
    main()
