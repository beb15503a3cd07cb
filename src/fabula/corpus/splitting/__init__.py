"""Finds where one story ends and the next begins, in text and in documents: every way to cut is tried, and scored by
the stories that it makes."""
