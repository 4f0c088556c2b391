"""The next day: what a few minutes of a new session are worth.

Simulated days with five drifts, three seeds each, and, with `--s1 FILE`, the
late part of a recorded session with units dropped, reordered and added: the
added ones are other units' counts shifted in time, so the turnover is
synthetic. R2 on the last third of the new session, for 0, 1, 2, 5 and 10
minutes of its first two thirds.

    KERAS_BACKEND=jax python benchmarks/calibration.py --s1 s1.npz
"""

import argparse
import collections
import dataclasses
import functools
import json
import pathlib
import time
from collections.abc import Iterator

import keras
import numpy as np

import keras_seqattn as ks
from keras_seqattn.decoding import DecodingData
from keras_seqattn.decoding import KalmanFilter
from keras_seqattn.decoding import Recording
from keras_seqattn.decoding import Score
from keras_seqattn.decoding import calibrate
from keras_seqattn.decoding import predict_recording
from keras_seqattn.decoding.training import RECIPE
from keras_seqattn.decoding.training import DecoderTrainer
from keras_seqattn.decoding.training import TrainedDecoders

DRIFTS = {
    "turnover .25": {"turnover": 0.25},
    "turnover .5": {"turnover": 0.5},
    "gain .5": {"gain_drift": 0.5},
    "tuning .6": {"tuning_drift": 0.6},
    "all of them": {"turnover": 0.25, "gain_drift": 0.3, "tuning_drift": 0.4},
}
TRAIN, VALIDATION, TEST, UNUSED = 0, 1, 2, -1


@dataclasses.dataclass(frozen=True)
class Pair:
    """Two sessions, and from which bin on the second one is the test."""

    first: Recording
    second: Recording
    timesteps: int
    test: int

    def bins(self, minutes: float) -> int:
        return round(minutes * 60 / self.second.bin_width)

    def parts(self, minutes: float) -> np.ndarray:
        """Parts of the second session: the minutes, nothing, the test."""
        parts = np.full(len(self.second.spikes), UNUSED)
        parts[: self.bins(minutes)] = VALIDATION
        parts[: round(0.8 * self.bins(minutes))] = TRAIN
        parts[self.test :] = TEST
        return parts

    def matched(self) -> Recording:
        """The second session in the first one's units, the lost ones silent."""
        place = {unit: i for i, unit in enumerate(self.second.unit_ids)}
        spikes = np.zeros((len(self.second.spikes), len(self.first.unit_ids)))
        for column, unit in enumerate(self.first.unit_ids):
            # Silent in spikes would say more than nothing: the mean.
            spikes[:, column] = (
                self.second.spikes[:, place[unit]]
                if unit in place
                else self.first.spikes[:, column].mean()
            )
        return dataclasses.replace(
            self.second, spikes=spikes, unit_ids=self.first.unit_ids
        )

    def both(self, minutes: float) -> DecodingData:
        """Both sessions as one: each unit on its own scale, by session."""
        ids = tuple(dict.fromkeys(self.first.unit_ids + self.second.unit_ids))
        found = []
        for session, known in (
            (self.first, len(self.first.spikes)),
            (self.second, self.bins(minutes)),
        ):
            roots = np.sqrt(session.spikes)
            scale = ks.windows.standardizer.Standardizer.fit(roots[:known])
            spikes = np.zeros((len(roots), len(ids)), "float32")
            columns = [ids.index(unit) for unit in session.unit_ids]
            spikes[:, columns] = scale.transform(roots)
            found.append(spikes)
        seam = int(np.max(self.first.segment)) + 1
        joined = Recording(
            np.concatenate(found),
            np.concatenate([self.first.movement, self.second.movement]),
            np.concatenate([self.first.segment, self.second.segment + seam]),
            self.first.bin_width,
        )
        # A minute's last fifth alone would stop the training by chance.
        parts = np.full(len(self.first.spikes), TRAIN)
        parts[round(0.9 * len(parts)) :] = VALIDATION
        parts = np.concatenate([parts, self.parts(minutes)])
        data = DecodingData(joined, self.timesteps, transform=None, parts=parts)
        # Standardized once more, units of one session alone would be louder
        # there, by the share that the session has of all bins.
        data._spikes = joined.spikes
        return data


