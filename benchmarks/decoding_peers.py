"""The baselines beside the public package `neural-decoding`, and networks.

python benchmarks/decoding_peers.py --data FILE [--peer-python PYTHON]
    [--timesteps 20] [--xgboost] [--networks] [--seeds 0 1 2]

FILE is an `.npz` file with `spikes`, `vel` and, if there, `pos`, `segment` and
`dt`. Without `--peer-python`, the package is installed into an environment in
a temporary folder; nothing here depends on it.

The first table compares like with like: the same windows, counts
standardized and not transformed, no penalty, for the Kalman filter the same
states of position (`pos`, where there), velocity and acceleration, its lag
chosen on the validation part. It ends with exit status 1 where the test R2
(weighted by variance) differs by more than 0.005. What differs:

- The cascade's cubic stays at its ends outside of the training range; the
  package's goes on.
- The package knows no seams: its Kalman filter is fitted and decodes as if one
  segment followed the other. Here no pair of bins crosses one, and decoding
  begins anew. So there are two rows of it: "over seams" does as the package
  does, and is held to the tolerance; the other shows what the seams cost.
- The package computes the gain anew in each bin, and begins at the true state;
  here it is the settled gain, and begins at the training mean.

The second table is what `decode_recording` shows (penalty and transform
chosen on the validation part, the position from the velocity), and, by
`--networks`, this package's decoder and what labs run: one layer of 400 units,
RMSprop, standardized counts, as many epochs as validation asks for.
"""

import argparse
import pathlib
import subprocess
import sys
import tempfile
import venv

import keras
import numpy as np

import keras_seqattn as ks
from keras_seqattn._training.tables import markdown_table
from keras_seqattn._training.tables import mean_and_deviation
from keras_seqattn.decoding.baselines import check_baselines
from keras_seqattn.decoding.baselines import fit_baselines
from keras_seqattn.decoding.compare import BUILD
from keras_seqattn.decoding.costs import COST_TITLES
from keras_seqattn.decoding.costs import cost_cells
from keras_seqattn.decoding.count_bins import CountScale
from keras_seqattn.decoding.count_bins import runs_of
from keras_seqattn.decoding.count_bins import window_batches
from keras_seqattn.decoding.kalman import LinearModel
from keras_seqattn.decoding.training import DecoderTrainer

PEER = "neural-decoding==0.1.5"
TOLERANCE = 0.005
LAGS = range(7)
PARTS = ("train", "validation", "test")
CHILD = pathlib.Path(__file__).with_name("neural_decoding_package.py")


def install(folder, *packages):
    """Return a Python of its own that has the packages."""
    venv.create(folder, with_pip=True)
    windows = sys.platform == "win32"
    python = pathlib.Path(folder, "Scripts" if windows else "bin", "python")
    subprocess.run(  # noqa: S603
        [python, "-m", "pip", "install", "--quiet", *packages], check=True
    )
    return python


def kalman_states(data, position):
    """Position, velocity, acceleration; standardized by training bins."""
    velocity = data.recording.movement.astype("float64")
    every = np.arange(len(velocity))
    integral, change = np.zeros_like(velocity), np.zeros_like(velocity)
    for run in runs_of(data, every):
        integral[run] = np.cumsum(velocity[run], axis=0)
        if len(run) > 1:
            steps = np.diff(velocity[run], axis=0)
            # The last is repeated, as the package's examples have it.
            change[run] = np.concatenate([steps, steps[-1:]])
    position = integral if position is None else position
    states = np.concatenate([position, velocity, change], axis=1)
    train = states[data.bins("train")]
    center, spread = train.mean(axis=0), train.std(axis=0)
    return (states - center) / spread, center, spread


def peer_arrays(data, states):
    scale = CountScale.of(data, None)
    arrays = {"counts": scale(data.recording.spikes), "states": states}
    for part in PARTS:
        batches = list(window_batches(data, part, scale, data.timesteps))
        arrays[f"x_{part}"] = np.concatenate([x for x, _ in batches])
        arrays[f"y_{part}"] = np.concatenate([y for _, y in batches])
        arrays[f"bins_{part}"] = data.bins(part)
    return arrays | {"lags": np.array(LAGS)}


def run_peer(data, position, python, xgboost):
    """Return the package's decoded test movement, by name."""
    states, center, spread = kalman_states(data, position)
    with tempfile.TemporaryDirectory() as folder:
        source, target = f"{folder}/arrays.npz", f"{folder}/decoded.npz"
        np.savez(source, **peer_arrays(data, states))
        if python is None:
            needed = ("numpy", "scipy", "scikit-learn")
            extra = ["xgboost"] if xgboost else []
            python = install(f"{folder}/peer", PEER, *needed, *extra)
        options = ["--xgboost"] if xgboost else []
        subprocess.run(  # noqa: S603
            [python, CHILD, source, target, *options],
            check=True,
            stdout=subprocess.DEVNULL,  # warnings of what is not installed
        )
        with np.load(target) as file:
            found = dict(file)
    axes = data.recording.movement.shape[1]
    moved = slice(axes, 2 * axes)
    for lag in LAGS:
        decoded = found.pop(f"Kalman filter|{lag}") * spread + center
        for part in PARTS[1:]:
            found[f"Kalman filter, lag {lag}|{part}"] = decoded[
                data.ends[part], moved
            ]

    def r2(name, part):
        true = data.recording.movement[data.ends[part]]
        return ks.decoding.Score.of(true, found[f"{name}|{part}"]).r2

    names = dict.fromkeys(key.split("|")[0] for key in found)
    kalman = [name for name in names if name.startswith("Kalman")]
    best = max(kalman, key=lambda name: r2(name, "validation"))
    print(f"The package's Kalman filter: {best.split(', ')[1]} of {list(LAGS)}")
    scores = {name: r2(name, "test") for name in names if name not in kalman}
    return {**scores, "Kalman filter": r2(best, "test")}


