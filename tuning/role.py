"""What this process is in a search of KerasTuner's chief and workers.

See KerasTuner's guide to distributed tuning: `KERASTUNER_ORACLE_IP` is set in
all of its processes, and `KERASTUNER_TUNER_ID` names one of them the chief.
"""

import os


def is_chief() -> bool:
    """Return whether the oracle is here, and workers ask it."""
    return _is_distributed() and _has_the_chiefs_name()


def is_worker() -> bool:
    """Return whether the oracle is elsewhere."""
    return _is_distributed() and not _has_the_chiefs_name()


def _is_distributed() -> bool:
    return "KERASTUNER_ORACLE_IP" in os.environ


def _has_the_chiefs_name() -> bool:
    return "chief" in os.environ.get("KERASTUNER_TUNER_ID", "")
