"""Tables of stories: turns rows of delimited text, JSON and Parquet into stories."""
