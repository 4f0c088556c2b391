"""What of a recipe the rules are trained by: the rates are searched."""

import dataclasses

from keras_seqattn._training.recipe import Recipe

RECIPE = Recipe(
    epochs=40,
    batch_size=32,
    optimizer="sgd",
    momentum=0.9,
    schedule="constant",
    clipnorm=None,
)
"""Of `compare_learning_rules`; epochs, batch size and momentum may differ."""

SEQUENCE_RECIPE = dataclasses.replace(RECIPE, momentum=0.0)
"""Of `compare_on_sequences`; the epochs may differ."""


def check_recipe(recipe: Recipe, usual: Recipe, free: tuple[str, ...]) -> None:
    """Raise if a recipe differs from the usual one in what is not free."""
    for field in dataclasses.fields(Recipe):
        value, wanted = getattr(recipe, field.name), getattr(usual, field.name)
        if field.name not in free and value != wanted:
            raise ValueError(
                "All rules are trained alike, at rates that are searched: of "
                f"the recipe only {', '.join(free)} may differ from "
                f"`learning_rules.RECIPE`, and `{field.name}` must be "
                f"{wanted!r}. Received: {field.name}={value!r}"
            )
