"""Benchmarks of hours: what they found, kept; rates chosen by held-out loss."""

import json
import pathlib
import tempfile


class Kept:
    """Results by name, one JSON file each: what is there is not run again.

    Args:
        folder: Where they are kept. Default: a temporary one.
    """

    def __init__(self, folder=None):
        self.folder = pathlib.Path(folder or tempfile.mkdtemp())
        self.folder.mkdir(parents=True, exist_ok=True)

    def get(self, name, run, *given):
        """Return what `run(*given)` found, now or before."""
        path = self.folder / f"{name.replace(' ', '_')}.json"
        if not path.exists():
            path.write_text(json.dumps(run(*given)))
        return json.loads(path.read_text())


def sweep(train, rates, seeds):
    """Train with each rate from the first seed, with the best from the others.

    Returns:
        What `train(rate, seed)` returned by rate; the rate whose first entry,
        the held-out loss, is least; what it returned for each seed.
    """
    tried = {rate: train(rate, seeds[0]) for rate in rates}
    best = min(tried, key=lambda rate: tried[rate][0])
    return tried, best, [tried[best], *(train(best, s) for s in seeds[1:])]