def over_seams(data, position):
    """Return lag and test R2 of a Kalman filter that knows no seams."""
    states, center, spread = kalman_states(data, position)
    scaled = CountScale.of(data, None)(data.recording.spikes)
    bins = data.bins("train")

    def score(kalman, part):
        kalman.reset()
        bins = data.bins(part)
        decoded = [kalman.push(x) for x in data.recording.spikes[bins]]
        ends = data.ends[part]
        found = np.stack(decoded)[np.searchsorted(bins, ends)]
        return ks.decoding.Score.of(data.recording.movement[ends], found).r2

    fitted = []
    for lag in LAGS:
        kalman = ks.decoding.KalmanFilter([lag], 1, position, [None]).fit(data)
        kalman.center, kalman.spread = center, spread
        kalman.model = LinearModel.fit(
            states[bins], scaled[bins], [np.arange(len(bins))], lag
        )
        fitted.append(kalman)
    best = max(fitted, key=lambda kalman: score(kalman, "validation"))
    return best.lag, score(best, "test")


def like_with_like(data, position, python, xgboost):
    """Print the first table, and return the largest difference."""
    peer = run_peer(data, position, python, xgboost)
    wiener = ks.decoding.WienerFilter([0], [None]).fit(data)
    cascade = ks.decoding.WienerCascade(3, [0], [None]).fit(data)
    lag, alike = over_seams(data, position)
    kalman = ks.decoding.KalmanFilter(LAGS, 1, position, [None]).fit(data)
    print(f"Here: lag {lag} over seams, else {kalman.lag}\n")
    rows, differences = [], []
    for name, ours, key in (
        ("Wiener filter", wiener.score(data).r2, "Wiener filter"),
        ("Wiener cascade", cascade.score(data).r2, "Wiener cascade"),
        ("Kalman filter over seams", alike, "Kalman filter"),
        ("Kalman filter", kalman.score(data).r2, "Kalman filter"),
    ):
        theirs = peer[key]
        if name != "Kalman filter":
            differences.append(abs(ours - theirs))
        numbers = f"{ours:.4f}", f"{theirs:.4f}", f"{ours - theirs:+.4f}"
        rows.append([name, *numbers])
    if xgboost:
        rows.append(["XGBoost", "", f"{peer['XGBoost']:.4f}", ""])
    head = ["test R2", "here", "neural-decoding", "difference"]
    print(markdown_table(head, rows), "\n")
    return max(differences)


def as_labs_run(data, layer, seed):
    """Train a network of 400 units; return the model and its test R2."""
    keras.utils.set_random_seed(seed)
    x, y = data.windows("train")
    model = keras.Sequential(
        [
            keras.Input(x.shape[1:]),
            layer(400),
            keras.layers.Dense(y.shape[1]),
        ]
    )
    model.compile("rmsprop", "mse")
    model.fit(
        x,
        y,
        batch_size=128,
        epochs=40,
        validation_data=data.windows("validation"),
        callbacks=[
            keras.callbacks.EarlyStopping(patience=6, restore_best_weights=True)
        ],
        verbose=0,
    )
    windows, _ = data.windows("test")
    decoded = model.predict(windows, batch_size=1024, verbose=0)
    return model, data.score("test", decoded).r2


def as_reported(recording, timesteps, networks, seeds):
    """Print the second table."""
    data = ks.decoding.DecodingData(recording, timesteps)
    rows = []
    fitted = fit_baselines(check_baselines(None), data, [timesteps])
    for (name, _), decoder in fitted.items():
        r2 = decoder.score(data).r2
        rows.append([name, f"{r2:.3f}", *cost_cells(decoder.costs)])
    if networks:
        plain = ks.decoding.DecodingData(recording, timesteps, transform=None)
        for layer in (keras.layers.GRU, keras.layers.LSTM):
            models, scores = zip(
                *(as_labs_run(plain, layer, seed) for seed in seeds),
                strict=True,
            )
            costs = cost_cells(ks.decoding.model_costs(models[0]))
            name = f"{layer.__name__} of 400 units"
            rows.append([name, mean_and_deviation(scores), *costs])
        trained = DecoderTrainer(
            data,
            BUILD,
            tuple(seeds),
            ks.decoding.RECIPE,
            0,
        ).train("last", timesteps)
        scores = [score.r2 for score in trained.scores("test")]
        costs = cost_cells(ks.decoding.model_costs(trained.model))
        rows.append(["this decoder", mean_and_deviation(scores), *costs])
    print(markdown_table(["decoder", "test R2", *COST_TITLES], rows))


def main():
    parser = argparse.ArgumentParser(
        description=__doc__.splitlines()[0],
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    parser.add_argument("--data", required=True, help="an .npz recording")
    parser.add_argument("--peer-python", help="a Python that has the package")
    parser.add_argument("--timesteps", type=int, default=20)
    parser.add_argument("--xgboost", action="store_true")
    parser.add_argument("--networks", action="store_true")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    given = parser.parse_args()
    recording = ks.decoding.load_recording(given.data, "vel")
    with np.load(given.data, allow_pickle=False) as file:
        position = file["pos"] if "pos" in file else None
    data = ks.decoding.DecodingData(recording, given.timesteps)
    largest = like_with_like(data, position, given.peer_python, given.xgboost)
    as_reported(recording, given.timesteps, given.networks, given.seeds)
    if largest > TOLERANCE:
        sys.exit(
            f"A test R2 differs from {PEER} by {largest:.4f}, more than "
            f"{TOLERANCE}."
        )


if __name__ == "__main__":
    main()
