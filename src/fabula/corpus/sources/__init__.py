"""Text from sources with habits of their own: what is not story in it is known by the source's form."""
