"""Every stem's search, from its command line, on small data."""

import csv
import dataclasses

import keras
import keras_tuner
import numpy as np
import pytest

from keras_seqattn import activity
from keras_seqattn import decoding
from keras_seqattn import learning_rules
from keras_seqattn import memory
from keras_seqattn._training.recipe import Recipe
from keras_seqattn.tasks import simulated_reaching
from tuning import activity_classifier
from tuning import burst_prop_network
from tuning import memory_network
from tuning import neural_decoder
from tuning.command_line import main
from tuning.directory import SearchError
from tuning.oracles import make_oracle
from tuning.settings import DEFAULTS_SPACE
from tuning.settings import STEMS
from tuning.settings import stem_class

SPACES = [(stem, space) for stem in STEMS for space in stem_class(stem).spaces]


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """A small file or task for each stem."""
    folder = tmp_path_factory.mktemp("data")
    recording = simulated_reaching(bins=1500, units=6, kernel_length=2)
    np.savez(
        folder / "reaching.npz",
        spikes=recording.spikes,
        vel=recording.movement,
        segment=recording.segment,
    )
    random = np.random.default_rng(0)
    y = np.arange(120) % 2
    np.savez(
        folder / "activity.npz",
        x=random.normal(size=(120, 16, 3)) + 2 * y[:, None, None],
        y=y,
        subject=np.arange(120) // 20,
        classes=["REST", "WALK"],
        channels=["x", "y", "z"],
        fs=50,
    )
    return {
        "neural_decoder": str(folder / "reaching.npz"),
        "activity_classifier": str(folder / "activity.npz"),
        "memory_network": "factorial",
        "burst_prop_network": None,
    }


