"""What is attention's proposal of a window worth, beside validation alone?

A decoder of the last state is trained at every length of the window, from
several seeds. Then ways to choose a length are compared, by how many of these
trainings each needs and by the test R2 of what it chooses: the shortest within
the tolerance of the full window's validation R2, of all lengths; the search of
`recommend_timesteps`, which starts in the middle or at either end; the same
from attention's proposal, which costs the training of a decoder with attention.

    KERAS_BACKEND=jax python -m benchmarks.proposed_window --data FILE
    KERAS_BACKEND=jax python -m benchmarks.proposed_window --count

`--count` trains nothing: it counts what the search would train, by how far the
proposal is from the right answer, over all right answers from 1 to 20 bins.

Without `--data`, simulated reaching whose newest 5 bins hold everything. The
learning rate is chosen at the full window, on validation data.
"""

import argparse
import time

import numpy as np

from benchmarks.pooling import RATES
from benchmarks.pooling import Decoders
from benchmarks.pooling import add_recording
from benchmarks.pooling import load
from keras_seqattn import decoding
from keras_seqattn._training.tables import markdown_table
from keras_seqattn._training.tables import mean_and_deviation
from keras_seqattn.models import attention_scores_model


def attention(data, given, longest):
    """The attention scores on the training windows, of each seed."""
    decoder = Decoders(data, "attention", longest, given.units)
    rate = best_rate(decoder, given)
    x, _ = data.windows("train", longest)
    found = []
    for seed in given.seeds:
        decoder.fit(rate, seed)
        scores = attention_scores_model(decoder.model)
        found.append(scores.predict(x, batch_size=1024, verbose=0))
    return found


def trainings(right, start, longest=20):
    """How many lengths the search tries where `right` bins are enough."""
    found = decoding.recommend_timesteps(
        lambda k: float(k >= right), start, longest
    )
    return len(found.scores)


def count(longest=20):
    """The table of `--count`; the decoder with attention counts too."""
    rights = range(1, longest + 1)
    middle = [trainings(right, longest // 2) for right in rights]
    rows = [["no proposal: search from the middle", *summary(middle)]]
    for off in (*range(-5, 6), -11):
        counts = [
            1 + trainings(right, right + off)
            for right in rights
            if right + off in rights
        ]
        rows.append([f"proposal off by {off:+}", *summary(counts)])
    rows.append(["every length", str(longest), "", ""])
    head = ["", "trainings, mean", "least", "most"]
    print(markdown_table(head, rows))


def summary(counts):
    return f"{np.mean(counts):.1f}", str(min(counts)), str(max(counts))


def best_rate(decoder, given):
    return max(
        given.rates, key=lambda rate: decoder.fit(rate, given.seeds[0])[0]
    )


def main():
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add_recording(parser)
    parser.add_argument("--rates", type=float, nargs="+", default=RATES)
    parser.add_argument("--seeds", type=int, nargs="+", default=range(3))
    parser.add_argument("--tolerance", type=float, default=0.005)
    parser.add_argument("--count", action="store_true")
    given = parser.parse_args()
    if given.count:
        count()
        return
    begun, data = time.process_time(), load(given)
    longest = data.timesteps
    selection = decoding.select_timesteps(attention(data, given, longest))
    proposal = selection.timesteps
    print(f"attention proposes {proposal}, by seed {selection.per_seed}")
    rate = best_rate(Decoders(data, "last", longest, given.units), given)
    validation, test = {}, {}
    for k in range(1, longest + 1):
        decoder = Decoders(data, "last", k, given.units)
        found = [decoder.fit(rate, seed) for seed in given.seeds]
        validation[k], test[k] = zip(*found, strict=True)
        print(k, validation[k], test[k], flush=True)

    mean = {k: np.mean(found) for k, found in validation.items()}
    enough = mean[longest] - given.tolerance
    ways = {"all lengths": (min(k for k in mean if mean[k] >= enough), longest)}
    for name, start in (
        ("search from the full window", longest),
        ("search from the middle", longest // 2),
        ("search from 1", 1),
        ("search from attention's proposal", proposal),
    ):
        found = decoding.recommend_timesteps(
            mean.get, start, longest, given.tolerance
        )
        extra = "attention" in name
        ways[name] = found.timesteps, len(found.scores) + extra
    ways["attention's proposal alone"] = proposal, 2
    ways["all bins"] = longest, 1
    rows = [
        [name, str(count), str(k), mean_and_deviation(test[k])]
        for name, (k, count) in ways.items()
    ]
    head = ["chosen by", "trainings a seed", "timesteps", "test R2"]
    print(markdown_table(head, rows))
    print(f"{(time.process_time() - begun) / 60:.0f} minutes of CPU")


if __name__ == "__main__":
    main()
