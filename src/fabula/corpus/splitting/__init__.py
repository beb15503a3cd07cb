"""Where one story ends and the next begins, in text and in documents: every way to cut is tried, and judged by what it makes."""
