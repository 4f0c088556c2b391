import dataclasses
import json

import keras
import numpy as np
import pytest

import keras_seqattn as ks
from keras_seqattn._training.recipe import MAX_BYTES
from keras_seqattn._training.recipe import Recipe
from keras_seqattn._training.weight_averages import WarmAverage
from tests.backend import to_numpy

PLAIN = Recipe(epochs=4, batch_size=8, learning_rate=0.02)
FULL = Recipe(
    epochs=7,
    batch_size=32,
    learning_rate=0.01,
    optimizer="sgd",
    momentum=0.5,
    schedule="cosine",
    floor=0.1,
    stair_epochs=2,
    stair_factor=0.5,
    warmup=0.05,
    average="epoch",
    patience=3,
    clipnorm=None,
    weight_decay=0.02,
    l2=0.003,
    label_smoothing=0.1,
    class_weights=(1.0, 2.5),
    augmentation={"name": "rotate_and_scale", "degrees": 30, "scale": 0.1},
)


def changed(**changes):
    return dataclasses.replace(PLAIN, **changes)


def test_one_class_for_all_workflows():
    for room in (ks.decoding, ks.activity, ks.memory):
        assert room.Recipe is Recipe


def test_the_workflows_own():
    assert ks.decoding.RECIPE == Recipe(
        epochs=40,
        batch_size=128,
        learning_rate=3e-3,
        optimizer="adam",
        schedule="cosine",
        floor=0.0,
        average="epoch",
        patience=6,
        clipnorm=1.0,
    )
    assert ks.activity.RECIPE == Recipe(
        epochs=40,
        batch_size=64,
        learning_rate=3e-3,
        optimizer="adam",
        schedule="cosine_by_epoch",
        clipnorm=1.0,
    )
    found = {
        name: (recipe.epochs, recipe.batch_size)
        for name, recipe in ks.memory.RECIPES.items()
    }
    assert found == {
        "one_neuron": (24, 64),
        "one_neuron_all": (24, 64),
        "one_neuron_adaptive": (24, 64),
        "factorial": (6, 64),
        "additive": (8, 64),
        "association": (20, 32),
    }
    for recipe in ks.memory.RECIPES.values():
        assert (recipe.learning_rate, recipe.floor) == (1e-2, 0.05)
        assert (recipe.schedule, recipe.clipnorm) == ("cosine", 1.0)


# --- The learning rate


def expected_rates(recipe, steps):
    """The learning rate of each step, by hand."""
    total = steps * recipe.epochs
    step = np.arange(total + 1)
    if recipe.schedule == "staircase":
        stairs = step // (steps * recipe.stair_epochs)
        return recipe.learning_rate * recipe.stair_factor**stairs
    warmup = recipe.warmup * total
    way = (step - warmup) / (total - warmup)
    share = np.ones(len(step))
    if recipe.schedule == "cosine":
        cosine = (1 + np.cos(np.pi * way)) / 2
        share = recipe.floor + (1 - recipe.floor) * cosine
    if warmup:
        share = np.where(step < warmup, step / warmup, share)
    return recipe.learning_rate * share


@pytest.mark.parametrize(
    "changes",
    [
        {"schedule": "constant"},
        {"schedule": "constant", "warmup": 0.25},
        {"schedule": "cosine"},
        {"schedule": "cosine", "floor": 0.05},
        {"schedule": "cosine", "warmup": 0.1},
        {"schedule": "cosine", "floor": 0.2, "warmup": 0.25},
        {"schedule": "staircase", "stair_epochs": 2},
        {"schedule": "staircase", "stair_factor": 0.5},
    ],
)
def test_rates_of_the_steps(changes):
    recipe = changed(**changes)
    optimizer = recipe.make_optimizer(10)
    optimizer.build([keras.Variable([0.0])])
    found = []
    for _ in range(41):
        found.append(float(to_numpy(optimizer.learning_rate)))
        optimizer.iterations.assign_add(1)
    np.testing.assert_allclose(
        found, expected_rates(recipe, 10), rtol=1e-5, atol=1e-8
    )


def test_rates_of_the_epochs():
    rates = train(
        changed(schedule="cosine_by_epoch", floor=0.1, epochs=5)
    ).history["learning_rate"]
    cosine = (1 + np.cos(np.pi * np.arange(5) / 5)) / 2
    np.testing.assert_allclose(rates, 0.02 * (0.1 + 0.9 * cosine), rtol=1e-5)


def test_which_rates_depend_on_the_steps():
    found = {
        name: changed(schedule=name).counts_steps
        for name in ("constant", "cosine", "cosine_by_epoch", "staircase")
    }
    assert found == {
        "constant": False,
        "cosine": True,
        "cosine_by_epoch": False,
        "staircase": True,
    }
    assert changed(schedule="constant", warmup=0.1).counts_steps


