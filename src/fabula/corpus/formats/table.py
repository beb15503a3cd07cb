"""All formats that stories are read from, in the order in which they are tried: the first that knows a file reads it."""

from fabula.corpus.formats.base import Format
from fabula.corpus.formats.csv_rows import Csv
from fabula.corpus.formats.jsonl import JsonLines
from fabula.corpus.formats.parquet import Parquet
from fabula.corpus.formats.text import Text

_ALL: tuple[Format, ...] = (Parquet(), JsonLines(), Csv(), Text())

FORMATS = {format.name: format for format in _ALL}
