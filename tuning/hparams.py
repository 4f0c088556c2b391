"""Logs for TensorBoard's HParams page, without TensorFlow."""

import io
import pathlib
import time
from typing import Any

import numpy as np

from tuning.directory import write_atomically


def write_hparams(
    folder: pathlib.Path,
    name: str,
    values: dict[str, Any],
    outcome: dict[str, Any],
) -> None:
    """Write one trial's parameters, metrics and learning curves.

    TensorBoard's own writers import TensorFlow, which is not needed on other
    backends; its file is a sequence of records, and its records are public.

    Args:
        folder: The trial's.
        name: The trial's.
        values: Its parameters.
        outcome: `Outcome.to_dict()`. Curves are means over the seeds, as long
            as the shortest.
    """
    from tensorboard.compat.proto.event_pb2 import Event
    from tensorboard.compat.proto.summary_pb2 import Summary
    from tensorboard.plugins.hparams import summary_v2
    from tensorboard.summary.writer.record_writer import RecordWriter

    now = time.time()
    file = io.BytesIO()
    writer = RecordWriter(file)

    def write(**fields: Any) -> None:
        event = Event(wall_time=now, **fields)
        writer.write(event.SerializeToString())

    write(file_version="brain.Event:2")
    write(
        summary=summary_v2.hparams_pb(
            values, trial_id=name, start_time_secs=now
        )
    )
    histories = [x["history"] for x in outcome["executions"]]
    for metric in histories[0] if histories else ():
        curves = [history[metric] for history in histories]
        length = min(map(len, curves))
        mean = np.mean([curve[:length] for curve in curves], axis=0)
        for epoch, value in enumerate(mean):
            scalar = Summary.Value(tag=f"epoch/{metric}", simple_value=value)
            write(step=epoch, summary=Summary(value=[scalar]))
    metrics = [x["metrics"] for x in outcome["executions"]]
    for metric in metrics[0] if metrics else ():
        value = float(np.mean([x[metric] for x in metrics]))
        scalar = Summary.Value(tag=metric, simple_value=value)
        write(step=0, summary=Summary(value=[scalar]))
    write_atomically(folder / "events.out.tfevents.0", file.getvalue())