# --- The optimizer


def test_optimizers():
    sgd = changed(
        optimizer="sgd", momentum=0.7, weight_decay=0.03, clipnorm=None
    ).make_optimizer(10)
    assert isinstance(sgd, keras.optimizers.SGD) and sgd.momentum == 0.7
    assert (sgd.weight_decay, sgd.clipnorm) == (0.03, None)
    adam = PLAIN.make_optimizer(10)
    assert isinstance(adam, keras.optimizers.Adam) and not adam.use_ema
    assert not isinstance(adam, WarmAverage)
    assert (adam.clipnorm, adam.weight_decay) == (1.0, None)
    for name in ("Adam", "Nadam", "RMSprop", "SGD"):
        expected = getattr(keras.optimizers, name)
        for average in (None, 0.9):
            optimizer = changed(
                optimizer=name.lower(), average=average
            ).make_optimizer(10)
            assert isinstance(optimizer, expected)
            assert optimizer.use_ema is (average is not None)
            assert isinstance(optimizer, WarmAverage) is optimizer.use_ema


def test_l2_is_added_to_the_gradient():
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2)])
    assert changed(l2=0.1).add_l2(model) is model
    squares = sum(np.sum(weight**2) for weight in model.get_weights())
    penalty = sum(float(to_numpy(loss)) for loss in model.losses)
    # Its gradient is l2 times the weight.
    assert penalty == pytest.approx(0.1 * squares / 2, rel=1e-5)


def test_what_stops_a_training():
    assert changed(patience=2).early_stopping().patience == 2
    never = PLAIN.early_stopping()
    assert never.patience == PLAIN.epochs and never.restore_best_weights


# --- The average of the weights


RANDOM = np.random.default_rng(0)
X = RANDOM.normal(size=(32, 3)).astype("float32")
Y = X @ RANDOM.normal(size=(3, 2)).astype("float32")


class Weights(keras.callbacks.Callback):
    """Those of each step, and what is there at the end of each epoch."""

    def on_train_begin(self, logs=None):
        self.steps, self.epochs = [], []

    def on_train_batch_end(self, batch, logs=None):
        if keras.backend.backend() == "jax":
            self.model.jax_state_sync()
        self.steps.append(self.model.get_weights())


class Averages(keras.callbacks.Callback):
    def __init__(self, weights):
        super().__init__()
        self.weights = weights

    def on_epoch_end(self, epoch, logs=None):
        self.weights.epochs.append(self.model.get_weights())


def train(recipe, *callbacks):
    keras.utils.set_random_seed(0)
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2)])
    model.compile(recipe.make_optimizer(4), "mse")
    model.fit(
        X,
        Y,
        batch_size=recipe.batch_size,
        epochs=recipe.epochs,
        verbose=0,
        callbacks=[*callbacks[:1], *recipe.callbacks(), *callbacks[1:]],
    )
    return model.history


