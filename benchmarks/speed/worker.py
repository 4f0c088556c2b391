"""Calls the ways of a case when it is told to, and tells how long each took.

Lines of JSON come in: `["prepare", table, case, count]`, answered by the CPU
seconds of the first call of so many ways, which compiles them; `["call", way]`,
answered by those of this call.
"""

import importlib
import itertools
import json
import os
import sys
import time

if os.environ["KERAS_BACKEND"] == "torch":
    import torch  # before TensorFlow, which would crash it

    torch.set_num_threads(1)


def cpu_seconds(function):
    start = time.process_time()
    function()
    return time.process_time() - start


def main():
    # Answers alone go to the standard output.
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)
    ways = {}
    for line in sys.stdin:
        order, *names = json.loads(line)
        if order == "prepare":
            table, case, count = names
            module = importlib.import_module(f"benchmarks.speed.{table}")
            ways = dict(itertools.islice(module.CASES[case]().items(), count))
            answer = {name: cpu_seconds(way) for name, way in ways.items()}
        else:
            answer = cpu_seconds(ways[names[0]])
        print(json.dumps(answer), file=answers)


if __name__ == "__main__":
    main()
