"""The rules that a `BurstPropNetwork` learns by."""
