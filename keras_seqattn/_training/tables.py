"""Tables: in markdown for files, in columns for a terminal."""

import abc
import itertools
import shutil
import sys
from collections.abc import Iterable
from collections.abc import Mapping
from collections.abc import Sequence
from typing import Any

import numpy as np
import rich.box
import rich.console
import rich.table


def markdown_table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a markdown table."""
    return "\n".join(
        [
            "| " + " | ".join(head) + " |",
            "|" + "---|" * len(head),
            *("| " + " | ".join(row) + " |" for row in rows),
        ]
    )


def mean_and_deviation(values: Sequence[float]) -> str:
    """Return "mean ± sample deviation", or the value if there is one."""
    if len(values) == 1:
        return f"{values[0]:.3f}"
    return f"{np.mean(values):.3f} ± {np.std(values, ddof=1):.3f}"


def breakdown_table(
    title: str,
    windows: Mapping[Any, int],
    columns: Mapping[str, Mapping[Any, Sequence[float]]],
) -> str:
    """Return a markdown table of a measure, one row a part of the windows.

    Args:
        title: What the first column is, and the measure.
        windows: The number of windows of each part.
        columns: By the name of a classifier the measure of each part, one
            number a seed.
    """
    return markdown_table(
        [title, "windows", *columns],
        [
            [
                str(part),
                str(count),
                *(
                    mean_and_deviation(values[part])
                    for values in columns.values()
                ),
            ]
            for part, count in windows.items()
        ],
    )


def print_tables(text: str) -> None:
    """Print text whose markdown tables a person can read.

    Where the terminal is too narrow, cells are wrapped between words.
    """
    for table, lines in itertools.groupby(
        text.splitlines(), lambda line: line.startswith("|")
    ):
        if table:
            _print_table(lines)
        else:
            print("\n".join(lines))


def _print_table(lines: Iterable[str]) -> None:
    head, _, *rows = (
        [cell.strip() for cell in line.strip("|").split("|")] for line in lines
    )
    table = rich.table.Table(
        box=rich.box.SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False
    )
    widths = _widths([*zip(head, *rows, strict=True)], _room())
    for name, width in zip(head, widths, strict=True):
        table.add_column(name, width=width)
    for row in rows:
        table.add_row(*row)
    console = rich.console.Console(
        width=sum(widths) + 80, force_terminal=False, highlight=False
    )
    # Without the blanks that rich puts at the ends of lines.
    with console.capture() as captured:
        console.print(table)
    shown = [line.rstrip() for line in captured.get().split("\n")]
    print("\n".join(shown).strip("\n"))


def _room() -> int | None:
    """Columns of the terminal; in a file lines are as long as they are."""
    return shutil.get_terminal_size().columns if sys.stdout.isatty() else None


def _widths(columns: list[tuple[str, ...]], room: int | None) -> list[int]:
    widths = [max(map(len, column)) for column in columns]
    least = [
        max((len(word) for cell in column for word in cell.split()), default=1)
        for column in columns
    ]
    # Two blanks between columns, one before the first.
    while room is not None and sum(widths) + 2 * len(widths) - 1 > room:
        spare = [a - b for a, b in zip(widths, least, strict=True)]
        if not max(spare):
            break
        widths[spare.index(max(spare))] -= 1
    return widths


class Tabulated(abc.ABC):
    """A report that has a table."""

    @abc.abstractmethod
    def table(self) -> str:
        """Return the table in markdown."""

    def show(self) -> None:
        """Print the table in columns, for a terminal."""
        print_tables(self.table())