def simulated(drift: dict[str, float], seed: int, minutes: float) -> Pair:
    bins = round(minutes * 60 / 0.064)
    first, second = (
        day.recording
        for day in ks.tasks.simulated_days(2, bins=bins, seed=seed, **drift)
    )
    return Pair(first, second, 6, -(-bins * 2 // 3))


def s1_late(path: str, seed: int, share: float = 0.25) -> Pair:
    """A recording's first 70 %, and the rest with a synthetic turnover."""
    recording = ks.decoding.load_recording(path)
    bins, units = recording.spikes.shape
    cut = round(0.7 * bins)
    rng = np.random.default_rng(seed)
    order = rng.permutation(units)
    late = recording.spikes[cut:]
    gone = round(share * units)
    kept = order[gone:]
    # A unit like the others that knows nothing of the movement.
    new = [np.roll(late[:, i], len(late) // 2) for i in kept[:gone]]
    spikes = np.concatenate([late[:, kept], np.stack(new, 1)], axis=1)
    ids = [*kept.tolist(), *range(1000, 1000 + gone)]
    mixed = rng.permutation(units)

    def part(where: slice, spikes: np.ndarray, ids: list[int]) -> Recording:
        return Recording(
            spikes,
            recording.movement[where],
            recording.segment[where],
            recording.bin_width,
            recording.quantity,
            unit_ids=ids,
        )

    return Pair(
        part(slice(cut), recording.spikes[:cut], list(range(units))),
        part(slice(cut, None), spikes[:, mixed], [ids[i] for i in mixed]),
        10,
        -(-(bins - cut) * 2 // 3),
    )


def train(
    data: DecodingData, timesteps: int, seed: int, size: int, **settings: float
) -> TrainedDecoders:
    build = functools.partial(
        ks.models.build_neural_decoder, cell="gru", units=size, **settings
    )
    recipe = dataclasses.replace(RECIPE, epochs=20, patience=5)
    return DecoderTrainer(data, build, (seed,), recipe, 0).train(
        "last", timesteps
    )


def rows(
    pair: Pair, minutes: list[float], seed: int, size: int
) -> Iterator[tuple[str, float, float]]:
    """Yield what decodes, minutes of the new session, R2 on its test part."""
    timesteps, second = pair.timesteps, pair.second

    def r2(decoder: keras.Model, recording: Recording) -> float:
        found = predict_recording(decoder, recording, 2048)
        return found.score(found.bins >= pair.test + timesteps - 1).r2

    first = DecodingData(pair.first, timesteps, (0.8, 0.1, 0.1))
    plain, decoder = (
        train(first, timesteps, seed, size, dropout=rate) for rate in (0.0, 0.2)
    )
    yield "day one itself, its last tenth", 0, decoder.scores("test")[0].r2
    plain, decoder = (
        first.deploy(trained.best_model()) for trained in (plain, decoder)
    )
    true = second.movement[pair.test :]
    mean = np.broadcast_to(first.movement_standardizer.mean, true.shape)
    yield "chance: day one's mean", 0, Score.of(true, mean).r2
    wrong = dataclasses.replace(second, unit_ids=pair.first.unit_ids)
    yield "uncalibrated, units by position", 0, r2(decoder, wrong)
    yield (
        "uncalibrated, without dropout",
        0,
        r2(calibrate(plain, second, 0), second),
    )
    yield "uncalibrated", 0, r2(calibrate(decoder, second, 0), second)
    kalman = KalmanFilter().fit(first)
    matched = DecodingData(
        pair.matched(), timesteps, parts=pair.parts(minutes[0])
    )
    yield "Kalman, uncalibrated", 0, kalman.score(matched).r2
    for m in minutes:
        unlabelled = calibrate(decoder, second, m, labels=False)
        yield "calibrated without labels", m, r2(unlabelled, second)
        yield "calibrated", m, r2(calibrate(decoder, second, m), second)
        alone = DecodingData(second, timesteps, parts=pair.parts(m))
        yield (
            "Kalman, retrained on these",
            m,
            KalmanFilter().fit(alone).score(alone).r2,
        )
        for title, data in (
            ("retrained on these", alone),
            ("retrained on both sessions", pair.both(m)),
        ):
            trained = train(data, timesteps, seed, size, dropout=0.2)
            yield title, m, trained.scores("test")[0].r2


def table(found: list[tuple[str, str, float, float]]) -> str:
    """Mean and deviation over seeds."""
    cells = collections.defaultdict(list)
    for drift, title, m, r2 in found:
        cells[drift, title, m].append(r2)
    drifts = list(dict.fromkeys(drift for drift, *_ in cells))
    lines = ["| decoder | minutes | " + " | ".join(drifts) + " |"]
    lines += ["|---" * (2 + len(drifts)) + "|"]
    keys = dict.fromkeys((title, m) for _, title, m in cells)
    titles = list(dict.fromkeys(title for title, _ in keys))
    for title, m in sorted(
        keys, key=lambda key: (titles.index(key[0]), key[1])
    ):
        row = [
            f"{np.mean(r2s):.3f} ± {np.std(r2s):.3f} ({len(r2s)})"
            if (r2s := cells.get((drift, title, m)))
            else ""
            for drift in drifts
        ]
        lines.append(f"| {title} | {m:g} | " + " | ".join(row) + " |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--s1", help="a recording, such as `.npz`")
    parser.add_argument(
        "--minutes", type=float, nargs="+", default=[1, 2, 5, 10]
    )
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--day", type=float, default=15.0, help="minutes")
    parser.add_argument("--size", type=int, default=32, help="GRU units")
    parser.add_argument("--only", nargs="+", default=[*DRIFTS, "s1"])
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--log", default="calibration.jsonl")
    arguments = parser.parse_args()
    if arguments.quick:
        arguments.minutes, arguments.seeds, arguments.day = [1], [0], 6.0

    log = pathlib.Path(arguments.log)
    found = []
    for seed in arguments.seeds:
        pairs = {
            name: functools.partial(simulated, drift, seed, arguments.day)
            for name, drift in DRIFTS.items()
            if name in arguments.only
        }
        if arguments.s1 and "s1" in arguments.only:
            pairs["S1, synthetic turnover"] = functools.partial(
                s1_late, arguments.s1, seed
            )
        for name, make in pairs.items():
            start, pair = time.time(), make()
            minutes = [
                m for m in arguments.minutes if pair.bins(m) <= pair.test
            ]
            for title, m, r2 in rows(pair, minutes, seed, arguments.size):
                found.append((name, title, m, r2))
                with log.open("a") as file:
                    file.write(json.dumps([*found[-1], seed]) + "\n")
            print(
                f"{name}, seed {seed}: {time.time() - start:.0f} s", flush=True
            )
            keras.utils.clear_session(free_memory=True)
    print(table(found))


if __name__ == "__main__":
    main()
