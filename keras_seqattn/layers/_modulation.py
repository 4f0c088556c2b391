"""Which parameters of an activation are modulated, and within what range."""

import inspect
import math
from collections.abc import Callable
from collections.abc import Mapping
from collections.abc import Sequence
from typing import Any

import keras
from keras import ops

from keras_seqattn import activations
from keras_seqattn._checks import check_choice
from keras_seqattn._checks import check_flag
from keras_seqattn._checks import check_list

# By name: the function, and each of its parameters with its resting value.
_KNOWN: dict[str, tuple[Callable[..., Any], dict[str, float]]] = {
    "gain_softplus": (
        activations.gain_softplus,
        {"gain": 1.0, "threshold": 1.0, "softness": 1.0},
    ),
    "adaptive": (
        activations.adaptive_softplus_sigmoid,
        {"n": 1.0, "s": 0.5},
    ),
}
_POSITIVE = ("softness", "n")
_SHARE = ("s",)


class Modulation:
    """An activation whose parameters are set by unbounded numbers.

    The number 0 stands for a parameter's resting value.

    Args:
        activation: `"gain_softplus"`, `"adaptive"`, or a function of the
            pre-activation and of keyword arguments.
        modulated: Names of the modulated parameters. Default: `("gain",)`,
            `("n", "s")`.
        resting_values: Numbers by name. Those not modulated stay constant.
        signed: Whether every parameter may take any value.
    """

    def __init__(
        self,
        activation: str | Callable[..., Any],
        modulated: Sequence[str] | None,
        resting_values: dict[str, float] | None,
        signed: bool,
    ) -> None:
        for name, (function, _) in _KNOWN.items():
            if activation is function:
                activation = name
        self.activation = activation
        self.signed = check_flag("signed", signed)
        if not isinstance(resting_values, Mapping | None):
            raise ValueError(
                "`resting_values` must be a dictionary from names to numbers. "
                f"Received: resting_values={resting_values!r}"
            )
        resting_values = dict(resting_values or {})
        if isinstance(activation, str):
            check_choice("activation", activation, _KNOWN)
            function, rest = _KNOWN[activation]
            names = tuple(rest)
            self._function: Callable[..., Any] = function
            self._constants: dict[str, Any] = {"signed": self.signed}
            if modulated is None:
                modulated = ("gain",) if "gain" in rest else names
        elif callable(activation):
            self._function, self._constants = activation, {}
            if modulated is None:
                raise ValueError(
                    "With a function as `activation`, `modulated` must name "
                    "its modulated parameters. Received: modulated=None"
                )
            if signed:
                raise ValueError(
                    "`signed` is for the activations named "
                    f"{tuple(_KNOWN)}. Received: signed={signed}, "
                    f"activation={activation}"
                )
            rest = {}
            # The first one is the pre-activation.
            names = tuple(inspect.signature(activation).parameters)[1:]
        else:
            raise ValueError(
                f"`activation` must be one of {tuple(_KNOWN)}, or a function "
                "of the pre-activation and of the modulated parameters, by "
                f"name. Received: activation={activation!r}"
            )
        if isinstance(modulated, str):
            modulated = (modulated,)
        self.modulated = tuple(
            check_choice("modulated", one, names)
            for one in check_list("modulated", modulated)
        )
        if not self.modulated or len(set(self.modulated)) != len(
            self.modulated
        ):
            raise ValueError(
                "`modulated` must name at least one parameter of the "
                f"activation, and none twice, out of {names}. "
                f"Received: modulated={self.modulated}"
            )
        for name in resting_values:
            check_choice("resting_values", name, names)
        self.resting_values = {
            **dict.fromkeys(self.modulated, 1.0),
            **rest,
            **resting_values,
        }
        self._bounded = isinstance(activation, str) and not self.signed
        for name, value in self.resting_values.items():
            self._check_rest(name, value)
        self._constants |= {
            name: value
            for name, value in self.resting_values.items()
            if name not in self.modulated
        }

    def _check_rest(self, name: str, value: Any) -> None:
        low, high = -math.inf, math.inf
        if self._bounded and name in _POSITIVE:
            low = activations.MINIMUM_SOFTNESS
        if self._bounded and name in _SHARE:
            low, high = 0.0, 1.0
        constant_end = name not in self.modulated and value in (low, high)
        if not isinstance(value, int | float) or not (
            low < value < high or (math.isfinite(value) and constant_end)
        ):
            raise ValueError(
                f"The resting value of {name!r} must be above {low} and below "
                f"{high}. Received: resting_values={self.resting_values}"
            )

    def values(self, raw: Any) -> Any:
        """Unbounded numbers (..., parameters) to parameters, same shape."""
        if not self._bounded or not {*_POSITIVE, *_SHARE} & {*self.modulated}:
            rest = [self.resting_values[name] for name in self.modulated]
            return raw + ops.convert_to_tensor(rest, dtype=raw.dtype)
        return ops.stack(
            [
                self._value(name, raw[..., index])
                for index, name in enumerate(self.modulated)
            ],
            axis=-1,
        )

    def _value(self, name: str, raw: Any) -> Any:
        rest = self.resting_values[name]
        if name in _POSITIVE:
            least = activations.MINIMUM_SOFTNESS
            above = rest - least
            # The inverse of softplus.
            start = above + math.log(-math.expm1(-above))
            return least + ops.softplus(raw + start)
        if name in _SHARE:
            return ops.sigmoid(raw + math.log(rest / (1 - rest)))
        return raw + rest

    def activate(self, x: Any, values: Any) -> Any:
        """Pre-activations (..., neurons), parameters (..., neurons or 1, P)."""
        parameters = {
            name: values[..., index]
            for index, name in enumerate(self.modulated)
        }
        return self._function(x, **parameters, **self._constants)

    def get_config(self) -> dict[str, Any]:
        """What the constructor takes."""
        activation = self.activation
        if not isinstance(activation, str):
            activation = keras.saving.serialize_keras_object(activation)
        return {
            "activation": activation,
            "modulated": list(self.modulated),
            "resting_values": dict(self.resting_values),
            "signed": self.signed,
        }
