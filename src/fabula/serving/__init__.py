"""A page where anyone writes with a model."""
