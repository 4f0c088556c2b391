"""Prepare a long session in this process; print MB: imports, then the peak.

python -m tests.datasets.prepare_in_little_memory FOLDER SESSION
"""

import pathlib
import sys

import tensorflow_datasets as tfds

from keras_seqattn.datasets.primate_reaching import (
    primate_reaching_dataset_builder as primate_reaching,
)


def peak_memory():
    """Peak of this process in MB.

    `getrusage` has a child begin with the peak of the process that started
    it, so where the kernel tells the process' own, that is taken.
    """
    try:
        status = pathlib.Path("/proc/self/status").read_text()
    except FileNotFoundError:
        import resource

        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    return int(status.split("VmHWM:")[1].split()[0]) / 1000


def main(folder, session):
    imports = peak_memory()
    config = primate_reaching.PrimateReachingConfig(
        name="long", options={"recording": session}
    )
    builder = primate_reaching.Builder(
        data_dir=f"{folder}/prepared", config=config, file_format="array_record"
    )
    builder.download_and_prepare(
        download_config=tfds.download.DownloadConfig(manual_dir=folder)
    )
    splits = {
        name: split.num_examples for name, split in builder.info.splits.items()
    }
    print(imports, peak_memory(), splits["train"] + splits["test"])
    print("tensorflow" in sys.modules)


if __name__ == "__main__":
    main(*sys.argv[1:])
