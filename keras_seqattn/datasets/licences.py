"""Licences, said to whoever loads a set."""

import functools
import logging


@functools.cache
def say_licence(name: str, licence: str) -> None:
    """Log a set's licence, once in a process.

    Args:
        name: Name of the set.
        licence: `LICENCE` of its reader.
    """
    # As a warning, since others are not shown by default.
    logging.getLogger(__name__).warning("Licence of %s: %s", name, licence)
