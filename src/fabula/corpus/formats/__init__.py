"""The formats that stories are read from, one module each, and the table of them all (`table`)."""
