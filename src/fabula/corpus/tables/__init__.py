"""Tables of stories: rows of delimited text, JSON and Parquet to stories."""
