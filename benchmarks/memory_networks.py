"""Do the memory networks solve their tasks, on every seed?

Trains each preset with its recipe from several seeds, and scores it on fresh
sequences. Prints one line a run: accuracy, by delay from close to far, the
squared error, what happened to the held-out accuracy after it first reached
0.99 (a spike shows as a low minimum), and seconds.

    KERAS_BACKEND=jax python benchmarks/memory_networks.py
"""

import argparse
import dataclasses
import time

import numpy as np

import keras_seqattn as ks
from keras_seqattn.memory import RECIPES
from keras_seqattn.memory import MemoryTrainer

TASKS = {
    "one_neuron": ks.tasks.CueRecall(),
    "one_neuron_all": ks.tasks.CueRecall(),
    "one_neuron_adaptive": ks.tasks.CueRecall(),
    "factorial": ks.tasks.factorial_task(),
    "additive": ks.tasks.additive_task(),
    "association": ks.tasks.CueAssociation(
        num_keys=8, num_values=9, num_pairs=4, distractor_rate=0.1
    ),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("presets", nargs="*", default=list(TASKS))
    parser.add_argument("--seeds", type=int, nargs="+", default=range(5))
    parser.add_argument("--loss")
    parser.add_argument("--steps", type=int)
    arguments = parser.parse_args()
    changes = {
        name: value
        for name in ("loss", "steps")
        if (value := getattr(arguments, name))
    }

    for preset in arguments.presets:
        task = TASKS[preset]
        sizes = {}
        if preset == "association":
            sizes = {"features": task.features, "outputs": task.outputs}
        trainer = MemoryTrainer(
            lambda preset=preset, sizes=sizes: ks.models.build_memory_network(
                preset, **sizes
            ),
            task,
            dataclasses.replace(RECIPES[preset], **changes),
        )
        levels = {
            name: f"{level.accuracy:.4f} (MSE {level.mse:.4f})"
            for name, level in task.reference_levels(
                task.sample(20_000, 0)
            ).items()
        }
        binding = getattr(task, "no_binding_accuracy", None)
        print(
            f"{preset}: {trainer.recipe}\n  chance {task.chance:.4f}, no "
            f"binding {binding and round(binding, 4)}, {levels}",
            flush=True,
        )
        for seed in arguments.seeds:
            start = time.time()
            history = trainer.fit(seed, verbose=0)
            seconds = time.time() - start
            outputs, batch = trainer.test(seed, 4000)
            correct = task.correct(outputs, batch)
            by_delay = ks.tasks.accuracy_by_delay(correct, batch.delay, bins=4)
            held_out = np.array(history["val_accuracy"])
            solved = np.flatnonzero(held_out >= 0.99)
            after = held_out[solved[0] :].min() if len(solved) else np.nan
            first = (
                (solved[0] + 1) * trainer.recipe.steps_per_epoch
                if len(solved)
                else "never"
            )
            finite = np.isfinite(history["loss"] + history["val_loss"]).all()
            print(
                f"  seed {seed}: accuracy {correct.mean():.4f}, by delay "
                f"{np.round(by_delay.accuracy, 4).tolist()}, MSE "
                f"{np.mean((outputs - batch.y) ** 2):.5f}; held out >= 0.99 "
                f"at step {first}, lowest after {after:.3f}, at the end "
                f"{held_out[-1]:.3f}; finite {finite}; {seconds:.0f} s",
                flush=True,
            )


if __name__ == "__main__":
    main()
