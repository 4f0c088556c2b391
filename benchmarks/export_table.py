"""Export every model, from every backend, in every format, into docs/.

    python -m benchmarks.export_table [--models NAME ...]

Each export is proven as always: the number in the table is the largest
difference between the artifact, in a fresh process, and the model. Where an
export is refused, the reason is under the table. Twenty minutes on one core.
"""

import argparse
import functools
import json
import os
import pathlib
import subprocess
import sys
import tempfile
from collections.abc import Callable
from typing import Any

import keras
import numpy as np

import keras_seqattn as ks
from keras_seqattn._training.tables import markdown_table
from keras_seqattn.memory import RECIPES

PAGE = pathlib.Path(__file__).parents[1] / "docs/export.md"
BEGIN = "<!-- export table: written by python -m benchmarks.export_table -->"
END = "<!-- end of export table -->"
BACKENDS = {"tensorflow": "TensorFlow", "jax": "JAX", "torch": "torch"}
FORMATS = {"saved_model": "SavedModel", "onnx": "ONNX", "litert": "LiteRT"}
# LiteRT has no free time axis.
TIMESTEPS = 20
STREAMED = (
    "neural decoder, lstm, last",
    "neural decoder, gru, last",
    "activity classifier, larnn, last",
    "memory network, additive",
    "burst network, temporal",
)


def burst_prop_network(mode: str) -> keras.Model:
    model = ks.models.BurstPropNetwork([30, 3], mode=mode)
    model(np.zeros((1, 5, 8) if mode == "temporal" else (1, 8), "float32"))
    return model


def models() -> dict[str, Callable[[], keras.Model]]:
    """All models with free time, by the name of their row."""
    found: dict[str, Callable[[], keras.Model]] = {}
    for cell in ("lstm", "gru", "rnn"):
        for pooling in ("attention", "last"):
            found[f"neural decoder, {cell}, {pooling}"] = functools.partial(
                ks.models.build_neural_decoder,
                *(None, 96),
                cell=cell,
                pooling=pooling,
            )
    for cell in ("larnn", "lstm"):
        for pooling in ("attention", "last"):
            found[f"activity classifier, {cell}, {pooling}"] = (
                functools.partial(
                    ks.models.build_activity_classifier,
                    *(None, 9, 6),
                    cell=cell,
                    pooling=pooling,
                )
            )
    for preset in RECIPES:
        sizes = (
            {"features": 17, "outputs": 9} if preset == "association" else {}
        )
        found[f"memory network, {preset}"] = functools.partial(
            ks.models.build_memory_network, preset, **sizes
        )
    for mode in ("rate", "temporal"):
        found[f"burst network, {mode}"] = functools.partial(
            burst_prop_network, mode
        )
    for name in STREAMED:
        found[f"step of {name}"] = functools.partial(step_of, found[name])
    return found


def step_of(build: Callable[[], keras.Model]) -> keras.Model:
    return ks.streaming.step_model(build())


def export(model: keras.Model, format: str, path: pathlib.Path) -> float:
    settings: dict[str, Any] = {}
    if format == "litert":
        settings["timesteps"] = TIMESTEPS
    return getattr(ks.export, f"export_{format}")(model, path, **settings)


def export_from_this_backend(names: list[str], output: pathlib.Path) -> None:
    found: dict[str, dict[str, Any]] = {}
    endings = {"saved_model": "", "onnx": ".onnx", "litert": ".tflite"}
    for name in names:
        keras.utils.set_random_seed(0)
        model = models()[name]()
        found[name] = {}
        for format, ending in endings.items():
            with tempfile.TemporaryDirectory() as directory:
                path = pathlib.Path(directory) / f"model{ending}"
                try:
                    result: Any = export(model, format, path)
                except (RuntimeError, ValueError) as error:
                    # What a subprocess says last is why it failed.
                    lines = str(error).strip().splitlines()
                    result = lines[-1 if "subprocess" in lines[0] else 0]
            found[name][format] = result
            print(name, format, result, flush=True)
    output.write_text(json.dumps(found))


def table(results: dict[str, dict[str, dict[str, Any]]]) -> str:
    """Return the table of `results[backend][model][format]`."""
    reasons: list[str] = []

    def cell(result: Any) -> str:
        if isinstance(result, float):
            return f"{result:.0e}" if result else "0"
        if result not in reasons:
            reasons.append(result)
        return f"no ({reasons.index(result) + 1})"

    names = next(iter(results.values()))
    rows = [
        [
            name,
            *(
                cell(results[backend][name][format])
                for format in FORMATS
                for backend in BACKENDS
            ),
        ]
        for name in names
    ]
    head = [
        f"{format}, {backend}"
        for format in FORMATS.values()
        for backend in BACKENDS.values()
    ]
    notes = [f"{i + 1}. {reason}" for i, reason in enumerate(reasons)]
    return "\n\n".join([markdown_table(["model", *head], rows), *notes])


def write_into(page: str, text: str) -> str:
    before, _, rest = page.partition(BEGIN)
    _, _, after = rest.partition(END)
    if not after:
        raise ValueError(f"{PAGE} needs the lines {BEGIN} and {END}")
    return f"{before}{BEGIN}\n\n{text}\n\n{END}{after}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--models", nargs="+", default=list(models()))
    parser.add_argument("--output", type=pathlib.Path, help="one backend only")
    arguments = parser.parse_args()
    if arguments.output:
        export_from_this_backend(arguments.models, arguments.output)
        return
    results = {}
    with tempfile.TemporaryDirectory() as directory:
        for backend in BACKENDS:
            output = pathlib.Path(directory) / f"{backend}.json"
            subprocess.run(  # noqa: S603
                [
                    *(sys.executable, "-m", "benchmarks.export_table"),
                    *("--output", str(output), "--models", *arguments.models),
                ],
                env={**os.environ, "KERAS_BACKEND": backend},
                check=True,
            )
            results[backend] = json.loads(output.read_text())
    text = table(results)
    print(text)
    PAGE.write_text(write_into(PAGE.read_text(), text))


if __name__ == "__main__":
    main()
