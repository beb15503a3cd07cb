"""Defaults that several commands share. A default stands in one place."""

BASE = "tiny"
RECIPE = "default"
SEED = 42
ENCODING = "utf-8"
