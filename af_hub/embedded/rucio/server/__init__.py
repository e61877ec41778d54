"""The folder on the module path of Rucio's own environment; nothing else may be in it."""
