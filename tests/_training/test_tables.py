import io
import sys

import pytest

from keras_seqattn._training.tables import Tabulated
from keras_seqattn._training.tables import markdown_table
from keras_seqattn._training.tables import mean_and_deviation
from keras_seqattn._training.tables import print_tables

TABLE = markdown_table(
    ["decoder", "test R2", "latency p50 / p95 (ms)"],
    [["training mean", "-0.002", ""], ["ridge", "0.705 ± 0.003", "0.2 / 0.4"]],
)


class Terminal(io.StringIO):
    def isatty(self):
        return True


def printed(monkeypatch, output, columns):
    monkeypatch.setattr(sys, "stdout", output)
    monkeypatch.setenv("COLUMNS", str(columns))
    monkeypatch.delenv("NO_COLOR", raising=False)
    print_tables(TABLE)
    return output.getvalue().splitlines()


def test_markdown():
    assert TABLE.splitlines() == [
        "| decoder | test R2 | latency p50 / p95 (ms) |",
        "|---|---|---|",
        "| training mean | -0.002 |  |",
        "| ridge | 0.705 ± 0.003 | 0.2 / 0.4 |",
    ]
    assert mean_and_deviation([0.5]) == "0.500"
    assert mean_and_deviation([0.5, 0.7]) == "0.600 ± 0.141"


def test_into_a_file_lines_are_as_long_as_they_are(monkeypatch):
    assert printed(monkeypatch, io.StringIO(), 20) == [
        " decoder        test R2        latency p50 / p95 (ms)",
        " " + "─" * 52,
        " training mean  -0.002",
        " ridge          0.705 ± 0.003  0.2 / 0.4",
    ]


@pytest.mark.parametrize("columns", [34, 40, 60])
def test_a_narrow_terminal_breaks_between_words(columns, monkeypatch):
    lines = printed(monkeypatch, Terminal(), columns)
    assert max(map(len, lines)) <= columns
    words = " ".join(lines).replace("─", "").split()
    expected = TABLE.replace("|", " ").replace("-" * 3, " ").split()
    assert sorted(words) == sorted(expected)
    assert len(lines) == (4 if columns == 60 else len(lines))


def test_other_lines_stay(capsys):
    print_tables(f"# One\n\n{TABLE}\nthe end")
    lines = capsys.readouterr().out.splitlines()
    assert lines[:3] == [
        "# One",
        "",
        " decoder        test R2        latency p50 / p95 (ms)",
    ]
    assert lines[-1] == "the end" and len(lines) == 7


def test_a_report_shows_its_table(capsys):
    class Report(Tabulated):
        def table(self):
            return TABLE

    Report().show()
    assert "training mean  -0.002" in capsys.readouterr().out