@pytest.mark.parametrize("stem", STEMS)
def test_a_search_from_the_command_line(stem, data, tmp_path, capsys):
    arguments = ["--directory", str(tmp_path), "--max-trials", "1"]
    if data[stem]:
        arguments += ["--data", data[stem]]
    main(stem, [*arguments, "--epochs", "1", "--verbose", "0"])
    shown = capsys.readouterr().out
    assert f"# Search: {stem}" in shown and "best_model.keras" in shown
    with open(tmp_path / "results.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["rank"] for row in rows] == ["1"], rows
    objective = stem_class(stem).objective
    score = float(rows[0][objective.name])
    # What a workflow takes.
    recipe = Recipe.load(tmp_path / "recipe.json")
    assert recipe.epochs == 1
    assert f"{recipe.batch_size}" == rows[0]["batch_size"]
    # Raw data in, and the score comes out again.
    hypermodel = stem_class(stem)("modern", data[stem])
    model = keras.saving.load_model(tmp_path / "best_model.keras")
    outputs = model.predict(raw_inputs(hypermodel, model), verbose=0)
    if stem == "neural_decoder":
        standard = hypermodel.recording.movement_standardizer
        outputs = standard.transform(outputs)
    found = hypermodel.measure(outputs)[objective.name]
    assert found == pytest.approx(score, rel=1e-4)


def raw_inputs(hypermodel, model):
    if isinstance(hypermodel, activity_classifier.ActivityHyperModel):
        return hypermodel.windows.x[hypermodel.parts[1]]
    if isinstance(hypermodel, neural_decoder.DecoderHyperModel):
        steps, ends = model.input_shape[1], hypermodel.recording.ends
        spikes = hypermodel.recording.recording.spikes
        return np.stack(
            [spikes[end - steps + 1 : end + 1] for end in ends["validation"]]
        )
    return hypermodel.validation(None)


def draws(stem, space, data, number):
    """Points of a space, drawn as random search draws them."""
    hypermodel = stem_class(stem)(space, data[stem])
    oracle = make_oracle("random", hypermodel.objective, number, 1, seed=5)
    hp = keras_tuner.HyperParameters()
    hypermodel.configuration(hp)
    oracle.update_space(hp)
    for _ in range(number):
        hp = keras_tuner.HyperParameters()
        hp.values = oracle._random_values()
        yield hypermodel, hp


@pytest.mark.parametrize(("stem", "space"), SPACES)
def test_every_point_of_a_space_is_a_model(stem, space, data):
    number = 1 if space == DEFAULTS_SPACE else 200
    for index, (hypermodel, hp) in enumerate(draws(stem, space, data, number)):
        found = hypermodel.configuration(hp)
        assert found.training.learning_rate > 0
        if "num_heads" in found.model:
            assert found.model["units"] % found.model["num_heads"] == 0
            assert found.model["units"] > 0
        if index == 0 and space != DEFAULTS_SPACE:
            model = hypermodel.build(hp)
            x = hypermodel.validation(found)
            shape = (len(x), *model.compute_output_shape(x.shape)[1:])
            outputs = np.random.default_rng(0).uniform(0.1, 0.9, size=shape)
            metrics = hypermodel.measure(outputs.astype("float32"))
            assert np.isfinite(metrics[hypermodel.objective.name])


def test_the_defaults_are_the_workflows(data):
    for stem, recipe in (
        ("neural_decoder", decoding.RECIPE),
        ("activity_classifier", activity.RECIPE),
        ("memory_network", memory.RECIPES["factorial"]),
    ):
        hypermodel = stem_class(stem)(DEFAULTS_SPACE, data[stem])
        found = hypermodel.configuration(keras_tuner.HyperParameters())
        assert found.training is recipe
        assert hypermodel.recipe(found) is recipe


def test_channels_that_are_no_triads_do_not_turn(data):
    hypermodel = activity_classifier.ActivityHyperModel(
        data=data["activity_classifier"]
    )
    found = hypermodel.configuration(keras_tuner.HyperParameters())
    assert hypermodel.recipe(found).augmentation["name"] == "rotate_and_scale"
    windows = hypermodel.windows
    hypermodel.windows = dataclasses.replace(
        windows, x=windows.x[..., :2], channels=("x", "y")
    )
    assert hypermodel.recipe(found).augmentation is None
    assert hypermodel.batches(found, 0)["x"][0][0].shape[1:] == (16, 2)


def test_the_defaults_are_the_builders(data):
    for stem in STEMS:
        hypermodel = stem_class(stem)(DEFAULTS_SPACE, data[stem])
        hp = keras_tuner.HyperParameters()
        model = hypermodel.configuration(hp).model
        assert hp.values == {}
        # Where the builder has no default.
        assert set(model) <= {"timesteps", "hidden"}


def test_the_originals_spaces():
    hp = keras_tuner.HyperParameters()
    activity_classifier.ActivityHyperModel("round_1").configuration(hp)
    space = {item.name: item for item in hp.space}
    rate = space["learning_rate"]
    assert round(rate.min_value, 5) == 0.00303
    assert round(rate.max_value, 5) == 0.00824
    assert (space["num_heads"].min_value, space["num_heads"].max_value) == (
        6,
        36,
    )
    assert round(space["hidden"].max_value) == 117
    hp = keras_tuner.HyperParameters()
    found = activity_classifier.ActivityHyperModel("round_2").configuration(hp)
    space = {item.name: item for item in hp.space}
    assert found.training.epochs == 100 and found.training.batch_size == 256
    assert round(space["l2"].min_value, 6) == 0.000545
    assert round(space["hidden"].min_value) == 50
    assert space["window_size"].max_value == 100
    assert "use_positional_encoding" in space
    assert found.model["num_layers"] == 3 and found.model["residual"]
    hp = keras_tuner.HyperParameters()
    found = neural_decoder.DecoderHyperModel("timesteps").configuration(hp)
    assert [item.name for item in hp.space] == ["timesteps"]
    assert hp.space[0].max_value == 30 and found.training.epochs == 5


def test_l2_is_added_to_the_gradient():
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2)])
    hp = keras_tuner.HyperParameters()
    found = activity_classifier.ActivityHyperModel("round_1").configuration(hp)
    found.training.add_l2(model)
    squares = sum(np.sum(w**2) for w in model.get_weights())
    total = keras.ops.sum(keras.ops.stack(model.losses))
    penalty = float(keras.ops.convert_to_numpy(total))
    # Its gradient is l2 times the weight.
    assert penalty == pytest.approx(found.training.l2 * squares / 2, rel=1e-5)


