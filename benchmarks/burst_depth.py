"""How do bursts fare with depth, beside other ways to send an error down?

Digits of 8x8 pixels, 1 to 5 hidden layers of 100 sigmoids. Beside the methods
of `learning_rules`: direct feedback alignment (Nøkland 2016), where the output
reaches every hidden layer by random weights of its own, and sign symmetry
(Liao et al. 2016), where what comes down goes through the signs of the kernels.
Learning rates are searched for each method and depth on images cut from the
training part; test images are scored once a seed.

    KERAS_BACKEND=jax python -m benchmarks.burst_depth --folder FOLDER

Prints a table of test errors, and one of the angle in degrees between what a
method teaches a hidden layer and what backpropagation would, the mean over the
epochs of the mean over the seeds, lowest layer first. `--folder` keeps what is
found, and what is there is not run again.
"""

import argparse
import dataclasses
import time

import keras
import numpy as np
from keras import ops

import keras_seqattn as ks
import keras_seqattn.learning_rules as rules
from benchmarks.kept import Kept
from keras_seqattn._training.tables import markdown_table
from keras_seqattn.callbacks import BurstPropMonitor

STDDEV = 0.1  # of random feedback, as in `learning_rules.METHODS`


class SentDown(ks.models.BurstPropNetwork):
    """Hidden updates are `e (1 - e)` times what a way of sending says."""

    def bursts(self, rates, targets):
        *hidden, output = super().bursts(rates, targets)
        found = [output]
        for above, layer in zip(
            self.burst_layers[:0:-1], hidden[::-1], strict=True
        ):
            received = self.send(above, found[-1].update, output.update)
            update = layer.events * (1 - layer.events) * received
            found.append(layer._replace(update=update))
        return found[::-1]


class Direct(SentDown):
    """Of the random weights, the columns that an output needs."""

    def send(self, above, update, output):
        way = above.feedback_kernel[:, : output.shape[-1]]
        return ops.matmul(output, ops.transpose(way))


class Signs(SentDown):
    """Of the size that random weights have."""

    def send(self, above, update, output):
        return STDDEV * ops.matmul(
            update, ops.transpose(ops.sign(above.kernel))
        )


def method(kind):
    return rules.Method(
        lambda units: kind(
            list(units),
            burst_probability=0.2,
            feedback_stddev=STDDEV,
            weight_decay=1e-4,
        ),
        ratio_unit=1.0,
    )


NAMES = (
    "backpropagation",
    "burstprop",
    "burstprop, fixed feedback",
    "feedback alignment",
    "direct feedback alignment",
    "sign symmetry",
    "output only",
)


def run(name, depth, images, given):
    """Test errors of all seeds, and the angles of each hidden layer."""
    x, y = images.x_train[:300], images.y_train[:300]
    watch = (
        []
        if name == "backpropagation"
        else [BurstPropMonitor(x, keras.utils.to_categorical(y))]
    )
    start = time.process_time()
    report = rules.compare_learning_rules(
        images,
        [100] * depth,
        dataclasses.replace(rules.RECIPE, epochs=given.epochs),
        methods=[name],
        search=rules.RateSearch(
            given.trials, finalists=2, repeats=1, ratio=(0.5, 16.0)
        ),
        seeds=given.seeds,
        callbacks=lambda _: watch,
        verbose=0,
    )
    result = report.results[name]
    key = "layer_{}/angle_to_backprop"
    return {
        "errors": result.test_errors,
        "validation": result.best.errors,
        "rates": result.best.rates,
        "angles": [
            np.mean([history[key.format(n)] for history in result.histories])
            for n in range(depth if watch else 0)
        ],
        "baselines": report.baselines,
        "minutes": (time.process_time() - start) / 60,
    }


def percent(errors):
    return f"{100 * np.mean(errors):.2f} ± {100 * np.std(errors, ddof=1):.2f}"


def main():
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--depths", type=int, nargs="+", default=range(1, 6))
    parser.add_argument("--methods", nargs="+", default=NAMES)
    parser.add_argument("--epochs", type=int, default=30)
    parser.add_argument("--trials", type=int, default=8)
    parser.add_argument("--seeds", type=int, nargs="+", default=range(3))
    parser.add_argument("--folder", help="keeps what was found")
    given = parser.parse_args()
    rules.METHODS["direct feedback alignment"] = method(Direct)
    rules.METHODS["sign symmetry"] = method(Signs)
    images = rules.load_digits()
    kept, found = Kept(given.folder), {}
    for depth in given.depths:
        for name in given.methods:
            found[name, depth] = one = kept.get(
                f"{name}_{depth}", run, name, depth, images, given
            )
            print(depth, name, one, flush=True)
    head = [f"{depth} hidden" for depth in given.depths]
    rows = [
        [baseline, *[f"{100 * error:.2f}"] * len(head)]
        for baseline, error in one["baselines"].items()
    ]
    for name in given.methods:
        errors = [found[name, depth]["errors"] for depth in given.depths]
        rows.append([name, *map(percent, errors)])
    print(markdown_table(["test error, %", *head], rows))
    rows = [
        [
            name,
            *(
                ", ".join(f"{a:.0f}" for a in found[name, depth]["angles"])
                for depth in given.depths
            ),
        ]
        for name in given.methods
        if found[name, given.depths[0]]["angles"]
    ]
    print(markdown_table(["angle, degrees", *head], rows))
    minutes = sum(one["minutes"] for one in found.values())
    print(f"{minutes:.0f} minutes of CPU")


if __name__ == "__main__":
    main()
