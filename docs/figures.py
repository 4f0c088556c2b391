"""Draw the README's figure, from simulated data.

    python docs/figures.py

Two minutes on one core with JAX.
"""

import dataclasses
import functools
import pathlib

import matplotlib.style

import keras_seqattn as ks
from keras_seqattn import visualization
from keras_seqattn.decoding import RECIPE
from keras_seqattn.decoding import decode_recording
from keras_seqattn.memory import RECIPES
from keras_seqattn.memory import train_memory_network

PATH = pathlib.Path(__file__).parent / "images/overview.png"


def main() -> None:
    matplotlib.use("Agg")
    matplotlib.style.use("keras_seqattn.visualization.style")
    import matplotlib.pyplot as plt

    recording = ks.tasks.simulated_reaching(bins=8000, kernel_length=5)
    report = decode_recording(
        recording,
        recipe=dataclasses.replace(
            RECIPE, epochs=8, batch_size=256, learning_rate=1.5e-2
        ),
        seeds=(0,),
        build=functools.partial(
            ks.models.build_neural_decoder, units=48, dropout=0.3
        ),
    )
    task = ks.tasks.factorial_task()
    memory = train_memory_network(
        lambda: ks.models.build_memory_network("factorial"),
        task,
        RECIPES["factorial"],
        seeds=(0,),
    )
    cases, far = task.test_cases(), 2
    modulation = ks.models.modulation_model(memory.model)
    gain = modulation.predict(cases.x, verbose=0)[far, ..., 0]
    bins, width = report.recommendation.timesteps, 1000 * recording.bin_width

    figure, axes = plt.subplots(1, 3, figsize=(13, 3.6), layout="constrained")
    visualization.plot_score_against_timesteps(
        report.recommendation, report.wiener_curve, axes[0]
    )
    # Titles above the legends.
    axes[0].set_title("How many bins are enough?", pad=24)
    visualization.plot_decoded_trace(
        report.predictions.true[:150, 0],
        report.predictions.decoded[:150, 0],
        recording.bin_width,
        recording.quantity,
        axes[1],
        bins=report.predictions.bins[:150],
    )
    axes[1].set_title(
        f"Decoded with {bins} bins of {width:.0f} ms",
        pad=24,
    )
    visualization.plot_modulation(
        gain,
        "gain",
        1.0,
        ax=axes[2],
        cue=cases.cue[far],
        query_step=cases.query_step[far],
    )
    axes[2].set_title("Remembered by gain", pad=24)
    PATH.parent.mkdir(exist_ok=True)
    figure.savefig(PATH, dpi=90)


if __name__ == "__main__":
    main()
