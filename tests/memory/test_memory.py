import json

import keras
import numpy as np
import pytest

import keras_seqattn as ks
from keras_seqattn.memory import LOSSES
from keras_seqattn.memory import RECIPES
from keras_seqattn.memory import FreshBatches
from keras_seqattn.memory import MemoryTrainer
from keras_seqattn.memory import RecallLoss
from keras_seqattn.memory import Recipe
from keras_seqattn.memory import train_memory_network
from tests.backend import to_numpy

TASK = ks.tasks.factorial_task(delay_range=(2, 6))
RECIPE = Recipe(epochs=4, learning_rate=1e-2, floor=0.05)
STEPS = 10
MSE = RecallLoss()


def build():
    return ks.models.build_memory_network("factorial", controller_units=16)


# --- The loss


def test_weights_of_the_squared_error():
    batch = TASK.sample(5, 0)
    loss = RecallLoss(response_share=0.6, cue_share=0.25)
    x, y, weights = loss.data(batch)
    assert x is batch.x and y is batch.y
    assert weights.shape == x.shape[:2] and weights.dtype == np.float32
    np.testing.assert_allclose(weights.mean(), 1, rtol=1e-6)
    total = weights.sum()
    np.testing.assert_allclose(weights[batch.response].sum() / total, 0.6)
    np.testing.assert_allclose(weights[batch.cue].sum() / total, 0.25)
    quiet = weights[~batch.response & ~batch.cue]
    np.testing.assert_allclose(quiet, quiet[0])


def test_the_loss_is_what_keras_computes():
    """Of a perfect and of a wrong answer, by hand."""
    batch = ks.tasks.additive_task().sample(6, 0)
    loss = RecallLoss("crossentropy")
    _, target, weights = loss.data(batch)
    assert np.all((weights > 0) == batch.response)
    np.testing.assert_allclose(weights.mean(), 1, rtol=1e-6)
    logits = np.random.default_rng(0).normal(size=target.shape)
    found = loss.keras_loss()(target, logits, sample_weight=weights)
    at_response = logits[batch.response]
    log_share = at_response - np.log(np.exp(at_response).sum(-1, keepdims=True))
    expected = -log_share[np.arange(6), batch.answer[:, 0]].mean()
    np.testing.assert_allclose(to_numpy(found), expected, rtol=1e-5)

    loss = RecallLoss()
    _, target, weights = loss.data(batch)
    found = loss.keras_loss()(target, logits, sample_weight=weights)
    squares = ((target - logits) ** 2).mean(-1)
    steps = (
        squares[batch.response].mean() * 0.5
        + squares[batch.cue].mean() * 0.1
        + squares[~batch.response & ~batch.cue].mean() * 0.4
    )
    np.testing.assert_allclose(to_numpy(found), steps, rtol=1e-5)


def test_one_output_has_no_cross_entropy():
    task = ks.tasks.CueRecall()
    with pytest.raises(ValueError, match=r"use `RecallLoss\('mse'\)`"):
        MemoryTrainer(build, task, RECIPE, loss=RecallLoss("crossentropy"))


def test_the_optimizer():
    trainer = MemoryTrainer(build, TASK, RECIPE, steps_per_epoch=STEPS)
    optimizer = trainer.model.optimizer
    assert optimizer.clipnorm == 1
    rates = [float(optimizer._learning_rate(step)) for step in (0, 20, 40, 99)]
    np.testing.assert_allclose(
        rates, [0.01, 0.01 * 0.525, 0.0005, 0.0005], rtol=1e-5
    )


@pytest.mark.parametrize(
    "arguments, message",
    [
        ({"kind": "mae"}, "`kind` must be one of"),
        ({"response_share": 1}, "`response_share` must be a number"),
        ({"response_share": 0.6, "cue_share": 0.4}, "add up to less than 1"),
    ],
)
def test_bad_losses(arguments, message):
    with pytest.raises(ValueError, match=message):
        RecallLoss(**arguments)


