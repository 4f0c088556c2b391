"""Draw the figures of `when_to_take_which.md` from its own tables.

    python docs/_ext/comparison_figures.py

Numbers are in one place, and a figure cannot say anything else than its table.
"""

import pathlib
import re

import matplotlib.style
import numpy as np

ROOT = pathlib.Path(__file__).parents[1]
PAGE = ROOT / "when_to_take_which.md"


def tables() -> list[list[list[str]]]:
    """Return the page's tables: rows of cells, the head first."""
    found, rows = [], []
    for line in [*PAGE.read_text().splitlines(), ""]:
        if line.startswith("|"):
            rows.append([cell.strip() for cell in line.strip("|").split("|")])
        elif rows:
            found.append([rows[0], *rows[2:]])
            rows = []
    return found


def table(column: str) -> list[list[str]]:
    """Return the first table with this text in its head."""
    return next(rows for rows in tables() if column in rows[0])


def numbers(cell: str) -> tuple[float, float]:
    """Return a cell's mean and deviation, 0 where it has none."""
    found = [float(number) for number in re.findall(r"-?\d+\.?\d*", cell)]
    return found[0], found[1] if "±" in cell else 0.0


def series(cells: list[str]) -> tuple[np.ndarray, np.ndarray]:
    """Return means and deviations of some cells."""
    means, deviations = zip(*map(numbers, cells), strict=True)
    return np.array(means), np.array(deviations)


def within(means: np.ndarray, deviations: np.ndarray) -> list[np.ndarray]:
    """Return the deviations down and up: no accuracy is below 0, above 1."""
    return [np.minimum(deviations, means), np.minimum(deviations, 1 - means)]


def draw_bursts(ax) -> None:
    head, *rows = table("5 hidden")
    depths = [int(name.split()[0]) for name in head[1:]]
    for index, (name, *cells) in enumerate(rows):
        means, deviations = series(cells)
        if name in ("chance", "logistic regression"):
            look = {"color": "0.4", "ls": ":" if name == "chance" else "-."}
            ax.plot(depths, means, label=name, lw=1, **look)
        else:
            # Side by side: equal ones are seen.
            places = np.array(depths) * (1 + 0.012 * (index - 5))
            ax.errorbar(places, means, deviations, marker="o", label=name, ms=4)
    ax.set(
        xlabel="hidden layers",
        ylabel="test error (%)",
        yscale="log",
        ylim=(0.4, 130),
        xticks=depths,
    )
    ax.set_yticks([1, 3, 10, 30, 100], [1, 3, 10, 30, 100])
    ax.legend(loc="center left", bbox_to_anchor=(1, 0.5))


def draw_gains(ax) -> None:
    head, *rows = table("modulated gains")
    first = next(i for i, row in enumerate(rows) if row[0] == "as trained")
    names = [row[0] for row in rows[first:]]
    for column in (1, 3, 4, 5, 6):
        means, deviations = series([row[column] for row in rows[first:]])
        places = np.arange(len(names)) + 0.14 * (column - 4)
        spread = within(means, deviations)
        ax.errorbar(places, means, spread, fmt="o", ms=4, label=head[column])
    chance = numbers(rows[0][1])[0]
    ax.axhline(chance, color="0.4", ls=":", lw=1, label="chance")
    ax.set_xticks(range(len(names)), names, rotation=35, ha="right")
    ax.set_ylabel("recall accuracy")
    ax.legend(ncols=3, loc="lower center", bbox_to_anchor=(0.5, 1))


def draw_pooling(ax) -> None:
    _, *rows = table("validation R2")
    for place, (_, _, _, _, test) in enumerate(rows):
        mean, deviation = numbers(test)
        look = {"color": "C0" if deviation else "0.4", "fmt": "o", "ms": 5}
        ax.errorbar(mean, -place, xerr=deviation or None, **look)
    labels = [row[0].replace("`", "") for row in rows]
    ax.set_yticks(-np.arange(len(rows)), labels)
    ax.set_xlabel("test R2, macaque S1 (training mean: 0)")


def draw_proposals(ax) -> None:
    _, *rows = table("trainings, mean")
    for name, mean, least, most in rows:
        mean = float(mean)
        if "off by" in name:
            offset = int(name.split()[-1])
            spread = [[mean - float(least)], [float(most) - mean]]
            ax.errorbar(offset, mean, spread, fmt="o", color="C0", ms=4)
        else:
            look = {"color": "C1" if "no proposal" in name else "0.4"}
            ax.axhline(mean, ls="--", lw=1, label=name, **look)
    ax.set(
        xlabel="attention's proposal less the right number of bins",
        ylabel="trainings (mean, least to most)",
        ylim=(0, 21),
    )
    ax.legend(loc="center right")


def draw_recall(ax) -> None:
    _, *rows = table("all in the window")
    tasks = list(dict.fromkeys(row[0] for row in rows))
    models = list(dict.fromkeys(row[1] for row in rows))[1:]
    for row in rows:
        task, model, *_ = row
        places = np.arange(3.0) + 4 * tasks.index(task)
        means, deviations = series(row[4:7])
        if "chance" in model:
            ax.hlines(means[0], places[0] - 0.4, places[-1] + 0.4, "0.4", ":")
            continue
        index = models.index(model)
        ax.errorbar(
            places + 0.12 * (index - 1.5),
            means,
            within(means, deviations),
            fmt="o",
            ms=4,
            color=f"C{index}",
            label=model if task == tasks[0] else None,
        )
    ticks = [4 * task + kind for task in range(len(tasks)) for kind in range(3)]
    labels = [
        label
        for task in tasks
        for label in ("all", "some\n" + task.replace(", ", ",\n"), "none")
    ]
    ax.set_xticks(ticks, labels, size=8)
    ax.set_xlabel("how much of what was shown is in the window")
    ax.set_ylabel("accuracy (dotted: chance)")
    ax.legend(ncols=4, loc="lower center", bbox_to_anchor=(0.5, 1))


FIGURES = {
    "recall": (draw_recall, (10, 3.8)),
    "bursts": (draw_bursts, (9, 4)),
    "gains": (draw_gains, (9, 4.2)),
    "pooling": (draw_pooling, (8, 3)),
    "proposals": (draw_proposals, (8, 3.2)),
}


def main() -> None:
    matplotlib.use("Agg")
    matplotlib.style.use("keras_seqattn.visualization.style")
    from matplotlib import pyplot as plt

    for name, (draw, size) in FIGURES.items():
        figure, ax = plt.subplots(figsize=size, layout="constrained")
        draw(ax)
        figure.savefig(ROOT / f"images/which_{name}.png", dpi=100)
        plt.close(figure)


if __name__ == "__main__":
    main()
