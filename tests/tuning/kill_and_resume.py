"""Kills a search ten times and resumes it; its trials must not change.

    python -m tests.tuning.kill_and_resume DIRECTORY

Children are forked from this process, which has imported all and computed
nothing: an import takes longer than a trial. Prints one line of JSON.
"""

import contextlib
import json
import os
import pathlib
import random
import signal
import sys
import time
import traceback

import keras

from tuning import oracles
from tuning.search import search
from tuning.settings import Settings

KILLS = 10
TRIALS = 6
# On a busy machine one trial may be hit several times.
oracles.MOST_STARTS = KILLS + 2


def settings(directory, tuner):
    return Settings(
        stem="tests.tuning.small_stem",
        directory=str(directory),
        backend=keras.backend.backend(),
        tuner=tuner,
        max_trials=TRIALS,
        seed=3,
    )


def start(directory, tuner):
    child = os.fork()
    if child:
        return child
    try:
        with open(f"{directory}.log", "a") as log:
            os.dup2(log.fileno(), 1)
            os.dup2(log.fileno(), 2)
            search(settings(directory, tuner), resume=True, verbose=0)
        code = 0
    except BaseException:
        traceback.print_exc()
        code = 1
    os._exit(code)


def finish(child):
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def finished(directory):
    """The files of the trials that are noted as finished."""
    found = {}
    for path in sorted(pathlib.Path(directory).glob("trials/*/trial.json")):
        data = path.read_bytes()
        if json.loads(data)["status"] in ("COMPLETED", "FAILED"):
            found[path.parent.name] = data
    return found


def main(directory, tuner):
    # This imports TensorFlow, where it is installed.
    keras.utils.set_random_seed(0)
    directory = pathlib.Path(directory)
    whole, killed = directory / "whole", directory / "killed"
    began = time.monotonic()
    finish(start(whole, tuner))
    longest = time.monotonic() - began
    reference = finished(whole)
    moments, done, before = [], [], {}
    dice = random.Random()  # noqa: S311
    # Kills before the first trial's end alone would show nothing.
    while len(moments) < KILLS or (not done[-1] and len(moments) < 3 * KILLS):
        child = start(killed, tuner)
        moments.append(dice.uniform(0, longest / 2))
        time.sleep(moments[-1])
        with contextlib.suppress(ProcessLookupError):
            os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        now = finished(killed)
        # Nothing that was finished is gone, or other than it was.
        assert before == {name: now[name] for name in before}
        before = now
        done.append(len(now))
    finish(start(killed, tuner))
    now = finished(killed)
    assert before == {name: now[name] for name in before}
    print(
        json.dumps(
            {
                "moments": moments,
                "finished": done,
                "trials": len(now),
                # With no kill at all the same settings have the same scores.
                "same": {
                    name: json.loads(now[name]) == json.loads(reference[name])
                    for name in now
                },
            }
        )
    )


if __name__ == "__main__":
    main(*sys.argv[1:])
