"""What is attention over time worth, beside simpler ways to one vector?

One recurrent encoder and one head, and between them the last state, the mean,
the maximum, attention of one learned query (Keras' MultiHeadAttention), or
TemporalAttention. All models have as many weights, within a few percent: where
the pooling needs none, the encoder is wider. The learning rate is chosen for
each pooling on validation data; in a recording of movement that is a part of
the time, in one of activities some of the training subjects of the first fold.

    KERAS_BACKEND=jax python -m benchmarks.pooling decode --data FILE
    KERAS_BACKEND=jax python -m benchmarks.pooling activity --data FILE
"""

import argparse
import dataclasses
import functools
import time

import keras
import numpy as np

import keras_seqattn as ks
from keras_seqattn import activity
from keras_seqattn import decoding
from keras_seqattn._training.seeded_model import SeededModel
from keras_seqattn._training.tables import markdown_table
from keras_seqattn._training.tables import mean_and_deviation
from keras_seqattn.activity.baselines import logistic_baseline
from keras_seqattn.activity.training import ActivityTrainer
from keras_seqattn.decoding.baselines import check_baselines
from keras_seqattn.decoding.baselines import fit_baselines
from keras_seqattn.decoding.data import DecodingData
from keras_seqattn.windows.activity_windows import subject_folds

POOLINGS = "last", "mean", "maximum", "one query", "attention"
RATES = 1e-3, 3e-3, 1e-2
DECODE = decoding.Recipe(epochs=10, batch_size=128, average="epoch")
ACTIVITY = activity.Recipe(
    epochs=10, schedule="cosine_by_epoch", label_smoothing=0.1, average=0.99,
    augmentation={"name": "rotate_and_scale"},
)  # fmt: skip


@keras.saving.register_keras_serializable(package="benchmarks")
class OneQuery(keras.layers.Layer):
    """Attention of one learned query, one head of 16."""

    def build(self, shape):
        self.query = self.add_weight(shape=(1, 1, shape[-1]))
        self.attention = keras.layers.MultiHeadAttention(1, 16)
        self.attention.build((None, 1, shape[-1]), shape)

    def call(self, x):
        query = keras.ops.repeat(self.query, keras.ops.shape(x)[0], axis=0)
        return self.attention(query, x)[:, 0]


def pool(name, x):
    if name == "last":
        return x[:, -1]
    layer = {
        "mean": keras.layers.GlobalAveragePooling1D,
        "maximum": keras.layers.GlobalMaxPooling1D,
        "one query": OneQuery,
        "attention": ks.layers.TemporalAttention,
    }[name]()
    if name == "attention":
        return layer(x, return_attention_scores=True)[0]
    return layer(x)


def decoder(name, units, timesteps, channels, outputs):
    x = inputs = keras.Input((timesteps, channels))
    x = keras.layers.LSTM(
        units, return_sequences=True, dropout=0.3, recurrent_dropout=0.3
    )(x)
    x = keras.layers.Dense(64, activation="relu")(pool(name, x))
    return keras.Model(inputs, keras.layers.Dense(outputs)(x))


def classifier(name, units, timesteps, channels, classes):
    x = inputs = keras.Input((timesteps, channels))
    for _ in range(2):
        x = keras.layers.Conv1D(
            32, 5, strides=2, padding="causal", activation="relu"
        )(x)
    x = keras.layers.LSTM(units, return_sequences=True)(x)
    x = keras.layers.Dropout(0.3)(pool(name, x))
    return keras.Model(inputs, keras.layers.Dense(classes, "softmax")(x))


def widest(build, name, units, *shape):
    """The most units for which a model has no more weights than attention's.

    One fewer than attention's where even as many are too much: one query, which
    then has a few percent more.
    """
    most = build("attention", units, *shape).count_params()
    while build(name, units, *shape).count_params() <= most:
        units += 1
    return units - 1


