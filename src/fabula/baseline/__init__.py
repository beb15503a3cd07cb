"""The notebook baseline: what a well-known student notebook does at each step, for comparison with fabula.

`pattern` is its cleaning rule, `markers` its format for a story, `windows` its truncated and padded rows, and `loss`
its validation loss. Its hyperparameters are the recipe `training/recipes/notebook.toml`.
"""
