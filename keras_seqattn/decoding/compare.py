"""The whole comparison: search the window, train, score."""

import dataclasses
import functools
import warnings
from collections.abc import Callable
from collections.abc import Mapping
from collections.abc import Sequence
from typing import Any

import keras

from keras_seqattn._checks import check_choice
from keras_seqattn._checks import check_non_negative_number
from keras_seqattn._checks import check_positive_integer
from keras_seqattn._checks import check_positive_rate
from keras_seqattn._checks import check_seeds
from keras_seqattn._training.recipe import Recipe
from keras_seqattn.decoding.baselines import MEAN
from keras_seqattn.decoding.baselines import WIENER
from keras_seqattn.decoding.baselines import SimpleDecoder
from keras_seqattn.decoding.baselines import check_baselines
from keras_seqattn.decoding.baselines import fit_baselines
from keras_seqattn.decoding.baselines import mean_baseline
from keras_seqattn.decoding.baselines import mean_costs
from keras_seqattn.decoding.baselines import score_by_length
from keras_seqattn.decoding.costs import model_costs
from keras_seqattn.decoding.data import DecodingData
from keras_seqattn.decoding.latency import measure_latency
from keras_seqattn.decoding.parts import PARTS
from keras_seqattn.decoding.parts import fold_parts
from keras_seqattn.decoding.predictions import Predictions
from keras_seqattn.decoding.report import POOLING_TITLES
from keras_seqattn.decoding.report import DecodingReport
from keras_seqattn.decoding.score import Score
from keras_seqattn.decoding.timestep_selection import RULES
from keras_seqattn.decoding.timestep_selection import TimestepRecommendation
from keras_seqattn.decoding.timestep_selection import TimestepSelection
from keras_seqattn.decoding.timestep_selection import recommend_timesteps
from keras_seqattn.decoding.timestep_selection import select_timesteps
from keras_seqattn.decoding.training import RECIPE
from keras_seqattn.decoding.training import DecoderTrainer
from keras_seqattn.decoding.training import TrainedDecoders
from keras_seqattn.decoding.training import check_recipe
from keras_seqattn.models.neural_decoder import build_neural_decoder
from keras_seqattn.windows.cutting import take_windows
from keras_seqattn.windows.recording import Recording

# A recording of 20 minutes is small: without dropout in time a decoder learns
# it by heart before it has learned the rest.
BUILD = functools.partial(
    build_neural_decoder, dropout=0.3, recurrent_dropout=0.3
)