def test_no_subject_trains_and_validates(data):
    found = set()
    for fold in range(5):
        hypermodel = activity_classifier.ActivityHyperModel(
            data=data["activity_classifier"], fold=fold
        )
        train, own = hypermodel.parts
        subject = hypermodel.windows.subject
        assert not set(subject[train]) & set(subject[own])
        found |= set(subject[own])
        hp = keras_tuner.HyperParameters()
        x = hypermodel.batches(hypermodel.configuration(hp), 0)["x"].x
        np.testing.assert_array_equal(x, hypermodel.windows.x[train])
    assert found == set(range(6))


def test_a_fold_that_is_not_there(tmp_path):
    np.savez(
        tmp_path / "three.npz",
        x=np.random.default_rng(0).normal(size=(30, 16, 3)),
        y=np.arange(30) % 2,
        subject=np.arange(30) // 10,
        classes=["REST", "WALK"],
        channels=["x", "y", "z"],
        fs=50,
    )
    folder = str(tmp_path / "three.npz")
    with pytest.raises(
        SearchError, match=r"3 subjects, .* 0 \.\. 2\. Received"
    ):
        _ = activity_classifier.ActivityHyperModel(data=folder, fold=3).parts


def test_the_training_part_alone_is_read(monkeypatch):
    asked = []

    def load(path, *, part):
        asked.append((path, part))
        raise FileNotFoundError

    monkeypatch.setattr(activity_classifier, "load_recordings", load)
    with pytest.raises(FileNotFoundError):
        _ = activity_classifier.ActivityHyperModel(data="UCI HAR").windows
    assert asked == [("UCI HAR", "train")]


def test_decoders_never_see_the_test_part(data, monkeypatch):
    parts = set()
    for name in ("windows", "score"):
        method = getattr(decoding.DecodingData, name)

        def spy(self, part, *arguments, method=method):
            parts.add(part)
            return method(self, part, *arguments)

        monkeypatch.setattr(decoding.DecodingData, name, spy)
    hypermodel = neural_decoder.DecoderHyperModel(
        "defaults", data["neural_decoder"], epochs=1
    )
    hp = keras_tuner.HyperParameters()
    hypermodel.fit(hp, hypermodel.build(hp), verbose=0)
    assert parts == {"train", "validation"}


def test_images_that_validate_are_training_images():
    images = learning_rules.load_digits()
    hypermodel = burst_prop_network.BurstPropHyperModel()
    hp = keras_tuner.HyperParameters()
    trained = hypermodel.batches(hypermodel.configuration(hp), 0)["x"].x
    validating = hypermodel.validation(None)
    assert len(trained) + len(validating) == len(images.x_train)
    both = {row.tobytes() for row in np.concatenate([trained, validating])}
    assert both == {row.tobytes() for row in images.x_train}


def test_sequences_that_validate_are_no_others():
    hypermodel = memory_network.MemoryHyperModel(data="one_neuron")
    hp = keras_tuner.HyperParameters()
    configuration = hypermodel.configuration(hp)
    validating = hypermodel.validation(configuration)
    batches = hypermodel.batches(configuration, 0)["x"]
    # As `memory.MemoryTrainer` draws its test.
    test = hypermodel.task.sample(500, (0, 2))
    for other in (batches[0][0], test.x):
        assert not {x.tobytes() for x in other} & {
            x.tobytes() for x in validating
        }


def test_as_many_sequences_in_batches_of_any_size():
    hypermodel = memory_network.MemoryHyperModel("modern", "factorial")
    for size in (16, 64):
        hp = keras_tuner.HyperParameters()
        hp.values = {"batch_size": size}
        batches = hypermodel.batches(hypermodel.configuration(hp), 0)["x"]
        assert len(batches) * len(batches[0][0]) == 3200
