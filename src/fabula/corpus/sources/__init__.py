"""Text from sources with their own conventions, by which text that is not story is recognised."""
