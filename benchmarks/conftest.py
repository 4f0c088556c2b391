import os

if os.environ.get("KERAS_BACKEND") == "torch":
    import torch  # noqa: F401  before TensorFlow, which would crash it
