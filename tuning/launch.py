"""KerasTuner's chief and workers, all on this machine.

    python -m tuning.launch --workers 2 activity_classifier --max-trials 50

What follows the stem is its own command line. Where a worker is killed, as by
a system that has run out of memory, KerasTuner's chief would wait for ever:
here it begins again under its name, and the chief gives it its trial once
more. A trial that kills its worker five times is recorded as failed. If the
chief ends, or a worker has an error of its own, all processes end.
"""

import argparse
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Sequence

from tuning.threads import cores
from tuning.threads import thread_environment

HOST = "127.0.0.1"  # KerasTuner's port asks for no password.
GRACE = 20.0  # Seconds to end in.


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the launcher's command line.

    Args:
        arguments: Without the program. Default: the process' own.
    """
    parser = argparse.ArgumentParser(
        prog="python -m tuning.launch", description=__doc__.split("\n")[0]
    )
    parser.add_argument("--workers", type=int, default=2, help="default: 2")
    parser.add_argument(
        "--threads", type=int, help="of each worker; default: cores / workers"
    )
    parser.add_argument(
        "--restarts",
        type=int,
        default=10,
        help="how often killed workers begin again, in all; default: 10",
    )
    parser.add_argument("stem", help="module of tuning/, as memory_network")
    parser.add_argument("command", nargs=argparse.REMAINDER)
    found = parser.parse_args(arguments)
    if found.workers < 1 or found.restarts < 0 or (found.threads or 1) < 1:
        parser.error("--workers and --threads must be 1 or more")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("Ended by SIGTERM."))
    sys.exit(
        launch(
            [
                found.stem if "." in found.stem else f"tuning.{found.stem}",
                *found.command,
            ],
            found.workers,
            found.threads or max(cores() // found.workers, 1),
            found.restarts,
        )
    )


def launch(
    command: Sequence[str], workers: int, threads: int = 1, restarts: int = 10
) -> str | None:
    """Run a chief and its workers to the end of their search.

    Args:
        command: Module of a stem, and its arguments.
        workers: Positive integer, number of workers.
        threads: Positive integer, CPU threads of each.
        restarts: How often killed workers begin again, in all.

    Returns:
        What went wrong, `None` if the search has ended.
    """
    with socket.socket() as free:
        free.bind((HOST, 0))
        port = free.getsockname()[1]
    environment = {
        **os.environ,
        **thread_environment(threads),
        "KERASTUNER_ORACLE_IP": HOST,
        "KERASTUNER_ORACLE_PORT": str(port),
    }

    def start(name: str) -> subprocess.Popen[bytes]:
        # The chief alone shows progress.
        silent = [] if name == "chief" else ["--verbose", "0"]
        return subprocess.Popen(  # noqa: S603  the same program
            [sys.executable, "-m", *command, *silent],
            env={**environment, "KERASTUNER_TUNER_ID": name},
        )

    names = ["chief", *(f"worker{number}" for number in range(workers))]
    processes: dict[str, subprocess.Popen[bytes]] = {}
    try:
        for name in names:
            processes[name] = start(name)
        while processes["chief"].poll() is None:
            for name in names[1:]:
                code = processes[name].poll()
                if code is None or code == 0:  # Runs, or has no more to do.
                    continue
                if code > 0:
                    return f"{name} ended with exit code {code}; see above."
                if not restarts:
                    return (
                        f"{name} was killed by {_signal(code)}, and no "
                        "--restarts are left. Go on with --resume."
                    )
                restarts -= 1
                print(
                    f"{name} was killed by {_signal(code)}: again", flush=True
                )
                processes[name] = start(name)
            time.sleep(0.2)
        code = processes["chief"].returncode
        if code:
            how = (
                f"with exit code {code}" if code > 0 else f"by {_signal(code)}"
            )
            return f"The chief ended {how}. Go on with --resume."
        return None
    finally:
        # Also workers that began too late, and would wait for the chief.
        _end(list(processes.values()))


def _signal(code: int) -> str:
    return signal.Signals(-code).name


def _end(processes: Sequence[subprocess.Popen[bytes]]) -> None:
    for process in processes:
        if process.poll() is None:
            process.terminate()
    end = time.monotonic() + GRACE
    for process in processes:
        try:
            process.wait(max(end - time.monotonic(), 0))
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


if __name__ == "__main__":
    main()
