"""Does the pipeline find the window that was planted?

Simulates reaching with a planted window of L = 3 .. 8 bins, three recordings
each, and runs the whole search on each. Prints one line a run and the hit
rates: of the recommendation, and of the attention's proposal alone, for the
causal and for a bidirectional encoder.

    KERAS_BACKEND=jax python benchmarks/planted_window.py
"""

import argparse
import dataclasses
import functools
import time

import numpy as np

import keras_seqattn as ks
from keras_seqattn.decoding import RECIPE
from keras_seqattn.decoding import decode_recording


def hit(found: int, planted: int) -> bool:
    return planted <= found <= planted + 2


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--lengths", type=int, nargs="+", default=range(3, 9))
    parser.add_argument("--recordings", type=int, default=3)
    parser.add_argument("--bins", type=int, default=12_000)
    parser.add_argument("--units", type=int, default=64)
    parser.add_argument("--epochs", type=int, default=12)
    arguments = parser.parse_args()

    recipe = dataclasses.replace(
        RECIPE, epochs=arguments.epochs, learning_rate=1e-2
    )
    rows = []
    for planted in arguments.lengths:
        for seed in range(arguments.recordings):
            start = time.time()
            recording = ks.tasks.simulated_reaching(
                bins=arguments.bins, kernel_length=planted, seed=seed
            )
            causal, bidirectional = (
                decode_recording(
                    recording,
                    recipe=recipe,
                    seeds=(seed,),
                    build=functools.partial(
                        ks.models.build_neural_decoder,
                        units=arguments.units,
                        dropout=0.3,
                        bidirectional=both_ways,
                    ),
                    verbose=0,
                )
                for both_ways in (False, True)
            )
            found = causal.recommendation.timesteps
            r2 = {k: causal.cells["last", k][0].r2 for k in (20, found)}
            rows.append(
                (
                    hit(found, planted),
                    hit(causal.selection.timesteps, planted),
                    hit(bidirectional.recommendation.timesteps, planted),
                    hit(bidirectional.selection.timesteps, planted),
                    r2[found] - r2[20],
                )
            )
            print(
                f"L={planted} seed={seed}: recommended {found} (attention "
                f"proposed {causal.selection.timesteps}), bidirectional "
                f"{bidirectional.recommendation.timesteps} "
                f"({bidirectional.selection.timesteps}); test R2 without "
                f"attention {r2[20]:.3f} at 20, {r2[found]:.3f} at {found}; "
                f"{time.time() - start:.0f} s",
                flush=True,
            )
    names = (
        "recommended, causal encoder",
        "attention's proposal, causal encoder",
        "recommended, bidirectional encoder",
        "attention's proposal, bidirectional encoder",
    )
    for name, column in zip(names, zip(*rows, strict=True), strict=False):
        print(f"within [L, L+2], {name}: {sum(column)}/{len(column)}")
    change = np.array([row[-1] for row in rows])
    print(
        f"R2 at the recommended window minus R2 at 20: mean "
        f"{change.mean():+.3f}, worst {change.min():+.3f}"
    )


if __name__ == "__main__":
    main()