@pytest.mark.parametrize(
    "arguments, message",
    [
        ({"steps_per_epoch": 0}, "`steps_per_epoch` must be a positive int"),
        (
            {"recipe": Recipe(label_smoothing=0.1)},
            "`label_smoothing` of a recipe means nothing to a memory network",
        ),
    ],
)
def test_bad_arguments(arguments, message):
    with pytest.raises(ValueError, match=message):
        MemoryTrainer(build, TASK, **{"recipe": RECIPE, **arguments})


def test_there_is_a_recipe_for_each_preset():
    for preset in RECIPES:
        sizes = {}
        if preset == "association":
            sizes = {"features": 3, "outputs": 2}
        ks.models.build_memory_network(preset, controller_units=2, **sizes)
    with pytest.raises(ValueError) as error:
        ks.models.build_memory_network("nothing")
    assert all(repr(preset) in str(error.value) for preset in RECIPES)
    assert str(error.value).count("'") == 2 * len(RECIPES) + 2
    assert list(LOSSES) == list(RECIPES)


# --- Fresh batches


def test_no_batch_comes_twice_and_a_seed_repeats_them():
    batches = FreshBatches(TASK, MSE, 64, STEPS, seed=3)
    assert len(batches) == 10
    seen = []
    for _ in range(2):
        seen += [batches[index][0] for index in range(len(batches))]
        batches.on_epoch_end()
    assert len({x.tobytes() for x in seen}) == 20
    twin = FreshBatches(TASK, MSE, 64, STEPS, seed=3)
    np.testing.assert_array_equal(twin[4][0], seen[4])
    other = FreshBatches(TASK, MSE, 64, STEPS, seed=4)
    assert not np.array_equal(other[4][0], seen[4])


def test_fit_draws_each_batch_once_a_step():
    """Keras hands every fresh batch to exactly one step."""
    drawn = []

    class Watched(FreshBatches):
        def __getitem__(self, index):
            drawn.append((self._epoch, index))
            return super().__getitem__(index)

    model = ks.models.build_memory_network("factorial", controller_units=2)
    model.compile(RECIPE.make_optimizer(3), MSE.keras_loss())
    model.fit(Watched(TASK, MSE, 4, 3, 0), epochs=2, verbose=0)
    # Keras looks at a batch first, for the shapes, and ends an epoch there.
    trained = [draw for draw in drawn if draw[0] > 0]
    assert len(trained) == 6
    assert sorted(trained) == [(e, i) for e in (1, 2) for i in range(3)]


# --- Training


@pytest.fixture(scope="module")
def report():
    return train_memory_network(
        build,
        TASK,
        RECIPE,
        steps_per_epoch=STEPS,
        seeds=(0, 1),
        test_sequences=600,
        verbose=0,
    )


def test_it_learns_on_each_seed(report):
    for score, history in zip(report.scores, report.histories, strict=True):
        assert score.accuracy > 0.95  # Chance 0.25, without binding 0.56.
        assert sorted(history) == ["loss", "val_accuracy", "val_loss"]
        assert len(history["loss"]) == RECIPE.epochs
        assert history["val_loss"][-1] < history["val_loss"][0]
    losses = [history["loss"] for history in report.histories]
    assert losses[0] != losses[1]


def test_the_report_is_that_of_the_model_it_returns(report):
    outputs = report.model.predict(report.batch.x, verbose=0)
    np.testing.assert_allclose(outputs, report.outputs, atol=1e-5)
    held_out = [score.held_out_accuracy for score in report.scores]
    best = report.scores[int(np.argmax(held_out))]
    correct = TASK.correct(outputs, report.batch)
    assert correct.mean() == best.accuracy
    np.testing.assert_array_equal(
        report.answers == report.batch.answer, correct
    )
    np.testing.assert_allclose(
        np.mean((outputs - report.batch.y) ** 2), best.mse, rtol=1e-4
    )
    assert best.by_delay.counts.sum() == 600
    np.testing.assert_allclose(
        np.sum(best.by_delay.accuracy * best.by_delay.counts) / 600,
        best.accuracy,
    )


