"""A chief and workers without a search: python -m ... SCENE FOLDER."""

import os
import pathlib
import signal
import sys
import time

if __name__ == "__main__":
    scene, folder = sys.argv[1], pathlib.Path(sys.argv[2])
    name = os.environ["KERASTUNER_TUNER_ID"]
    assert os.environ["KERASTUNER_ORACLE_IP"] == "127.0.0.1"
    assert int(os.environ["KERASTUNER_ORACLE_PORT"]) > 0
    assert os.environ["OMP_NUM_THREADS"] == "3"
    (folder / f"{name}_{os.getpid()}_{time.monotonic_ns()}").touch()
    if name == "chief":
        if scene == "worker late":
            while len(list(folder.iterdir())) < 3:
                time.sleep(0.01)
            sys.exit(0)
        if scene == "chief fails":
            sys.exit(4)
        if scene == "chief killed":
            os.kill(os.getpid(), signal.SIGKILL)
    elif scene == "worker fails" and name == "worker1":
        sys.exit(3)
    elif scene == "worker killed" and name == "worker1":
        os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(600)
