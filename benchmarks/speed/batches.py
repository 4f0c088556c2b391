"""How fast windows come, against how fast the activity classifier takes them.

1024 windows of UCI HAR's shape, shuffled and standardized, in batches of 64: an
epoch of the pipeline alone, of the same as a `tf.data.Dataset`, and of `fit`
of `build_activity_classifier(units=64)`.
"""

import numpy as np

from keras_seqattn.models import build_activity_classifier
from keras_seqattn.windows.batches import WindowBatches
from keras_seqattn.windows.standardizer import Standardizer

WINDOWS = 1024


def epochs():
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

    return {
        "WindowBatches": pipeline,
        "the same as `tf.data`": tensorflow_pipeline,
        "`fit` of the classifier": classifier,
    }


CASES = {"an epoch of 1024 windows": epochs}
