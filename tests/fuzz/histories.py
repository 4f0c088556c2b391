"""Calls in any order, right and wrong ones: of a session, of a search.

What is refused changes nothing, and what is not is right.
"""

import functools
import json
import os
import pathlib
import shutil
import threading
from collections.abc import Callable
from typing import Any

import keras
import numpy as np

import keras_seqattn as ks
from tests.fuzz import wrong
from tests.fuzz.doors import FOLDER
from tuning.search import search as run_search
from tuning.settings import Settings

# Calls with arguments; returns whether it was refused, and what came out.
Ask = Callable[..., tuple[bool, Any]]
Steps = list[list[np.ndarray]]
CALLS, THREADS = 12, 4
OTHERS = FOLDER / "somebody's file"


@functools.cache
def _model() -> Any:
    keras.utils.set_random_seed(0)
    return ks.models.build_memory_network("additive")


@functools.cache
def _session() -> Any:
    step = ks.streaming.step_model(_model(), mask=True)
    return ks.streaming.StreamingSession(step, 2)


def _expected(seen: Steps) -> np.ndarray:
    """The whole model's last outputs, of padded sequences: it is causal."""
    x = np.zeros((2, CALLS * THREADS, 7), "float32")
    for stream, steps in enumerate(seen):
        x[stream, : len(steps)] = np.reshape(steps, (-1, 7))
    last = [max(len(steps), 1) - 1 for steps in seen]
    return _model().predict_on_batch(x)[[0, 1], last]


def _same(first: dict[str, Any], second: dict[str, Any]) -> None:
    assert first.keys() == second.keys()
    for name, value in first.items():
        right = np.asarray(second[name])
        assert np.array_equal(np.asarray(value, right.dtype), right), name