def test_the_table_has_every_level_beside_the_network(report):
    lines = report.table().splitlines()
    assert lines[0] == (
        "| predictor | MSE | recall accuracy | close (2 .. 3) | between "
        "(4 .. 4) | far (5 .. 6) |"
    )
    names = [line.split(" | ")[0].strip("| ") for line in lines[2:]]
    assert names == [
        "zeros",
        "cue copied",
        "cue copied, mean response",
        "cue copied, right values, no binding",
        "blind guess",
        "right values, no binding (exact)",
        "network, seed 0",
        "network, seed 1",
    ]
    assert "| 0.250 |" in lines[6] and "| 0.562 |" in lines[7]
    numbers = json.loads(json.dumps(report.to_dict(), allow_nan=False))
    assert numbers["scores"][1]["accuracy"] == report.scores[1].accuracy
    assert numbers["no_binding"] == 0.5625
    assert Recipe.from_dict(numbers["recipe"]) == RECIPE
    assert RecallLoss(**numbers["loss"]) == MSE
    assert numbers["steps_per_epoch"] == STEPS


def test_the_network_keeps_the_weights_that_answered_best():
    """A spike of the loss at the end costs nothing."""
    trainer = MemoryTrainer(
        build, TASK, RECIPE, steps_per_epoch=STEPS, held_out=200
    )

    class Spike(keras.callbacks.Callback):
        def on_epoch_begin(self, epoch, logs=None):
            if epoch == RECIPE.epochs - 1:
                # Silent whatever comes: no gradient leads back.
                kernel = self.model.get_layer("neurons").cell.kernel
                kernel.assign([[-1e4]])

    network = trainer._network
    fit = network.fit
    network.fit = lambda *data, callbacks, **arguments: fit(
        *data, callbacks=[Spike(), *callbacks], **arguments
    )
    history = trainer.fit(seed=0, verbose=0)
    assert history["val_accuracy"][-1] < 0.5 < history["val_accuracy"][-2]
    outputs, batch = trainer.test(seed=0, sequences=500)
    assert TASK.correct(outputs, batch).mean() > 0.9


def test_training_held_out_and_test_sequences_differ():
    """With noise no two sequences are alike, unless they are the same."""
    task = ks.tasks.factorial_task(noise=0.1)
    trainer = MemoryTrainer(build, task, RECIPE, held_out=300)
    seen = {}
    trainer._network.fit = lambda seed, batches, **arguments: seen.update(
        batches=batches, held_out=arguments["validation_data"][0]
    )
    sets = []
    for seed in (0, 1):
        trainer.fit(seed, verbose=0)
        sets += [seen["batches"][index][0] for index in (0, 1)]
        sets += [seen["held_out"], trainer.test(seed, sequences=200)[1].x]
    rows = np.concatenate(sets)
    assert len(np.unique(rows.reshape(len(rows), -1), axis=0)) == len(rows)
    trainer.fit(0, verbose=0)
    np.testing.assert_array_equal(seen["held_out"], sets[2])


def test_logits_have_no_squared_error_in_the_table():
    report = train_memory_network(
        lambda: ks.models.build_memory_network("additive", controller_units=2),
        ks.tasks.additive_task(),
        Recipe(epochs=1, batch_size=8),
        loss=RecallLoss("crossentropy"),
        steps_per_epoch=2,
        seeds=(5,),
        test_sequences=1,
        verbose=0,
    )
    assert report.table().splitlines()[-1].startswith("| network, seed 5 |  |")
    # One sequence has one delay: there is no accuracy for the others.
    numbers = json.loads(json.dumps(report.to_dict(), allow_nan=False))
    assert numbers["scores"][0]["accuracy_by_delay"].count(None) == 2


@pytest.mark.parametrize("seeds", [(), (1, 1)])
def test_bad_seeds(seeds):
    with pytest.raises(ValueError, match="`seeds` must hold at least one"):
        train_memory_network(build, TASK, RECIPE, seeds=seeds)
