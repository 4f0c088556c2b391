"""Fuzz for as long as you like; print every fault, and a table at the end.

python -m tests.fuzz --minutes 60 [--seed 0] [--only Recording ...]
"""

import argparse
import sys
import time

from keras_seqattn._training.tables import markdown_table
from tests.fuzz.harness import NAMES
from tests.fuzz.harness import Tally
from tests.fuzz.harness import try_one


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=60)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", nargs="+", default=NAMES)
    arguments = parser.parse_args()
    tallies = {name: Tally() for name in arguments.only}
    end, seed = time.monotonic() + 60 * arguments.minutes, arguments.seed
    while time.monotonic() < end:
        for name, tally in tallies.items():
            known = len(tally.faults)
            try_one(name, seed, tally)
            for fault in tally.faults[known:]:
                print(fault, flush=True)
        seed += 1
    rows = [
        [name, str(t.tried), str(t.clear), str(t.defined), str(len(t.faults))]
        for name, t in tallies.items()
    ]
    head = ["door", "inputs", "clear error", "defined result", "faults"]
    print(markdown_table(head, rows))
    print(f"Seeds {arguments.seed} to {seed - 1}, {arguments.minutes} minutes.")
    sys.exit(any(tally.faults for tally in tallies.values()))


if __name__ == "__main__":
    main()
