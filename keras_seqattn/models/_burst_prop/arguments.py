"""What the arguments of a `BurstPropNetwork` may be."""

from collections.abc import Mapping
from collections.abc import Sequence
from typing import Any

from keras_seqattn._checks import check_non_negative_number
from keras_seqattn._checks import check_positive_integer
from keras_seqattn._checks import check_positive_number
from keras_seqattn.models._burst_prop.moving_average import greatest_strength

RATE_ONLY = (
    "feedback",
    "recurrent",
    "recurrent_learning_rate",
    "kernel_regularizer",
    "bias_regularizer",
)
AVERAGE_ONLY = ("burst_probability", "teacher_strength", "average_rate")
YEAR_2017_ONLY = ("apical_delay", "feedback_learning_rate")
TEMPORAL_ONLY = (
    "variant",
    "teacher_probability",
    *AVERAGE_ONLY[1:],
    *YEAR_2017_ONLY,
    "stateful",
    "seed",
)


def check_units(units: Any) -> list[int]:
    """Return `units` as a list, or raise if it holds no layer's width."""
    if not isinstance(units, Sequence) or isinstance(units, str) or not units:
        raise ValueError(
            "`units` must be a list of positive integers, one a layer. "
            f"Received: units={units!r}"
        )
    return [check_positive_integer("units", width) for width in units]


def check_multipliers(multipliers: Any, layers: int) -> list[float] | None:
    """Return a number for each layer, or `None`, or raise."""
    if multipliers is None:
        return None
    if not isinstance(multipliers, Sequence) or len(multipliers) != layers:
        raise ValueError(
            "`learning_rate_multipliers` must hold one number for each of "
            f"the {layers} layers. "
            f"Received: learning_rate_multipliers={multipliers!r}"
        )
    return [
        check_non_negative_number("learning_rate_multipliers", number)
        for number in multipliers
    ]


def check_teacher_probability(probability: Any) -> float:
    """Return a number in (0, 1), or raise."""
    found = check_positive_number("teacher_probability", probability)
    if found >= 1:
        raise ValueError(
            "`teacher_probability` must be below 1: steps without a "
            "teacher are what teaching is compared with. "
            f"Received: teacher_probability={found!r}"
        )
    return found


def check_mode(
    settings: Mapping[str, Any], defaults: Mapping[str, Any]
) -> None:
    """Refuse what the other mode has, instead of not doing it.

    Args:
        settings: Every argument of the network, checked, by name.
        defaults: What each is if it is not given.
    """
    temporal = settings["mode"] == "temporal"
    unused: tuple[str, ...] = TEMPORAL_ONLY
    where = "mode 'rate'"
    if temporal:
        where = f"mode 'temporal' with variant '{settings['variant']}'"
        average = settings["variant"] == "moving_average"
        unused = RATE_ONLY + (YEAR_2017_ONLY if average else AVERAGE_ONLY)
    for name in unused:
        value, default = settings[name], defaults[name]
        if value != default:
            raise ValueError(
                f"`{name}` says nothing in {where}: leave it at "
                f"{default!r}. Received: {name}={value!r}"
            )
    most = greatest_strength(settings["burst_probability"])
    if (settings["teacher_strength"] or 0) > most:
        raise ValueError(
            "`teacher_strength` must be at most 4 and at most 1 / "
            f"burst_probability - 1, here {most:.4g}: a burst probability "
            "would leave [0, 1]. "
            f"Received: teacher_strength={settings['teacher_strength']}"
        )
    if temporal and len(settings["units"]) < 2:
        raise ValueError(
            "`mode='temporal'` needs a hidden layer: `units` of at least "
            f"two layers. Received: units={settings['units']}"
        )
