"""The notebook baseline: what a well-known student notebook does at each step, to compare fabula with.

`pattern` is its cleaning rule, `markers` its way to write a story as text, `windows` its truncated and padded rows, and
`loss` the validation loss as it counts it. Its hyperparameters are the recipe `training/recipes/notebook.toml`.
"""
