"""Labels of a table of intervals: start, stop, label."""

import dataclasses
import os
from typing import Any

import numpy as np

from keras_seqattn.activity.columns import seconds_of
from keras_seqattn.activity.columns import text_of
from keras_seqattn.activity.table_file import read_table

NEEDED = ("start", "stop", "label")


@dataclasses.dataclass
class Intervals:
    """Labelled intervals; `used` tells which held a sample so far."""

    start: np.ndarray
    stop: np.ndarray
    label: np.ndarray
    subject: np.ndarray | None
    file: np.ndarray | None
    used: np.ndarray
    place: str

    def of(self, times: np.ndarray, subject: Any, source: str) -> np.ndarray:
        """Return the label of each time, `""` for none.

        Raises:
            ValueError: Two intervals of different labels overlap.
        """
        found = np.full(len(times), "", dtype=object)
        for i in range(len(self.label)):
            if self.subject is not None and self.subject[i] != str(subject):
                continue
            if self.file is not None and self.file[i] not in (
                source,
                os.path.basename(source),
            ):
                continue
            inside = (times >= self.start[i]) & (times < self.stop[i])
            known = found[inside]
            if ((known != "") & (known != self.label[i])).any():
                raise ValueError(
                    f"Intervals of {self.place} must not overlap with another "
                    f"label. Received: {self.label[i]!r} from "
                    f"{self.start[i]:g} to {self.stop[i]:g} s, over another"
                )
            found[inside] = self.label[i]
            self.used[i] |= bool(inside.any())
        return found

    def check_used(self) -> None:
        """Raise if an interval held no sample of any recording."""
        if not self.used.all():
            i = int(self.used.argmin())
            raise ValueError(
                f"Every interval of {self.place} must hold a sample: are its "
                "times on the recordings' clock, its subjects or files "
                f"spelled alike? Received: {self.label[i]!r} from "
                f"{self.start[i]:.15g} to {self.stop[i]:.15g} s, and "
                f"{(~self.used).sum()} such in all"
            )


def read_intervals(table: Any, unit: str | None) -> Intervals:
    """Read a frame or a CSV file with the columns start, stop, label."""
    place = "`label`"
    if isinstance(table, str | os.PathLike):
        place = repr(os.fspath(table))
        table = read_table(os.fspath(table))
    missing = [name for name in NEEDED if name not in table.columns]
    if missing:
        raise ValueError(
            f"{place} lacks {missing}. Expected: a table of intervals with "
            f"the columns {NEEDED}. Received: {[*map(str, table.columns)]}"
        )
    start, stop = (
        seconds_of(table, name, unit or _unit(table[name]), place)
        for name in NEEDED[:2]
    )
    if (stop <= start).any():
        row = int((stop <= start).argmax())
        raise ValueError(
            f"An interval of {place} must stop after it starts. Received: "
            f"{start[row]:.15g} to {stop[row]:.15g} in row {table.index[row]}"
        )
    subject, file = (
        text_of(table[name]) if name in table.columns else None
        for name in ("subject", "file")
    )
    used = np.zeros(len(start), bool)
    return Intervals(
        start, stop, text_of(table["label"]), subject, file, used, place
    )


def _unit(column: Any) -> str | None:
    # Starts are no samples: no rate tells whether they can be seconds.
    from keras_seqattn.activity.columns import is_numeric

    return "s" if is_numeric(column) else None
