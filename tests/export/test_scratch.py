import os
import pathlib
import signal
import subprocess
import sys
import threading
import time

import pytest

from keras_seqattn.export.scratch import scratch_folder

# A child that works on the folder, as a converter does.
EXPORT = """
import pathlib, subprocess, sys
from keras_seqattn.export.scratch import scratch_folder
with scratch_folder(pathlib.Path(sys.argv[1])) as scratch:
    (scratch / "artifact").write_text("half")
    print("begun", flush=True)
    subprocess.run([sys.executable, "-c", "import time; time.sleep(60)"])
"""


def begin(folder):
    process = subprocess.Popen(
        [sys.executable, "-c", EXPORT, str(folder)],
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    with process.stdout as said:
        assert said.readline() == "begun\n"
    return process


def test_sigterm_leaves_nothing(tmp_path):
    process = begin(tmp_path)
    time.sleep(1)  # The child has begun.
    process.terminate()
    assert process.wait(30) == 128 + signal.SIGTERM
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(ProcessLookupError):  # No child is left either.
        os.killpg(process.pid, 0)


def test_of_a_killed_export_the_next_one_removes_the_folder(tmp_path):
    process = begin(tmp_path)
    running = begin(tmp_path)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait(30)
    (tmp_path / ".export-elsewhere-1-abc").mkdir()
    with scratch_folder(tmp_path) as scratch:
        found = {path.name.split("-")[2] for path in tmp_path.iterdir()}
        # Of this, of the one that runs, and of another machine.
        assert scratch.is_dir() and len(found) == 3
    os.killpg(running.pid, signal.SIGKILL)
    running.wait(30)


def test_handlers_of_others_stay(tmp_path):
    before = signal.getsignal(signal.SIGTERM)

    def own(number, frame):
        raise AssertionError

    with scratch_folder(tmp_path):
        assert signal.getsignal(signal.SIGTERM) is not before
    assert signal.getsignal(signal.SIGTERM) is before
    signal.signal(signal.SIGTERM, own)
    try:
        with scratch_folder(tmp_path):
            assert signal.getsignal(signal.SIGTERM) is own
    finally:
        signal.signal(signal.SIGTERM, before)
    made = []

    def in_a_thread():
        with scratch_folder(tmp_path) as scratch:
            made.append(pathlib.Path(scratch).is_dir())

    thread = threading.Thread(target=in_a_thread)
    thread.start()
    thread.join()
    assert made == [True] and list(tmp_path.iterdir()) == []