@pytest.mark.parametrize(
    "optimizer, average, highest",
    [
        ("adam", 0.6, 0.6),
        ("sgd", 0.99, 0.99),
        ("nadam", "epoch", 0.75),
        ("rmsprop", 0.0, 0.0),
    ],
)
def test_the_average_step_by_step(optimizer, average, highest):
    seen = Weights()
    recipe = changed(optimizer=optimizer, average=average)
    train(recipe, seen, Averages(seen))
    assert len(seen.steps) == 16
    mean = seen.steps[0]
    for step, weights in enumerate(seen.steps):
        if step:
            momentum = min(highest, (1 + step) / (10 + step))
            mean = [
                momentum * old + (1 - momentum) * new
                for old, new in zip(mean, weights, strict=True)
            ]
        if step % 4 == 3:
            for found, value in zip(seen.epochs[step // 4], mean, strict=True):
                np.testing.assert_allclose(found, value, rtol=1e-5, atol=1e-6)
    # The training does not see them.
    plain = Weights()
    train(dataclasses.replace(recipe, average=None), plain)
    for one, other in zip(plain.steps[-1], seen.steps[-1], strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-6)


def test_a_model_with_averages_is_saved_as_any_other(tmp_path):
    model = train(changed(average=0.8)).model
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras").optimizer
    assert loaded.get_config()["ema_momentum"] == 0.8
    # Of the next step, the 17th.
    assert float(to_numpy(loaded.ema_momentum)) == pytest.approx(17 / 26)
    loaded.iterations.assign(1000)
    assert float(to_numpy(loaded.ema_momentum)) == pytest.approx(0.8)


def test_an_average_of_few_steps_is_no_worse_than_none():
    """6 epochs of 14 steps; Keras' own average keeps where it began."""
    rng = np.random.default_rng(0)
    centers = rng.normal(size=(4, 6))
    y = rng.integers(0, 4, 14 * 32 + 400)
    x = centers[y] + 0.9 * rng.normal(size=(len(y), 6))

    def accuracy(seed, optimizer, recipe):
        keras.utils.set_random_seed(seed)
        model = keras.Sequential(
            [
                keras.Input((6,)),
                keras.layers.Dense(16, "relu"),
                keras.layers.Dense(4, "softmax"),
            ]
        )
        model.compile(
            optimizer, "sparse_categorical_crossentropy", metrics=["accuracy"]
        )
        return model.fit(
            x[400:],
            y[400:],
            batch_size=32,
            epochs=6,
            verbose=0,
            validation_data=(x[:400], y[:400]),
            callbacks=recipe.callbacks(),
        ).history["val_accuracy"][-1]

    plain = Recipe(epochs=6, batch_size=32, learning_rate=3e-2)
    averaged = dataclasses.replace(plain, average=0.99)
    for seed in range(3):
        none = accuracy(seed, plain.make_optimizer(14), plain)
        found = accuracy(seed, averaged.make_optimizer(14), averaged)
        kerass = keras.optimizers.Adam(
            plain.rate(14), clipnorm=1.0, use_ema=True, ema_momentum=0.99
        )
        assert accuracy(seed, kerass, averaged) < none <= found


# --- Files


def test_a_recipe_comes_back_from_its_file(tmp_path):
    for recipe in (PLAIN, FULL, changed(class_weights="balanced")):
        recipe.save(tmp_path / "recipe.json")
        assert Recipe.load(tmp_path / "recipe.json") == recipe
        assert Recipe.from_dict(recipe.to_dict()) == recipe
    settings = json.loads((tmp_path / "recipe.json").read_text())
    assert list(settings) == [f.name for f in dataclasses.fields(Recipe)]
    assert settings["epochs"] == 4 and settings["class_weights"] == "balanced"
    # What a file does not say is as it is.
    (tmp_path / "recipe.json").write_text('{"epochs": 3}')
    assert Recipe.load(tmp_path / "recipe.json") == Recipe(epochs=3)


def test_a_recipe_of_numpys_numbers_is_plain(tmp_path):
    recipe = changed(epochs=np.int64(3), l2=np.float32(0.5))
    recipe.save(tmp_path / "recipe.json")
    assert Recipe.load(tmp_path / "recipe.json") == changed(epochs=3, l2=0.5)


def test_what_a_recipe_holds_cannot_be_changed_from_outside():
    settings = {"name": "rotate_and_scale", "degrees": 30}
    recipe = changed(augmentation=settings)
    settings["degrees"] = 90
    recipe.to_dict()["augmentation"]["degrees"] = 90
    assert recipe.augmentation["degrees"] == 30


@pytest.mark.parametrize(
    "text, message",
    [
        ("", "must be a recipe, in JSON. Received: Expecting value"),
        ("{'epochs': 3}", "must be a recipe, in JSON. Received: Expecting pro"),
        ("[" * 100_000, "must be a recipe, in JSON. Received: "),
        ("\xff", "must be a recipe, in JSON. Received: "),
        (" " * MAX_BYTES + "{}", f"of at most {MAX_BYTES} bytes"),
        ("[1, 2]", r"dictionary of its settings. Received: \[1, 2\]"),
        ("null", "dictionary of its settings. Received: None"),
        (
            '{"epochs": 3, "rate": 0.1}',
            r"has the settings \['epochs', .* Received: \['rate'\]",
        ),
        ('{"epochs": "3"}', "`epochs` must be a positive .*: epochs='3'"),
        ('{"epochs": 2.0}', "`epochs` must be a positive .*: epochs=2.0"),
        ('{"epochs": true}', "`epochs` must be a positive .*: epochs=True"),
        ('{"epochs": null}', "`epochs` must be a positive .*: epochs=None"),
        ('{"learning_rate": NaN}', "`learning_rate` must be a finite number"),
        ('{"learning_rate": 1e999}', "`learning_rate` must be a finite numb"),
        ('{"learning_rate": 1' + 400 * "0" + "}", "is no recipe: "),
        ('{"optimizer": ["adam"]}', r"`optimizer` must be one of \('adam'"),
        ('{"class_weights": {"0": 1}}', "`class_weights` must be `None`"),
        ('{"augmentation": "noise"}', "`augmentation` must be `None` or a"),
    ],
)
def test_files_that_are_no_recipe(text, message, tmp_path):
    path = tmp_path / "found.json"
    path.write_bytes(text.encode("latin-1"))
    with pytest.raises(ValueError, match=rf"(?s)found\.json.*{message}"):
        Recipe.load(path)


def test_a_file_that_is_not_there(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"no recipe at .*not\.json"):
        Recipe.load(tmp_path / "not.json")


# --- Refusals


@pytest.mark.parametrize(
    "changes, message",
    [
        ({"epochs": 0}, "`epochs` must be a positive integer"),
        ({"batch_size": 0}, "`batch_size` must be a positive integer"),
        ({"learning_rate": 0}, "`learning_rate` must be a finite number above"),
        ({"optimizer": "lion"}, r"`optimizer` must be one of \('adam', 'nada"),
        ({"momentum": 1}, "`momentum` must be a number in"),
        ({"schedule": "step"}, r"`schedule` must be one of \('constant', 'cos"),
        ({"floor": -0.1}, "`floor` must be a number in"),
        ({"stair_epochs": 0}, "`stair_epochs` must be a positive integer"),
        ({"stair_factor": 2}, "`stair_factor` must be a number above 0 and at"),
        ({"warmup": 1}, "`warmup` must be a number in"),
        (
            {"warmup": 0.1, "schedule": "staircase"},
            "`warmup` is for the schedules 'constant' and 'cosine'. Rec.*'stai",
        ),
        (
            {"warmup": 0.1, "schedule": "cosine_by_epoch"},
            "`warmup` is for the schedules 'constant' and 'cosine'",
        ),
        ({"average": 1.0}, r"`average` must be a number .*\[0, 1\)"),
        ({"average": "step"}, "`average` must be a number, 'epoch' or `None`"),
        ({"patience": 0}, "`patience` must be a positive integer"),
        ({"clipnorm": 0}, "`clipnorm` must be a finite number above 0"),
        ({"weight_decay": -1}, "`weight_decay` must be a number in"),
        ({"l2": -1}, "`l2` must be a finite number that is not negative"),
        ({"label_smoothing": 1}, "`label_smoothing` must be a number in"),
        ({"class_weights": "even"}, "`class_weights` must be `None`, 'balanc"),
        ({"class_weights": []}, "`class_weights` must be `None`, 'balanced' o"),
        ({"class_weights": [1, -1]}, "`class_weights` must be a finite number"),
        ({"class_weights": {0: 1}}, "`class_weights` must be .* a number a cl"),
        ({"augmentation": {}}, "`augmentation` must be .* with a `name` and"),
        ({"augmentation": {"name": 3}}, "`augmentation` must be .* a `name`"),
        (
            {"augmentation": {"name": "noise", "stddev": np.ones(2)}},
            "plain values that JSON can hold. Received: augmentation={'name'",
        ),
        (
            {"augmentation": {"name": "noise", "stddev": float("nan")}},
            "plain values that JSON can hold",
        ),
    ],
)
def test_bad_settings(changes, message):
    with pytest.raises(ValueError, match=message):
        Recipe(**changes)


def test_settings_that_mean_nothing_to_a_workflow():
    PLAIN.check_unused("class_weights", "label_smoothing", what="a rock")
    with pytest.raises(
        ValueError,
        match="`label_smoothing` of a recipe means nothing to a rock: it must",
    ):
        FULL.check_unused("label_smoothing", what="a rock")


def test_class_weights():
    y = np.array([0, 0, 0, 0, 1])
    assert PLAIN.class_weight(y, 2) is None
    balanced = changed(class_weights="balanced").class_weight(y, 2)
    assert balanced == {0: 0.625, 1: 2.5}
    assert FULL.class_weight(y, 2) == {0: 1.0, 1: 2.5}
    with pytest.raises(ValueError, match="for each of the 3 classes"):
        FULL.class_weight(y, 3)


@pytest.mark.process
def test_resumed_training_equals_uninterrupted_training(tmp_path):
    """Batch statistics, averages and the optimizer come from a backup."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(64, 6, 3)).astype("float32")
    y = x.sum((1, 2), keepdims=True)[:, 0]

    class Killed(Exception):
        pass

    def train(name, kill=None):
        keras.utils.set_random_seed(0)
        inputs = keras.Input((6, 3))
        layer = ks.layers.LARNN(4, 2, 3, normalization="batch")
        model = keras.Model(inputs, keras.layers.Dense(1)(layer(inputs)))
        model.compile(changed(average=0.99).make_optimizer(3), "mse")
        batches = ks.windows.WindowBatches(x, y, 8, shuffle=True)

        def begin(epoch, logs=None):
            if epoch == kill:
                raise Killed
            batches.epoch = epoch

        callbacks = [
            keras.callbacks.BackupAndRestore(tmp_path / name),
            keras.callbacks.SwapEMAWeights(swap_on_epoch=True),
            keras.callbacks.LambdaCallback(on_epoch_begin=begin),
        ]
        model.fit(
            batches, epochs=4, shuffle=False, verbose=0, callbacks=callbacks
        )
        return [to_numpy(variable) for variable in model.variables]

    whole = train("whole")
    with pytest.raises(Killed):
        train("killed", kill=2)
    resumed = train("killed")
    for one, other in zip(resumed, whole, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-5)
