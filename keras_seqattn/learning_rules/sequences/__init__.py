"""Rules of learning in time, compared on sequences."""