class _Session:
    """A session, and what its streams have seen since they began."""

    def __init__(self, rng: np.random.Generator, ask: Ask) -> None:
        self.rng, self.ask, self.session = rng, ask, _session()
        self.path = FOLDER / "session.npz"
        self.session.reset()
        self.path.unlink(missing_ok=True)
        self.begun = self.linked = False
        self.seen: Steps = [[], []]
        self.save(False)

    def push(self, wrongly: bool) -> bool:
        x: Any = self.rng.normal(size=(2, 7)).astype("float32")
        mask: Any = self.rng.random(2) < 0.7
        if wrongly and self.rng.random() < 0.5:
            x = wrong.other(self.rng, x)
        elif wrongly:
            mask = wrong.other(self.rng, mask)
        refused, found = self.ask(self.session.push, x, mask)
        if not refused:
            assert x is None or np.asarray(x).dtype.kind in "fiub"
            assert not np.ma.is_masked(x), "a masked number was used"
            there = np.ones(2, bool) if mask is None else np.array(mask)
            for number in np.flatnonzero(there & (x is not None)):
                self.seen[number].append(np.asarray(x)[number])
            begun = [bool(steps) for steps in self.seen]
            np.testing.assert_allclose(
                found[begun], _expected(self.seen)[begun], rtol=1e-4, atol=1e-5
            )
        return refused

    def share(self, wrongly: bool) -> bool:
        """Threads that push at once: no step is lost."""
        x = self.rng.normal(size=(2, 7)).astype("float32")
        errors: list[Exception] = []

        def push() -> None:
            try:
                self.session.push(x[0] if wrongly else x)
            except ValueError as error:
                errors.append(error)

        threads = [threading.Thread(target=push) for _ in range(THREADS)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(errors) == wrongly * THREADS
        if not wrongly:
            for steps, one in zip(self.seen, x, strict=True):
                steps.extend([one] * THREADS)
        return wrongly

    def reset(self, wrongly: bool) -> bool:
        stream: Any = int(self.rng.integers(2))
        if wrongly:
            stream = wrong.other(self.rng, stream)
        refused, _ = self.ask(self.session.reset, stream)
        for number in range(0 if refused else 2):
            if stream is None or number == stream % 2:
                self.seen[number] = []
        return refused

    def save(self, wrongly: bool) -> bool:
        path = FOLDER / "none" / "session.npz" if wrongly else self.path
        refused, _ = self.ask(self.session.save, path)
        if not refused:
            mode = path.stat().st_mode & 0o777
            assert not self.begun or mode == 0o600, f"its mode became {mode:o}"
            assert not self.linked or path.is_symlink(), "the link is replaced"
            if not self.linked and self.rng.random() < 0.5:
                path.rename(FOLDER / "elsewhere.npz")
                path.symlink_to(FOLDER / "elsewhere.npz")
                self.linked = True
            path.chmod(0o600)
            self.begun = True
            self.saved = [list(steps) for steps in self.seen]
        return refused

    def load(self, wrongly: bool) -> bool:
        path, data = FOLDER / "damaged session.npz", self.path.read_bytes()
        path.write_bytes(wrong.bytes_of(self.rng, data) if wrongly else data)
        refused, _ = self.ask(self.session.load, path)
        if not refused:
            self.seen = [list(steps) for steps in self.saved]
        return refused

    def load_state_dict(self, wrongly: bool) -> bool:
        given = before = self.session.state_dict()
        if wrongly:
            name = list(given)[self.rng.integers(len(given))]
            given = {**given, name: wrong.other(self.rng, given[name])}
        refused, _ = self.ask(self.session.load_state_dict, given)
        if not refused:
            _same(given, found := self.session.state_dict())
            del found["fingerprint"]
            finite = all(np.isfinite(x).all() for x in found.values())
            assert finite, "a state is not finite"
            self.session.load_state_dict(before)
        return refused


def session(rng: np.random.Generator, ask: Ask) -> None:
    """Pushes are as the whole model's, after whatever else was called."""
    calls = _Session(rng, ask)
    acts = [calls.push] * 4
    acts += [calls.reset, calls.save, calls.load, calls.load_state_dict]
    acts += [calls.share]
    for _ in range(CALLS):
        before, wrongly = calls.session.state_dict(), rng.random() < 0.4
        refused = acts[rng.integers(len(acts))](wrongly)
        assert wrongly or not refused, "a right call was refused"
        if refused:
            _same(before, calls.session.state_dict())


@functools.cache
def _whole() -> pathlib.Path:
    found = FOLDER / "whole search"
    run_search(_settings(found), verbose=0)
    return found


def _settings(folder: pathlib.Path) -> Settings:
    return Settings(
        stem="tests.tuning.small_stem",
        directory=str(folder),
        backend=keras.backend.backend(),
        max_trials=3,
    )


def _run(folder: pathlib.Path, resume: bool, after: str) -> Any:
    """Go on with a search; a fault's message tells after what."""
    return run_search(_settings(folder), resume=resume, verbose=0)


def search(rng: np.random.Generator, ask: Ask) -> None:
    """What becomes of a search's directory, and `--resume`, in turns."""
    folder = FOLDER / "search"
    shutil.rmtree(folder, ignore_errors=True)
    OTHERS.write_text("precious")
    shutil.copytree(_whole(), folder)
    for _ in range(3):
        times = 1 + (rng.random() < 0.3)
        done = " and ".join(_spoil(rng, folder) for _ in range(times))
        resume = rng.random() < 0.8
        before = _files(folder)
        refused, found = ask(_run, folder, resume, done)
        assert OTHERS.read_text() == "precious", "somebody's file is written"
        if refused:
            after = _files(folder)
            changed = {
                k for k in {*before, *after} if before.get(k) != after.get(k)
            }
            assert not changed, f"a refused call changed {changed}"
        else:
            assert len(found.oracle.trials) >= 3
            rows = (folder / "results.csv").read_text().splitlines()
            assert len(rows) == 1 + len(found.oracle.trials), "a trial is gone"


def others(rng: np.random.Generator, ask: Ask) -> None:
    """A directory of somebody's own files: none of them is touched."""
    folder = FOLDER / "theirs"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    OTHERS.write_text("precious")
    for name in rng.permutation(THEIRS)[: rng.integers(1, 4)]:
        if rng.random() < 0.3:
            (folder / str(name)).symlink_to(OTHERS)
        else:
            (folder / str(name)).write_text('{"theirs": 1}')
    before = _files(folder, ())
    refused, _ = ask(_run, folder, rng.random() < 0.5, ", ".join(before))
    after = _files(folder, ())
    assert refused and after == before, f"{before} became {after}"
    assert OTHERS.read_text() == "precious", "somebody's file is written"


THEIRS = ("settings.json", "results.csv", "best_model.keras", "lock", "a.txt")
# What is written anew, from the other files.
DERIVED = ("lock", "results.*", "*.png", "best_model.keras", "oracle.json")
DERIVED += ("recipe.json", "model.json", "events.*")


def _files(
    folder: pathlib.Path, derived: tuple[str, ...] = DERIVED
) -> dict[str, Any]:
    return {
        str(path): os.readlink(path) if path.is_symlink() else path.read_bytes()
        for path in folder.rglob("*")
        if (path.is_symlink() or path.is_file())
        and not any(map(path.match, derived))
    }


def _spoil(rng: np.random.Generator, folder: pathlib.Path) -> str:
    found = (path for path in folder.rglob("*") if not path.is_symlink())
    files = sorted(path for path in found if path.is_file())
    change = rng.integers(6)
    if change < 3:
        # The oracle's as often as all others.
        files = [path for path in files if path.suffix == ".json"]
        oracle = [path for path in files if path.name == "oracle.json"]
        files = oracle if oracle and rng.random() < 0.5 else files
    path = files[rng.integers(len(files))]
    if change < 3:
        try:
            value = wrong.json_of(rng, json.loads(path.read_bytes()))
        except ValueError:
            value = {}
        path.write_text(json.dumps(value))
        return f"{path.name} now {path.read_text():.500}"
    if change == 3:
        path.write_bytes(wrong.bytes_of(rng, path.read_bytes() or b"x"))
        return f"{path.name} damaged"
    path.unlink()
    if change == 4:
        path.symlink_to(OTHERS)
        return f"{path.name} a link"
    if rng.random() < 0.5:
        path.mkdir()
        return f"{path.name} a folder"
    return f"{path.name} gone"


HISTORIES = {
    "session's calls": session,
    "search directory": search,
    "somebody's directory": others,
}