def decode_recording(
    recording: Recording,
    timesteps: int = 20,
    recipe: Recipe | None = None,
    *,
    threshold: float = 0.9,
    tolerance: float = 0.005,
    seeds: Sequence[int] = (0, 1, 2),
    fractions: Sequence[float] = (0.7, 0.1, 0.2),
    transform: str | None = "sqrt",
    selection_part: str = "train",
    rule: str = "default",
    folds: int | None = None,
    build: Callable[..., keras.Model] = BUILD,
    baselines: Mapping[str, Any] | None = None,
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
       and at the recommended length, beside the training mean, the Wiener
       filter, the Wiener cascade, the Kalman filter and decoders of your own,
       with what each costs and the latency of a single window.

    Each training seeds the global generators with its seed
    (`keras.utils.set_random_seed`), minimizes the squared error by the
    recipe, stops when the validation loss no longer improves and keeps the
    best weights; where the recipe averages them, these are the averages. The
    test part takes no part in any choice.

    Args:
        recording: A `Recording`.
        timesteps: Positive integer, the full window T in bins.
        recipe: A `Recipe`, such as one that a search has found. Default:
            `decoding.RECIPE`: 40 epochs at most of batches of 128, Adam under
            a cosine decay from 3e-3, weights averaged over about an epoch, a
            patience of 6.
        threshold: Share of the attention for the proposal, in (0, 1].
        tolerance: How much validation R2 a shorter window may lose.
        seeds: Integers, one decoder each. Three or more for any claim.
        fractions: Shares of training, validation and test in the scored bins,
            in time order.
        transform: `"sqrt"` for counts, `None` for anything else.
        selection_part: Which windows' attention makes the proposal:
            `"train"` (default), `"validation"`, or `"test"`, as the original
            did: then T* has seen the test set, and a warning says so.
        rule: The `rule` of `select_timesteps`.
        folds: Integer of 3 or more: also train and score on that many blocks
            of time (of trials, if the recording has them), each the test part
            once (`fold_parts`), at the full and the recommended window. That
            window was chosen once, with the parts of `fractions`.
        build: Function `build(timesteps, channels, outputs, pooling=...)` to
            an uncompiled model, such as `functools.partial` of
            `build_neural_decoder` with your settings. Default: its own, with
            rates of 0.3 for `dropout` and `recurrent_dropout`. A decoder
            without attention is built with `pooling="every"` and trained on
            the newest third of the bins of each window, then used with
            `"last"`. Where `build` raises a `ValueError` for `"every"`, or
            gives no value a bin, it is trained on the newest bin alone.
        baselines: Decoders of your own to stand beside, by name: objects with
            `fit(X, y)` and `predict(X)`, such as scikit-learn's regressors,
            whose rows are flat standardized windows; or a `WienerFilter`,
            `WienerCascade` or `KalmanFilter` with your settings, also in
            place of the default of the same name.
        verbose: 0 is silent, 1 shows one progress bar a training.

    Returns:
        A `DecodingReport`.

    Raises:
        ValueError: Arguments out of range, a recording without enough
            windows, or a training that ended in NaN.
    """
    timesteps = check_positive_integer("timesteps", timesteps)
    recipe = check_recipe(RECIPE if recipe is None else recipe)
    check_choice("rule", rule, RULES)
    if check_choice("selection_part", selection_part, PARTS) == "test":
        warnings.warn(
            "The proposal is made from the test windows, so the test scores "
            "are no longer independent of it. Use selection_part='train'.",
            stacklevel=2,
        )
    # Before minutes of training, not after.
    check_positive_rate("threshold", threshold)
    check_non_negative_number("tolerance", tolerance)
    seeds = check_seeds(seeds)
    data = DecodingData(recording, timesteps, fractions, transform)
    simple = check_baselines(baselines)
    blocks = fold_parts(recording, folds) if folds is not None else []
    fitted = fit_baselines(simple, data, [timesteps])
    trainer = DecoderTrainer(data, build, seeds, recipe, verbose)

    trained = {("attention", timesteps): trainer.train("attention", timesteps)}
    selection = select_timesteps(
        trained["attention", timesteps].attention_scores(selection_part),
        threshold,
        rule=rule,
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
        windowed = {k: v for k, v in simple.items() if v.has_window}
        fitted |= fit_baselines(windowed, data, [best])
    settings = {
        "seeds": list(seeds),
        "fractions": list(fractions),
        "transform": transform,
        "selection_part": selection_part,
        "rule": rule,
        "folds": folds,
        "bin_width": recording.bin_width,
        "quantity": recording.quantity,
        "lag": recording.lag,
        **recipe.to_dict(),
    }
    curve = score_by_length(simple[WIENER], data, recommendation.scores)
    report = _report(
        data, trained, fitted, curve, selection, recommendation, settings
    )
    for parts in blocks:
        fold = dataclasses.replace(trainer, data=data.split_anew(parts))
        for row, scores in _score_fold(fold, simple, best).items():
            report.folds.setdefault(row, []).append(scores)
    return report


def _score_fold(
    trainer: DecoderTrainer, simple: dict[str, SimpleDecoder], best: int
) -> dict[tuple[str, int], tuple[Score, ...]]:
    """Score the simple decoders and the one without attention on a fold."""
    data = trainer.data
    lengths = dict.fromkeys((data.timesteps, best))
    found: dict[tuple[str, int], tuple[Score, ...]] = {
        (MEAN, 0): (mean_baseline(data),)
    }
    for key, decoder in fit_baselines(simple, data, lengths).items():
        found[key] = (decoder.score(data),)
    for k in lengths:
        trained = trainer.train("last", k)
        found[POOLING_TITLES["last"], k] = trained.scores("test")
    return found


def _report(
    data: DecodingData,
    trained: dict[tuple[str, int], TrainedDecoders],
    fitted: dict[tuple[str, int], SimpleDecoder],
    wiener_curve: dict[int, float],
    selection: TimestepSelection,
    recommendation: TimestepRecommendation,
    settings: dict[str, Any],
) -> DecodingReport:
    """Score on the test part what has been trained."""
    timesteps, best = data.timesteps, recommendation.timesteps
    decoder = data.deploy(trained["last", best].best_model())
    ends = data.ends["test"]
    test_windows = take_windows(data.recording.spikes, ends, best)
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
        settings=settings,
        selection=selection,
        recommendation=recommendation,
        cells={cell: trained[cell].scores("test") for cell in compared},
        baselines={
            (MEAN, 0): mean_baseline(data),
            **{key: decoder.score(data) for key, decoder in fitted.items()},
        },
        wiener_curve=wiener_curve,
        latency=measure_latency(
            {cell: trained[cell].model for cell in compared}
        ),
        parameters={
            cell: trained[cell].model.count_params() for cell in compared
        },
        costs={
            **{cell: model_costs(trained[cell].model) for cell in compared},
            (MEAN, 0): mean_costs(data),
            **{key: simple.costs for key, simple in fitted.items()},
        },
        simple_decoders=fitted,
        decoder=decoder,
        test_windows=test_windows,
        predictions=Predictions(
            data.recording,
            ends,
            decoder.predict(test_windows, batch_size=1024, verbose=0),
        ),
        coverage=data.coverage,
    )  # fmt: skip
