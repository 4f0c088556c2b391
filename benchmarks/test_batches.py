"""How fast windows come, against how fast the activity classifier takes them.

Windows of UCI HAR's shape, shuffled and standardized, in batches of 64: an
epoch of the pipeline alone, of the same as a `tf.data.Dataset`, and of `fit`
of `build_activity_classifier(units=64)`, in turn in one process. The aim is
that the pipeline is at least 10 times as fast.
"""

import keras
import numpy as np

from benchmarks.timing import medians_in_turn
from keras_seqattn.models import build_activity_classifier
from keras_seqattn.windows.batches import WindowBatches
from keras_seqattn.windows.standardizer import Standardizer

WINDOWS = 1024
AIM = 10


def test_pipeline_over_classifier(benchmark):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(WINDOWS, 128, 9)).astype("float32")
    batches = WindowBatches(
        x,
        np.arange(WINDOWS) % 6,
        64,
        shuffle=True,
        standardizer=Standardizer.fit(x, axis=(0, 1)),
    )
    tensorflow_batches = batches.to_tensorflow()
    model = build_activity_classifier(128, 9, 6, units=64)
    model.compile("adam", "sparse_categorical_crossentropy")

    def pipeline():
        batches.epoch += 1
        for _ in batches:
            pass

    def tensorflow_pipeline():
        for _ in tensorflow_batches:
            pass

    def classifier():
        model.fit(batches, shuffle=False, verbose=0)

    medians = medians_in_turn(
        {
            "pipeline": pipeline,
            "tf.data": tensorflow_pipeline,
            "classifier": classifier,
        },
        rounds=5,
    )
    speed = {name: WINDOWS / seconds for name, seconds in medians.items()}
    ratios = {
        name: round(speed[name] / speed["classifier"])
        for name in ("pipeline", "tf.data")
    }
    benchmark.extra_info.update(ratios)
    print(
        f"\n{keras.backend.backend()}: windows a second "
        f"{ {name: round(value) for name, value in speed.items()} }, over the "
        f"classifier {ratios}, aim {AIM}"
    )
    assert min(ratios.values()) >= AIM
    benchmark.pedantic(pipeline, rounds=1)
