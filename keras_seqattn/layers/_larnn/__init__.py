"""The mathematics of the LARNN."""
