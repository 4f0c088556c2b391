"""What benchmarks of hours have found, kept in a folder."""

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
