"""Decode a recording: search the window length, train, compare, report."""

import dataclasses
import time
from collections.abc import Callable
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np

from keras_seqattn.argument_checks import check_choice
from keras_seqattn.argument_checks import check_positive_integer
from keras_seqattn.models.neural_decoder import attention_scores_model
from keras_seqattn.models.neural_decoder import build_neural_decoder
from keras_seqattn.recording import Recording
from keras_seqattn.timestep_selection import TimestepRecommendation
from keras_seqattn.timestep_selection import TimestepSelection
from keras_seqattn.timestep_selection import check_threshold
from keras_seqattn.timestep_selection import check_tolerance
from keras_seqattn.timestep_selection import recommend_timesteps
from keras_seqattn.timestep_selection import select_timesteps
from keras_seqattn.windows import Standardizer
from keras_seqattn.windows import chronological_split
from keras_seqattn.windows import take_windows
from keras_seqattn.windows import window_ends

PARTS = ("train", "validation", "test")


class DecodingData:
    """Windows of a recording, split by time and standardized.

    Counts are square-rooted (which makes the variance of Poisson counts
    equal) unless `transform` is `None`, then spikes and movement are
    standardized by the bins of the training windows alone. Windows of every
    length end at the same bins, so that lengths can be compared.

    Args:
        recording: A `Recording`.
        timesteps: Positive integer, the longest window in bins.
        fractions: Shares of the recording for training, validation and test,
            in time order.
        transform: `"sqrt"` or `None`.

    Raises:
        ValueError: Negative counts to take a root of, no window, or a part
            without a window.
    """

    def __init__(
        self,
        recording: Recording,
        timesteps: int,
        fractions: Sequence[float] = (0.7, 0.1, 0.2),
        transform: str | None = "sqrt",
    ) -> None:
        check_choice("transform", transform, ("sqrt", None))
        if len(fractions) != 3:
            raise ValueError(
                "`fractions` must hold three shares, of training, validation "
                f"and test. Received: fractions={fractions}"
            )
        spikes = recording.spikes
        if transform == "sqrt":
            if spikes.min() < 0:
                raise ValueError(
                    "`spikes` must not be negative for transform='sqrt'; use "
                    "transform=None for rates that are already scaled. "
                    f"Received: a minimum of {spikes.min()}"
                )
            spikes = np.sqrt(spikes)
        self.recording = recording
        self.timesteps = timesteps
        self.transform = transform
        ends = window_ends(np.asarray(recording.segment), timesteps)
        parts = chronological_split(ends, len(spikes), timesteps, fractions)
        self.ends = dict(zip(PARTS, parts, strict=True))
        # Every bin that a training window holds, each once.
        change = np.zeros(len(spikes) + 1, dtype=np.int64)
        np.add.at(change, self.ends["train"] - timesteps + 1, 1)
        np.add.at(change, self.ends["train"] + 1, -1)
        in_training = np.cumsum(change[:-1]) > 0
        self.spike_standardizer = Standardizer.fit(spikes[in_training])
        self.movement_standardizer = Standardizer.fit(
            recording.movement[self.ends["train"]]
        )
        self._spikes = self.spike_standardizer.transform(spikes)
        self._movement = self.movement_standardizer.transform(
            recording.movement
        )

    def windows(
        self, part: str, timesteps: int | None = None
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return the standardized windows of a part and their targets.

        Args:
            part: `"train"`, `"validation"` or `"test"`.
            timesteps: Length of the windows, at most the longest. Default:
                the longest.

        Returns:
            Arrays `(windows, timesteps, units)` and `(windows, axes)`.
        """
        timesteps = self.timesteps if timesteps is None else timesteps
        if not 1 <= timesteps <= self.timesteps:
            raise ValueError(
                f"`timesteps` must be in 1 .. {self.timesteps}, the longest "
                f"window. Received: timesteps={timesteps}"
            )
        ends = self.ends[check_choice("part", part, PARTS)]
        return (
            take_windows(self._spikes, ends, timesteps),
            self._movement[ends],
        )

    def score(self, part: str, decoded: np.ndarray) -> "Score":
        """Score standardized predictions for the windows of a part."""
        return Score.of(
            self.recording.movement[self.ends[part]],
            self.movement_standardizer.inverse(decoded),
        )

    def deploy(self, decoder: keras.Model) -> keras.Model:
        """Wrap a decoder so that it takes counts and returns movement.

        The square root and both standardizations become part of the model.

        Args:
            decoder: A model from standardized windows to standardized
                movement.

        Returns:
            A `keras.Model` from spike counts `(batch, timesteps, units)` to
            movement in the recording's own unit `(batch, axes)`.
        """
        counts = keras.Input(decoder.input_shape[1:], name="spike_counts")
        x = keras.ops.sqrt(counts) if self.transform == "sqrt" else counts
        x = keras.layers.Normalization(
            mean=self.spike_standardizer.mean,
            variance=self.spike_standardizer.scale**2,
            name="standardize",
        )(x)
        movement = keras.layers.Normalization(
            mean=self.movement_standardizer.mean,
            variance=self.movement_standardizer.scale**2,
            invert=True,
            name="movement",
        )(decoder(x))
        return keras.Model(counts, movement, name=f"{decoder.name}_deployed")


@dataclasses.dataclass(frozen=True)
class Score:
    """How well a decoder does on one part of a recording.

    Attributes:
        r2: Coefficient of determination, axes weighted by their variance.
        r2_per_axis: The same for each axis.
        correlation: Pearson correlation, mean over axes.
    """

    r2: float
    r2_per_axis: tuple[float, ...]
    correlation: float

    @classmethod
    def of(cls, true: np.ndarray, decoded: np.ndarray) -> "Score":
        true = np.asarray(true, dtype=np.float64)
        decoded = np.asarray(decoded, dtype=np.float64)
        residual = np.sum((true - decoded) ** 2, axis=0)
        total = np.sum((true - true.mean(axis=0)) ** 2, axis=0)
        a, b = true - true.mean(axis=0), decoded - decoded.mean(axis=0)
        # A constant, such as the training mean, correlates with nothing.
        varies = decoded.std(axis=0) > 1e-7 * np.abs(decoded).max(axis=0)
        norm = np.sqrt(np.sum(a * a, axis=0) * np.sum(b * b, axis=0))
        correlation = np.where(
            varies, np.sum(a * b, axis=0) / np.where(varies, norm, 1), 0
        )
        return cls(
            r2=float(1 - residual.sum() / total.sum()),
            r2_per_axis=tuple((1 - residual / total).tolist()),
            correlation=float(correlation.mean()),
        )


@dataclasses.dataclass(frozen=True)
class Latency:
    """Time to decode a single window, in milliseconds."""

    p50: float
    p95: float


@dataclasses.dataclass(frozen=True)
class DecodingReport:
    """What `decode_recording` found. Test scores unless stated.

    Attributes:
        timesteps: The full window T.
        selection: The attention's proposal, from `select_timesteps`.
        recommendation: The window checked on validation windows; its
            `timesteps` is the recommended T*.
        cells: For each `(pooling, timesteps)` of the four compared decoders,
            one `Score` a seed.
        baselines: For each `(name, timesteps)` of the simple decoders, one
            `Score`: `"training mean"` (chance level) and `"ridge"`.
        ridge_curve: Ridge's validation R2 for each window length tried.
        latency: For each `(pooling, timesteps)` of the four decoders, the
            `Latency` of one window.
        parameters: For each of the same, the number of parameters.
        decoder: The decoder without attention at T*, of the seed that did
            best on validation windows, from spike counts to movement.
        test_windows: Spike counts of the test windows at T*.
        test_movement: The true movement of the same windows.
    """

    timesteps: int
    selection: TimestepSelection
    recommendation: TimestepRecommendation
    cells: dict[tuple[str, int], tuple[Score, ...]]
    baselines: dict[tuple[str, int], Score]
    ridge_curve: dict[int, float]
    latency: dict[tuple[str, int], Latency]
    parameters: dict[tuple[str, int], int]
    decoder: keras.Model
    test_windows: np.ndarray
    test_movement: np.ndarray

    def table(self) -> str:
        """Return the comparison as a markdown table."""
        axes = range(self.test_movement.shape[1])
        head = (
            "| decoder | timesteps | test R2 | "
            + "".join(f"R2 axis {axis} | " for axis in axes)
            + "correlation | parameters | latency p50 / p95 (ms) |"
        )
        lines = [head, "|" + "---|" * (head.count("|") - 1)]
        rows: list[tuple[str, int, Sequence[Score], str, str]] = [
            (name, timesteps, [score], "", "")
            for (name, timesteps), score in self.baselines.items()
        ]
        for (pooling, timesteps), cell in self.cells.items():
            latency = self.latency[pooling, timesteps]
            rows.append(
                (
                    POOLING_TITLES[pooling],
                    timesteps,
                    cell,
                    f"{self.parameters[pooling, timesteps]:,}",
                    f"{latency.p50:.2f} / {latency.p95:.2f}",
                )
            )
        for name, timesteps, scores, parameters, latency_text in rows:
            columns = [
                name,
                str(timesteps),
                _mean_and_deviation([score.r2 for score in scores]),
                *(
                    f"{np.mean([s.r2_per_axis[axis] for s in scores]):.3f}"
                    for axis in axes
                ),
                f"{np.mean([score.correlation for score in scores]):.3f}",
                parameters,
                latency_text,
            ]
            lines.append("| " + " | ".join(columns) + " |")
        return "\n".join(lines)

    def to_dict(self) -> dict[str, Any]:
        """Return all numbers of the report, ready for JSON."""
        return {
            "timesteps": self.timesteps,
            "proposed_timesteps": self.selection.timesteps,
            "proposed_timesteps_per_seed": list(self.selection.per_seed),
            "threshold": self.selection.threshold,
            "attention_profile": self.selection.profile.tolist(),
            "recommended_timesteps": self.recommendation.timesteps,
            "tolerance": self.recommendation.tolerance,
            "validation_r2": {
                str(k): list(v) for k, v in self.recommendation.scores.items()
            },
            "ridge_validation_r2": {
                str(k): v for k, v in self.ridge_curve.items()
            },
            "test": [
                {
                    "decoder": POOLING_TITLES[pooling],
                    "timesteps": k,
                    "parameters": self.parameters[pooling, k],
                    "latency_ms": dataclasses.asdict(self.latency[pooling, k]),
                    "seeds": [dataclasses.asdict(score) for score in scores],
                }
                for (pooling, k), scores in self.cells.items()
            ],
            "baselines": [
                {"decoder": name, "timesteps": k, **dataclasses.asdict(score)}
                for (name, k), score in self.baselines.items()
            ],
        }


POOLING_TITLES = {"last": "no attention", "attention": "attention"}


def decode_recording(
    recording: Recording,
    timesteps: int = 20,
    *,
    threshold: float = 0.9,
    tolerance: float = 0.01,
    seeds: Sequence[int] = (0, 1, 2),
    fractions: Sequence[float] = (0.7, 0.1, 0.2),
    transform: str | None = "sqrt",
    selection_part: str = "train",
    build: Callable[..., keras.Model] = build_neural_decoder,
    epochs: int = 40,
    batch_size: int = 128,
    learning_rate: float = 3e-3,
    patience: int = 6,
    verbose: int = 1,
) -> DecodingReport:
    """Find the fewest timesteps that decode a recording, and compare.

    1. Cut windows that cross no seam, split them by time with a gap,
       standardize by the training part (`DecodingData`).
    2. Train with attention over `timesteps` bins, one decoder a seed;
       `select_timesteps` turns their attention into a proposal.
    3. `recommend_timesteps` checks the proposal: decoders without attention
       are trained at neighbouring lengths, and the smallest length within
       `tolerance` of the full window's validation R2 is recommended.
    4. Score on the test part, once: with and without attention, at the full
       and at the recommended length, beside ridge regression and the
       training mean, with the latency of a single window.

    Each training seeds the global generators with its seed
    (`keras.utils.set_random_seed`), minimizes the squared error with Adam
    under a cosine decay, stops when the validation loss no longer improves
    and keeps the best weights. The test part takes no part in any choice.

    Args:
        recording: A `Recording`.
        timesteps: Positive integer, the full window T in bins.
        threshold: Share of the attention for the proposal, in (0, 1].
        tolerance: How much validation R2 a shorter window may lose.
        seeds: Integers, one decoder each. Three or more for any claim.
        fractions: Shares of training, validation and test, in time order.
        transform: `"sqrt"` for counts, `None` for anything else.
        selection_part: Which windows' attention makes the proposal:
            `"train"` (default), `"validation"`, or `"test"`, as the original
            did: then T* has seen the test set.
        build: Function `build(timesteps, channels, outputs, pooling=...)` to
            an uncompiled model, such as `functools.partial` of
            `build_neural_decoder` with your settings.
        epochs: Most epochs of a training.
        batch_size: Windows in a gradient step.
        learning_rate: First learning rate.
        patience: Epochs without improvement before a training stops.
        verbose: 0 is silent, 1 shows one progress bar a training.

    Returns:
        A `DecodingReport`.

    Raises:
        ValueError: Arguments out of range, a recording without enough
            windows, or a training that ended in NaN.
    """
    timesteps = check_positive_integer("timesteps", timesteps)
    check_choice("selection_part", selection_part, PARTS)
    # Before minutes of training, not after.
    check_threshold(threshold)
    check_tolerance(tolerance)
    seeds = tuple(seeds)
    if not seeds:
        raise ValueError("`seeds` must hold at least one integer.")
    data = DecodingData(recording, timesteps, fractions, transform)
    trainer = _Trainer(
        data=data,
        build=build,
        seeds=seeds,
        epochs=epochs,
        batch_size=batch_size,
        learning_rate=learning_rate,
        patience=patience,
        verbose=verbose,
    )

    trained = {("attention", timesteps): trainer.train("attention", timesteps)}
    selection = select_timesteps(
        trained["attention", timesteps].attention_scores(selection_part),
        threshold,
    )

    def validation_r2(k: int) -> tuple[float, ...]:
        trained["last", k] = trainer.train("last", k)
        return tuple(
            score.r2 for score in trained["last", k].scores("validation")
        )

    recommendation = recommend_timesteps(
        validation_r2, selection.timesteps, timesteps, tolerance
    )
    best = recommendation.timesteps
    if best != timesteps:
        trained["attention", best] = trainer.train("attention", best)
    # A dict, so that two cells that are one (T* = T) are listed once.
    compared = dict.fromkeys(
        [
            ("last", timesteps),
            ("attention", timesteps),
            ("attention", best),
            ("last", best),
        ]
    )
    return DecodingReport(
        timesteps=timesteps,
        selection=selection,
        recommendation=recommendation,
        cells={cell: trained[cell].scores("test") for cell in compared},
        baselines={
            ("training mean", 0): mean_baseline(data),
            **{
                ("ridge", k): ridge_baseline(data, k)
                for k in dict.fromkeys((timesteps, best))
            },
        },
        ridge_curve={
            k: ridge_baseline(data, k, "validation").r2
            for k in recommendation.scores
        },
        latency=measure_latency(
            {cell: trained[cell].model for cell in compared}
        ),
        parameters={
            cell: trained[cell].model.count_params() for cell in compared
        },
        decoder=data.deploy(trained["last", best].best_model()),
        test_windows=take_windows(
            recording.spikes, data.ends["test"], best
        ),
        test_movement=recording.movement[data.ends["test"]],
    )  # fmt: skip


def mean_baseline(data: DecodingData) -> Score:
    """Score on test windows of decoding the training mean: chance level."""
    _, true = data.windows("test", 1)
    return data.score("test", np.zeros_like(true))


def ridge_baseline(
    data: DecodingData, timesteps: int, part: str = "test"
) -> Score:
    """Score of ridge regression on the same windows.

    The penalty, in units of training windows, is chosen on the validation
    windows among the powers of ten from 1 to 10^5.

    Args:
        data: A `DecodingData`.
        timesteps: Window length in bins.
        part: The part to score. Default: `"test"`.

    Returns:
        A `Score`.
    """
    x, y = data.windows("train", timesteps)
    x = x.reshape(len(x), -1)
    # Standardized per bin, not per window: a small offset is left.
    center, offset = x.mean(axis=0), y.mean(axis=0)
    x = x - center
    gram = (x.T @ x).astype("float64")
    cross = (x.T @ (y - offset)).astype("float64")

    def score(weights: np.ndarray, part: str) -> Score:
        windows, _ = data.windows(part, timesteps)
        windows = windows.reshape(len(windows), -1)
        return data.score(part, (windows - center) @ weights + offset)

    candidates = [
        np.linalg.solve(gram + penalty * np.eye(len(gram)), cross)
        for penalty in 10.0 ** np.arange(6)
    ]
    best = max(candidates, key=lambda w: score(w, "validation").r2)
    return score(best, part)


def measure_latency(
    models: dict[Any, keras.Model], repeats: int = 200, warm_up: int = 20
) -> dict[Any, Latency]:
    """Time `predict_on_batch` on one window, models in turn.

    Args:
        models: Models by any key. Each gets windows of its own input shape.
        repeats: Timed calls of each model.
        warm_up: Untimed calls before (compilation, caches).

    Returns:
        A `Latency` for each key.
    """
    windows = {
        key: np.zeros((1, *model.input_shape[1:]), "float32")
        for key, model in models.items()
    }
    times: dict[Any, list[float]] = {key: [] for key in models}
    for repeat in range(warm_up + repeats):
        for key, model in models.items():
            start = time.perf_counter()
            model.predict_on_batch(windows[key])
            if repeat >= warm_up:
                times[key].append(1e3 * (time.perf_counter() - start))
    return {
        key: Latency(*np.percentile(values, (50, 95)).tolist())
        for key, values in times.items()
    }


@dataclasses.dataclass(frozen=True)
class _Trainer:
    """Trains a decoder of a given pooling and length, once a seed."""

    data: DecodingData
    build: Callable[..., keras.Model]
    seeds: tuple[int, ...]
    epochs: int
    batch_size: int
    learning_rate: float
    patience: int
    verbose: int

    def train(self, pooling: str, timesteps: int) -> "_Trained":
        x, y = self.data.windows("train", timesteps)
        validation = self.data.windows("validation", timesteps)

        def build(seed: int) -> keras.Model:
            keras.utils.set_random_seed(seed)
            return self.build(
                timesteps, x.shape[2], y.shape[1], pooling=pooling
            )

        # All seeds share one compiled model: tracing it takes seconds.
        model = build(self.seeds[0])
        steps = max(1, -(-len(x) // self.batch_size) * self.epochs)
        model.compile(
            keras.optimizers.Adam(
                keras.optimizers.schedules.CosineDecay(
                    self.learning_rate, steps
                ),
                clipnorm=1.0,
            ),
            loss="mse",
        )
        model.optimizer.build(model.trainable_variables)
        fresh = [
            keras.ops.convert_to_numpy(variable)
            for variable in model.optimizer.variables
        ]
        weights, losses = [], []
        for seed in self.seeds:
            model.set_weights(build(seed).get_weights())
            for variable, value in zip(
                model.optimizer.variables, fresh, strict=True
            ):
                variable.assign(value)
            title = (
                f"{POOLING_TITLES[pooling]}, {timesteps} timesteps, seed {seed}"
            )
            history = model.fit(
                x,
                y,
                batch_size=self.batch_size,
                epochs=self.epochs,
                validation_data=validation,
                verbose=0,
                callbacks=[
                    keras.callbacks.EarlyStopping(
                        patience=self.patience, restore_best_weights=True
                    ),
                    keras.callbacks.TerminateOnNaN(),
                    *([_EpochBar(title)] if self.verbose else []),
                ],
            ).history
            if not np.isfinite(history.get("val_loss", [np.nan])[-1]):
                raise ValueError(
                    f"The training of {title!r} ended in NaN. Use a smaller "
                    f"`learning_rate`. Received: {self.learning_rate}"
                )
            weights.append(model.get_weights())
            losses.append(min(history["val_loss"]))
        return _Trained(self.data, model, timesteps, weights, losses)


@dataclasses.dataclass(frozen=True)
class _Trained:
    """One compiled model with the weights of every seed."""

    data: DecodingData
    model: keras.Model
    timesteps: int
    weights: list[list[np.ndarray]]
    losses: list[float]

    def scores(self, part: str) -> tuple[Score, ...]:
        x, _ = self.data.windows(part, self.timesteps)
        return tuple(
            self.data.score(part, decoded)
            for decoded in self._predict_all(self.model, x)
        )

    def attention_scores(self, part: str) -> list[np.ndarray]:
        x, _ = self.data.windows(part, self.timesteps)
        return self._predict_all(attention_scores_model(self.model), x)

    def best_model(self) -> keras.Model:
        self.model.set_weights(self.weights[int(np.argmin(self.losses))])
        return self.model

    def _predict_all(
        self, model: keras.Model, x: np.ndarray
    ) -> list[np.ndarray]:
        predictions = []
        for weights in self.weights:
            self.model.set_weights(weights)
            predictions.append(model.predict(x, batch_size=1024, verbose=0))
        return predictions


class _EpochBar(keras.callbacks.Callback):
    """Keras' progress bar, over the epochs of one training."""

    def __init__(self, title: str) -> None:
        super().__init__()
        self.title = title

    def on_train_begin(self, logs: Any = None) -> None:
        print(self.title, flush=True)
        self.bar = keras.utils.Progbar(
            self.params["epochs"],
            stateful_metrics=["loss", "val_loss"],
            unit_name="epoch",
        )

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        self.done = epoch + 1
        self.values = sorted((logs or {}).items())
        if self.done < self.params["epochs"]:
            self.bar.update(self.done, self.values, finalize=False)

    def on_train_end(self, logs: Any = None) -> None:
        # Early stopping: the bar ends where the training did.
        self.bar.target = self.done
        self.bar.update(self.done, self.values, finalize=True)


def _mean_and_deviation(values: Sequence[float]) -> str:
    if len(values) == 1:
        return f"{values[0]:.3f}"
    return f"{np.mean(values):.3f} ± {np.std(values, ddof=1):.3f}"
