"""The tables of speed: what is measured, by the name of its table.

Each table has cases, and each case ways to do the same, the package's own
first; all ways of a case are called in turn in one process.
"""
