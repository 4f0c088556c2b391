"""What is to be exported, and how."""

import dataclasses
import importlib.util
import pathlib
from typing import Any

from keras_seqattn._checks import check_flag

FORMATS = {"saved_model": "", "onnx": ".onnx", "litert": ".tflite"}
"""The formats, and how the name of a file of each ends."""

PACKAGES = {
    "saved_model": ("tensorflow",),
    "onnx": ("tensorflow", "tf2onnx", "onnxruntime"),
    "litert": ("tensorflow",),
}


@dataclasses.dataclass(frozen=True)
class Request:
    """What is to be exported, and how.

    Attributes:
        format: One of `FORMATS`.
        attention_scores: Whether they are further outputs.
        timesteps: Fixed length, where the model leaves it free.
        batch_size: Fixed number of sequences, or `None` for any.
        preprocessing: JSON values to be put in, or `None`.
        quantize: How its numbers become smaller, or `None`.
    """

    format: str
    attention_scores: bool = False
    timesteps: int | None = None
    batch_size: int | None = None
    preprocessing: dict[str, Any] | None = None
    quantize: str | None = None

    def __post_init__(self) -> None:
        check_flag("attention_scores", self.attention_scores)

    def check_packages(self) -> None:
        """Raise an ImportError that says what to install."""
        missing = [
            name
            for name in PACKAGES[self.format]
            if importlib.util.find_spec(name) is None
        ]
        if "tensorflow" in missing:
            raise ImportError(
                f"A {self.format} export is written with TensorFlow, whatever "
                "the backend: pip install tensorflow (or tensorflow-cpu)."
            )
        if missing:
            raise ImportError(
                f"A {self.format} export needs {' and '.join(missing)}: pip "
                'install "keras_seqattn[onnx]", or the packages by name.'
            )

    def check_path(self, path: pathlib.Path) -> None:
        """Raise rather than overwrite what is not such an artifact."""
        ending = FORMATS[self.format]
        if path.suffix != ending and ending:
            raise ValueError(
                f"The name of a {self.format} file must end with {ending!r}. "
                f"Received: path={str(path)!r}"
            )
        above = next(folder for folder in path.parents if folder.exists())
        if not above.is_dir():
            raise NotADirectoryError(
                f"{str(above)!r} is a file, so nothing can be written below "
                f"it. Received: path={str(path)!r}"
            )
        ours = path.is_file() if ending else (path / "saved_model.pb").exists()
        if path.exists() and not ours:
            kind = "a file" if ending else "a SavedModel"
            raise FileExistsError(
                f"There is something else than {kind} at {str(path)!r}. "
                "Remove it or export elsewhere."
            )
