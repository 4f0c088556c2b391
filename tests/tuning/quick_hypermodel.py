"""For stems whose trainings take a few steps."""

import keras

from tuning.hypermodel import StemHyperModel


class QuickHyperModel(StemHyperModel):
    def build(self, hp):
        model = super().build(hp)
        # Two steps are not worth XLA's seconds.
        model.run_eagerly = keras.backend.backend() == "tensorflow"
        return model