class Decoders:
    """Trains decoders of one pooling, and scores them."""

    def __init__(self, data, name, timesteps, units):
        (x, y), self.data = data.windows("train", timesteps), data
        # Windows of neighbouring bins are nearly the same.
        self.x, self.y, self.timesteps = x[::2], y[::2], timesteps
        self.shape = timesteps, x.shape[2], y.shape[1]
        units = widest(decoder, name, units, *self.shape)
        self.build = lambda: decoder(name, units, *self.shape)
        self.seeded = {}

    def fit(self, rate, seed):
        """R2 of the validation part, and of the test part."""
        recipe = dataclasses.replace(DECODE, learning_rate=rate)
        size = recipe.batch_size
        if rate not in self.seeded:
            self.seeded[rate] = SeededModel(
                self.build,
                recipe.make_optimizer(-(-len(self.x) // size)),
                "mse",
                (self.x[:size], self.y[:size]),
            )
        trained = self.seeded[rate]
        trained.fit(
            seed, self.x, self.y, batch_size=size, epochs=recipe.epochs,
            callbacks=[*recipe.callbacks(), recipe.early_stopping()],
            validation_data=self.data.windows("validation", self.timesteps),
            validation_batch_size=1024, title="", verbose=0,
        )  # fmt: skip
        self.model = trained.model
        found = []
        for part in ("validation", "test"):
            x, _ = self.data.windows(part, self.timesteps)
            y = trained.model.predict(x, batch_size=1024, verbose=0)
            found.append(self.data.score(part, y).r2)
        return found


def decode(data, given):
    rows = []
    simple = fit_baselines(check_baselines(None), data, [20])
    for (name, _), one in simple.items():
        rows.append([name, "", "", "", f"{one.score(data).r2:.3f}"])
    for name in given.poolings:
        models = Decoders(data, name, 20, given.units)
        first = {rate: models.fit(rate, given.seeds[0]) for rate in given.rates}
        best = max(first, key=lambda rate: first[rate][0])
        found = [first[best]]
        found += [models.fit(best, seed) for seed in given.seeds[1:]]
        scores = map(mean_and_deviation, zip(*found, strict=True))
        weights = f"{models.model.count_params():,}"
        rows.append([name, weights, f"{best:g}", *scores])
        print(rows[-1], first, flush=True)
    return ["pooling", "weights", "rate", "validation R2", "test R2"], rows


def recognize(windows, given):
    folds = subject_folds(windows.subject, given.folds)
    shape = (*windows.x.shape[1:], len(windows.classes))
    commonest = np.bincount(windows.y).max() / len(windows.y)
    scores = [
        logistic_baseline(windows, *fold, features="statistics")
        for fold in folds
    ]
    logistic = activity.Score.pooled(scores)
    rows = [
        ["most frequent class", "", "", "", f"{commonest:.3f}", ""],
        [
            "logistic regression, statistics",
            "",
            "",
            "",
            f"{logistic.accuracy:.3f}",
            f"{logistic.macro_f1:.3f}",
        ],
    ]
    others = folds[0][0]
    inner = [
        others[part] for part in subject_folds(windows.subject[others], 4)[0]
    ]
    smallest = min(len(train) for train, _ in [*folds, inner])

    @functools.cache
    def trainer(name, units, rate):
        return ActivityTrainer(
            windows,
            functools.partial(classifier, name, units),
            dataclasses.replace(ACTIVITY, learning_rate=rate),
            smallest,
            verbose=0,
        )

    def predict(key, seed, train, test):
        trained = trainer(*key).train(seed, train)
        return trained.probabilities(test, "final").argmax(axis=1)

    def chosen_by(key):
        right = predict(key, 100, *inner) == windows.y[inner[1]]
        return float(right.mean())

    for name in given.poolings:
        units = widest(classifier, name, 32, *shape)
        first = {rate: chosen_by((name, units, rate)) for rate in given.rates}
        best, found = max(first, key=first.get), []
        for seed in given.seeds:
            predicted = np.zeros(len(windows.y), int)
            for fold in folds:
                key = name, units, best
                predicted[fold[1]] = predict(key, seed, *fold)
            found.append(activity.Score.of(windows.y, predicted, shape[2]))
        weights = trainer(name, units, best).build().count_params()
        weights = f"{weights:,}"
        rows.append([
            name, weights, f"{best:g}", f"{first[best]:.3f}",
            mean_and_deviation([score.accuracy for score in found]),
            mean_and_deviation([score.macro_f1 for score in found]),
        ])  # fmt: skip
        print(rows[-1], first, flush=True)
    return [
        "pooling",
        "weights",
        "rate",
        "validation",
        "accuracy",
        "macro F1",
    ], rows


def add_recording(parser):
    parser.add_argument("--data", help="default: simulated reaching")
    parser.add_argument("--behavior", nargs="+")
    parser.add_argument("--quantity")
    parser.add_argument("--bin-width", type=float)
    parser.add_argument("--units", type=int, default=48, help="of a decoder")


def load(given):
    """The recording in windows of 20 bins."""
    recording = ks.tasks.simulated_reaching(bins=8000, kernel_length=5)
    if given.data:
        recording = decoding.load_recording(
            given.data,
            given.behavior,
            quantity=given.quantity,
            bin_width=given.bin_width,
        )
    return DecodingData(recording, 20)


def main():
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("what", choices=("decode", "activity"))
    add_recording(parser)
    parser.add_argument("--poolings", nargs="+", default=POOLINGS)
    parser.add_argument("--rates", type=float, nargs="+", default=RATES)
    parser.add_argument("--seeds", type=int, nargs="+", default=range(3))
    parser.add_argument("--folds", type=int, default=5)
    given = parser.parse_args()
    start = time.process_time()
    if given.what == "activity":
        head, rows = recognize(activity.load_recordings(given.data), given)
    else:
        head, rows = decode(load(given), given)
    print(markdown_table(head, rows))
    print(f"{(time.process_time() - start) / 60:.0f} minutes of CPU")


if __name__ == "__main__":
    main()
