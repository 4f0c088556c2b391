"""Searches for better settings, one module a stem: `python -m tuning.<stem>`.

Not part of the wheel: run it from a copy of the repository.
"""

import sys

# Keras reads its backend when it is imported, and a stem imports Keras before
# it could read its arguments. While Python looks for the module of `-m`, and
# only then, this file is run with that name in `argv`.
if sys.argv and sys.argv[0] == "-m":
    import importlib.util

    from tuning.early_backend import choose_backend

    module = sys.orig_argv[-len(sys.argv)]
    choose_backend(sys.argv[1:], module.removeprefix("tuning."))
    if importlib.util.find_spec("keras_tuner") is None:
        sys.exit("Searches need KerasTuner: pip install keras_seqattn[tuning]")
