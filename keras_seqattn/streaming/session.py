"""A person's hold on a stream: push a step, get an output."""

import contextlib
import hashlib
import numbers
import os
import threading
from collections.abc import Callable
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

from keras_seqattn._checks import check_array
from keras_seqattn._files.array_file import ANY
from keras_seqattn._files.array_file import ArrayFile
from keras_seqattn._files.whole_file import whole_file
from keras_seqattn.streaming.engine import Engine
from keras_seqattn.streaming.engine import compiled_engine
from keras_seqattn.streaming.names import MASK
from keras_seqattn.streaming.names import numpy_type
from keras_seqattn.streaming.names import state_inputs
from keras_seqattn.streaming.names import step_names
from keras_seqattn.streaming.step_model import initial_state

FINGERPRINT = "fingerprint"
Arrays = Sequence[np.ndarray]
MakeEngine = Callable[[keras.Model, Arrays, Arrays], Engine]


class StreamingSession:
    """Runs a step model, and keeps its states between the steps.

    The step is compiled when the session begins, for its number of streams,
    so that the first push is as fast as the others. It is run with the
    weights of that moment: begin a new session after training on. Threads may
    share it: each push is one step.

    Args:
        step: From `step_model`, also loaded from a file.
        batch: Positive integer, number of independent streams. Default: 1.
        engine: What runs the step. Default: compiled on this backend.
            `ks.export.onnx_engine`: exported and run by onnxruntime, which
            takes a step fastest.

    Attributes:
        fingerprint: Text that tells this model, with its layers' settings
            and weights, from others. The same on every backend. Names of
            states are in it, so name the layers of a model that you build
            more than once in a process.

    Raises:
        ValueError: A model that is not one of `step_model`.

    Example:
    ```python
    import numpy as np
    import keras_seqattn as ks

    model = ks.models.build_memory_network("additive")
    session = ks.streaming.StreamingSession(ks.streaming.step_model(model))
    signal = np.random.default_rng(0).normal(size=(10, 7))
    outputs = [session.push(x) for x in signal]
    print(outputs[-1].shape)  # (4,)
    expected = model.predict(signal[None], verbose=0)[0]
    print(np.abs(np.stack(outputs) - expected).max() < 1e-5)  # True

    session.save("session.npz")
    print(np.array_equal(session.push(None), outputs[-1]))  # True
    session.load("session.npz")
    ```
    """

    def __init__(
        self,
        step: keras.Model,
        batch: int = 1,
        *,
        engine: MakeEngine = compiled_engine,
    ) -> None:
        self._first = initial_state(step, batch)
        self.batch = batch
        self.fingerprint = _fingerprint(step)
        names = step_names(step)
        self._has_mask = MASK in names.inputs
        self._order = names.inputs
        self._outputs = names.outputs
        given = {name: step.input[name] for name in names.inputs}
        given.pop(MASK, None)
        self._types = {name: numpy_type(x) for name, x in given.items()}
        self._shapes = {k: (batch, *x.shape[1:]) for k, x in given.items()}
        # A step as it mostly comes, of which only the numbers are checked, and
        # whether it lacks the batch axis.
        self._plain: dict[Any, bool] = {}
        if len(given) == 1:
            ((name, shape),) = self._shapes.items()
            dtype = np.dtype(self._types[name])
            self._plain = {(dtype, shape): False}
            if batch == 1:
                self._plain[dtype, shape[1:]] = True
        # A push reads the states and writes them.
        self._lock = threading.RLock()
        all_here = np.ones(batch, bool)
        inputs = {**self._nothing(), MASK: all_here}
        self._engine = engine(
            step,
            [inputs[name] for name in self._order],
            [*self._first.values()],
        )
        # Given nearly always, and so brought to its place but once.
        self._all_here = self._engine.place(all_here)

    def push(self, x: Any = None, mask: Any = None) -> Any:
        """Take one step.

        Args:
            x: Array `(batch, features)`, or `(features,)` for a single
                stream. A dictionary by name, if the model has several inputs.
                `None`: the step is missing.
            mask: Optional booleans `(batch,)`, `False` where the step of a
                stream is missing: its states stay and its output is the one
                before, whatever `x` holds. Before the first step there is
                none: the output is the model's for zeros, and means nothing.

        Returns:
            The output as a NumPy array, with a batch axis where `x` has one
            (or where there are several streams); a dictionary by name, if
            the model has several.

        Raises:
            ValueError: Another shape, or numbers that are not finite where
                no step is missing.
        """
        values, single = self._values(x)
        missing = self._missing(mask, x is None)
        for name, value in values.items():
            if missing is not None:
                value[missing] = 0  # Whatever it holds.
            if not np.logical_and.reduce(np.isfinite(value), None):
                finite = np.isfinite(value.reshape(self.batch, -1)).all(axis=1)
                raise ValueError(
                    f"`{name}` must be finite: NaN would stay in the states "
                    "for ever. For a missing step push `None`, or give a "
                    "`mask` that is False for its stream. Received: NaN or "
                    f"infinity in stream {np.argmin(finite)}"
                )
        values[MASK] = self._all_here if missing is None else ~missing
        with self._lock:
            found = self._engine.step([values[name] for name in self._order])
        if single:
            found = [value[0] for value in found]
        if len(found) == 1:
            return found[0]
        return dict(zip(self._outputs, found, strict=True))

    def reset(self, stream: int | None = None) -> None:
        """Begin anew.

        Args:
            stream: Number of the stream. Default: all.
        """
        states = dict(self._first)
        if stream is not None:
            if (
                not isinstance(stream, numbers.Integral)
                or isinstance(stream, bool)
                or not -self.batch <= stream < self.batch
            ):
                raise ValueError(
                    "`stream` must be the number of one of "
                    f"{self.batch} streams. Received: stream={stream!r}"
                )
        with self._lock:
            if stream is not None:
                for name, value in self._numpy_states().items():
                    states[name] = value.copy()
                    states[name][stream] = 0
            self._set_states(states)

    def state_dict(self) -> dict[str, Any]:
        """Return the states as NumPy arrays, and `"fingerprint"`."""
        with self._lock:
            return {FINGERPRINT: self.fingerprint, **self._numpy_states()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from where another session of this model was.

        Args:
            state: From `state_dict`, on any backend.

        Raises:
            ValueError: A state of another model, of another number of
                streams, or that is not one.
        """
        if not isinstance(state, dict):
            raise ValueError(
                "The states must be a dictionary as from `state_dict`. "
                f"Received: state={state!r}"
            )
        state = dict(state)
        found = str(state.pop(FINGERPRINT, None))
        if found != self.fingerprint:
            raise ValueError(
                "This is the state of another model, or of this one with "
                "other weights: it means nothing here. Load the model that "
                f"it was saved with. Received: fingerprint={found!r}, "
                f"expected: {self.fingerprint!r}"
            )
        shapes = {name: np.shape(value) for name, value in state.items()}
        expected = {name: value.shape for name, value in self._first.items()}
        if shapes != expected:
            other = dict(shapes.items() - expected.items())
            raise ValueError(
                "The states must be those of `state_dict`, of as many streams "
                f"as this session has, {self.batch}. Received: of another "
                f"shape {other}, missing {sorted(expected.keys() - shapes)}"
            )
        for name, value in state.items():
            dtype = np.asarray(value).dtype
            if dtype.kind not in "fbiu":
                raise ValueError(
                    "States must be real numbers. "
                    f"Received: {name} of type {dtype}"
                )
            # What is infinite in the state's own type is refused as such.
            with np.errstate(over="ignore"):
                cast = np.asarray(value).astype(self._first[name].dtype)
            if not np.isfinite(cast).all():
                raise ValueError(
                    f"States must be finite in {cast.dtype}. Received: {name} "
                    "with NaN, infinity or more than that holds"
                )
        with self._lock:
            self._set_states(state)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the states to an `.npz` file, whole or not at all.

        Args:
            path: File to write; an existing one is replaced, and keeps its
                permissions. Of a link, what it points to.
        """
        state = self.state_dict()
        with whole_file(path) as scratch, scratch.open("wb") as file:
            np.savez(file, **state)

    def load(self, path: str | os.PathLike[str]) -> None:
        """Read the states from a file that `save` wrote.

        Args:
            path: The file.

        Raises:
            ValueError: A file that is not one, or as `load_state_dict`.
        """
        try:
            with ArrayFile(path) as file:
                # Of which types states are, `load_state_dict` knows.
                state = {name: file.read(name, ANY) for name in file.names}
        except ValueError as error:
            raise ValueError(
                "The file was not written by `StreamingSession.save`, or "
                f"it is damaged. Received: {os.fspath(path)!r}. {error}"
            ) from error
        self.load_state_dict(state)

    def _values(self, x: Any) -> tuple[dict[str, np.ndarray], bool]:
        """Arrays of the session's own, and whether they lacked a batch axis."""
        shapes = self._shapes
        if x is None:
            return self._nothing(), self.batch == 1
        if type(x) is np.ndarray and (x.dtype, x.shape) in self._plain:
            single = self._plain[x.dtype, x.shape]
            return {
                next(iter(shapes)): np.array(x[None] if single else x)
            }, single
        if not isinstance(x, dict):
            x = dict.fromkeys(list(shapes)[:1], x)
        # What is infinite in float32 is refused as such.
        with np.errstate(over="ignore"):
            values = {
                # That is a copy already.
                name: check_array(name, value).astype(
                    self._types.get(name), copy=False
                )
                for name, value in x.items()
            }
        single = self.batch == 1 and all(
            value.ndim + 1 == len(shapes.get(name, ()))
            for name, value in values.items()
        )
        if single:
            values = {name: value[None] for name, value in values.items()}
        received = {name: value.shape for name, value in values.items()}
        if received != shapes:
            raise ValueError(
                "A step must be an array (batch, features), one row a stream, "
                "or for a single stream (features,); of several inputs, a "
                f"dictionary. Expected: {shapes}. Received: {received}"
            )
        return values, single

    def _nothing(self) -> dict[str, np.ndarray]:
        return {
            name: np.zeros(shape, self._types[name])
            for name, shape in self._shapes.items()
        }

    def _missing(self, mask: Any, nothing: bool) -> np.ndarray | None:
        """Which streams lack this step. `None`: none of them."""
        missing = np.ones(self.batch, bool) if nothing else None
        if mask is not None:
            mask = np.asarray(mask)
            if mask.shape != (self.batch,) or mask.dtype != bool:
                raise ValueError(
                    f"`mask` must be {self.batch} booleans, one a stream. "
                    f"Received: mask={mask!r}"
                )
            if missing is None and not mask.all():
                missing = ~mask
        if not self._has_mask and missing is not None:
            raise ValueError(
                "This step model takes no missing steps: build it by "
                "`step_model(model, mask=True)`."
            )
        return missing

    def _numpy_states(self) -> dict[str, np.ndarray]:
        # Half precision as float32: NumPy has no bfloat16.
        return {
            name: value.astype(self._first[name].dtype, copy=False)
            for name, value in zip(
                self._first, self._engine.get_states(), strict=True
            )
        }

    def _set_states(self, states: dict[str, Any]) -> None:
        self._engine.set_states(
            [
                np.asarray(states[name], first.dtype)
                for name, first in self._first.items()
            ]
        )


# What a layer is called, and how it began or was trained, is not in its steps.
_ASIDE = ("name", "registered_name", "build_config", "compile_config", "module")
_ASIDE_ENDS = ("initializer", "regularizer", "constraint", "trainable", "seed")


def _fingerprint(step: keras.Model) -> str:
    """A hash of states' names, layers and weights, in any order."""
    parts = [
        f"{name} {x.shape[1:]}".encode()
        for name, x in state_inputs(step).items()
    ]
    for operation in step.operations:
        part = type(operation).__name__.encode()
        if isinstance(operation, keras.layers.Layer):
            with contextlib.suppress(NotImplementedError):
                part += repr(_settings(operation.get_config())).encode()
        for weight in getattr(operation, "weights", []):
            value = np.ascontiguousarray(ops.convert_to_numpy(weight))
            part += f"{value.shape} {value.dtype}".encode() + value.tobytes()
        parts.append(part)
    digests = sorted(hashlib.sha256(part).digest() for part in parts)
    return hashlib.sha256(b"".join(digests)).hexdigest()


def _settings(config: Any) -> Any:
    """What a layer computes, the same before and after saving."""
    if isinstance(config, dict):
        if config.get("class_name") == "__tuple__":
            return _settings(config["items"])
        return [
            (key, _settings(value))
            for key, value in sorted(config.items())
            if key not in _ASIDE and not key.endswith(_ASIDE_ENDS)
        ]
    if isinstance(config, (list, tuple)):
        return [_settings(value) for value in config]
    # Other objects would be shown with their place in memory.
    plain = (str, bool, int, float, type(None))
    return config if isinstance(config, plain) else type(config).__name__
