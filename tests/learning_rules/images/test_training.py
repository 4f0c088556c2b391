import keras
import numpy as np
import pytest

from keras_seqattn import learning_rules
from keras_seqattn.learning_rules import METHODS
from keras_seqattn.learning_rules import Rates
from keras_seqattn.learning_rules import RuleTrainer
from tests.backend import to_numpy
from tests.learning_rules.images.cases import LABELS
from tests.learning_rules.images.cases import PIXELS
from tests.learning_rules.images.cases import UNITS
from tests.learning_rules.images.cases import X
from tests.learning_rules.images.cases import Y
from tests.learning_rules.images.cases import recipe


def test_a_training_depends_on_seed_and_rates_alone():
    trainer = RuleTrainer(METHODS["burstprop"], PIXELS, UNITS, recipe(3))
    first = trainer.fit(Rates(0.05, 1.0), 0, X, LABELS)
    other = trainer.fit(Rates(0.01, 1.0), 0, X, LABELS)
    ratio = trainer.fit(Rates(0.05, 9.0), 0, X, LABELS)
    seed = trainer.fit(Rates(0.05, 1.0), 1, X, LABELS)
    again = trainer.fit(Rates(0.05, 1.0), 0, X, LABELS)
    assert first == again
    # Its first epoch, one batch, is scored before anything was learned.
    assert other["mse"][0] == pytest.approx(first["mse"][0])
    for different in (other, ratio, seed):
        assert different["mse"][2] != first["mse"][2]


def test_a_compiled_method_can_be_saved(tmp_path):
    trainer = RuleTrainer(
        METHODS["feedback alignment"], PIXELS, UNITS, recipe(1)
    )
    trainer.fit(Rates(0.1, 2.0), 0, X, LABELS)
    trainer.model.save(tmp_path / "a.keras")
    loaded = keras.saving.load_model(tmp_path / "a.keras")
    assert isinstance(loaded, learning_rules.FeedbackAlignmentNetwork)
    np.testing.assert_allclose(to_numpy(loaded.optimizer.ratio), 2.0)
    for model in (trainer.model, loaded):
        model.train_on_batch(X, Y)
    np.testing.assert_allclose(
        trainer.model.predict(X, verbose=0),
        loaded.predict(X, verbose=0),
        rtol=1e-5,
    )
