"""Windows of Opportunity in its original text files, with NumPy alone.

References: Roggen et al., INSS 2010,
[doi:10.1109/INSS.2010.5573462](https://doi.org/10.1109/INSS.2010.5573462);
the challenge's split, Chavarriaga et al., Pattern Recognition Letters 34(15),
2033, 2013, [doi:10.1016/j.patrec.2012.12.014](
https://doi.org/10.1016/j.patrec.2012.12.014); range and windows, Ordóñez &
Roggen, Sensors 16(1), 115, 2016, [doi:10.3390/s16010115](
https://doi.org/10.3390/s16010115).
"""

import logging
import os
from collections.abc import Iterator
from collections.abc import Sequence
from typing import Any

import numpy as np

from keras_seqattn._checks import check_choice
from keras_seqattn._checks import check_positive_integer
from keras_seqattn._files.file_tree import FileTree
from keras_seqattn.datasets.opportunity_gestures.recordings import SCALINGS
from keras_seqattn.datasets.opportunity_gestures.recordings import SENSORS
from keras_seqattn.datasets.opportunity_gestures.recordings import TASKS
from keras_seqattn.datasets.opportunity_gestures.recordings import (
    read_recording,
)

SPLITS = ("train", "test")
SUPERVISED = ("signal", "label")
LICENCE = "CC BY 4.0"
CONFIGS: dict[str, dict[str, Any]] = {
    f"{task}_{scaling}{'_across_files' * across_files}": {
        "task": task,
        "scaling": scaling,
        "across_files": across_files,
    }
    for across_files in (False, True)
    for task in TASKS
    for scaling in SCALINGS
}
TIMESTEPS = 24
SAMPLES = {"train": 557_963, "test": 118_750}  # as published

# Subject 4 is not used.
_RUNS = ("Drill", "ADL1", "ADL2", "ADL3", "ADL4", "ADL5")
RECORDINGS = {
    "train": (
        *(f"S1-{run}" for run in _RUNS),
        *(f"S2-{run}" for run in _RUNS[:4]),
        *(f"S3-{run}" for run in _RUNS[:4]),
    ),
    "test": ("S2-ADL4", "S2-ADL5", "S3-ADL4", "S3-ADL5"),
}


def read_examples(
    path: str | os.PathLike[str],
    split: str,
    *,
    task: str = "gestures",
    scaling: str = "range",
    timesteps: int = TIMESTEPS,
    stride: int = 12,
    across_files: bool = False,
    recordings: Sequence[str] | None = None,
) -> Iterator[tuple[int, dict[str, Any]]]:
    """Read the windows one by one, recording by recording.

    No more than one recording is in memory.

    Args:
        path: The published archive, the folder unpacked from it, or a folder
            that holds either.
        split: `"train"` or `"test"`, the published parts.
        task: `"gestures"` (18 classes) or `"locomotion"` (5).
        scaling: `"range"` or `"zscore"`, see `recordings.read_recording`.
        timesteps: Samples of a window. Default: 24, 0.8 s.
        stride: Samples from one window to the next. Default: 12.
        across_files: If true, the recordings of a split are one signal and
            windows cross from one into the next, as published.
        recordings: Names of recordings to read instead of all of the split.

    Yields:
        A running number and a dictionary: `signal` (timesteps, 113), float32;
        `label`, int64, of the last sample; `subject`, int64, of the last
        sample.

    Raises:
        FileNotFoundError: A recording is missing.
        ValueError: A recording is damaged or shorter than a window.
    """
    check_choice("split", split, SPLITS)
    check_choice("task", task, TASKS)
    check_choice("scaling", scaling, SCALINGS)
    check_positive_integer("timesteps", timesteps)
    check_positive_integer("stride", stride)
    key = start = samples = 0
    # The last samples of a recording, if the next one's windows need them.
    rest = np.empty((0, len(SENSORS)), dtype="float32")
    with FileTree(path) as tree:
        for name in recordings or RECORDINGS[split]:
            signal, label = read_recording(tree, name, task, scaling)
            if len(signal) < timesteps:
                raise ValueError(
                    f"{tree.place(f'{name}.dat')!r} is shorter than a window "
                    f"of {timesteps} samples. Received: {len(signal)} samples"
                )
            samples += len(signal)
            subject = np.int64(name[1])
            signal = np.concatenate([rest, signal])
            while start + timesteps <= len(signal):
                end = start + timesteps
                yield (
                    key,
                    {
                        "signal": signal[start:end],
                        "label": label[end - 1 - len(rest)],
                        "subject": subject,
                    },
                )
                key += 1
                start += stride
            if across_files:
                rest, start = signal[start:], max(start - len(signal), 0)
            else:
                start = 0
        if recordings is None and samples != SAMPLES[split]:
            logging.getLogger(__name__).warning(
                "%s: the published %s part has %d samples, this one %d. Is "
                "it cut short?",
                tree.path,
                split,
                SAMPLES[split],
                samples,
            )
