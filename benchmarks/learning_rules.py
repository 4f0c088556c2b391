"""Does burstprop learn as well as backpropagation, each with its best rates?

Searches the learning rates of every method with the same number of trials on a
validation part of the training images, then trains each from five seeds and
scores it once on the test images. Prints the best trials of each search, to
see whether a range was too narrow, and the table.

    KERAS_BACKEND=jax python benchmarks/learning_rules.py
    KERAS_BACKEND=jax python benchmarks/learning_rules.py --data mnist_folder \
        --hidden 200 100 --epochs 10
"""

import argparse
import dataclasses
import json
import pathlib
import time

import keras_seqattn.learning_rules as rules


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--data", help="MNIST; default: scikit-learn's digits")
    parser.add_argument("--methods", nargs="+", default=list(rules.METHODS))
    parser.add_argument("--hidden", type=int, nargs="+", default=[100, 100])
    parser.add_argument("--epochs", type=int, default=40)
    parser.add_argument("--trials", type=int, default=20)
    parser.add_argument("--seeds", type=int, nargs="+", default=range(5))
    parser.add_argument("--output", type=pathlib.Path, help="JSON file")
    arguments = parser.parse_args()

    images = (
        rules.load_mnist(arguments.data)
        if arguments.data
        else rules.load_digits()
    )
    start = time.time()
    report = rules.compare_learning_rules(
        images,
        arguments.hidden,
        dataclasses.replace(rules.RECIPE, epochs=arguments.epochs),
        methods=arguments.methods,
        search=rules.RateSearch(arguments.trials),
        seeds=arguments.seeds,
        verbose=0,
    )
    seconds = time.time() - start
    print(f"{report.search}\n{report.settings}, images {report.images}")
    for name, result in report.results.items():
        print(f"{name}: validation errors, rate and ratio in its units")
        for trial in result.trials[:5]:
            print(
                f"  {[round(100 * error, 2) for error in trial.errors]} "
                f"{trial.rates.output:.4f} {trial.rates.ratio:.2f}"
            )
        print("  test", [round(100 * e, 2) for e in result.test_errors])
    print(f"\n{report.table()}\n\n{seconds:.0f} s")
    if arguments.output:
        arguments.output.write_text(json.dumps(report.to_dict()))


if __name__ == "__main__":
    main()
