"""Parquet: a story a row."""

from collections.abc import Iterator
from typing import Any

from fabula.corpus.formats.base import FilePlan, ReadingLog, Sample
from fabula.corpus.formats.rows import Row, RowFormat
from fabula.corpus.inputs import first_line
from fabula.corpus.lines import FileRange
from fabula.errors import FabulaError


class Parquet(RowFormat):
    name = "parquet"
    description = "Parquet, one story a row"
    unit = "row"

    def detect(self, sample: Sample) -> bool:
        return sample.head.startswith(b"PAR1")

    def rows(self, plan: FilePlan, part: FileRange, log: ReadingLog) -> Iterator[Row]:
        """Rows a few at a time. Only the wanted columns are read, once they are known."""
        import pyarrow as pa
        import pyarrow.parquet as pq

        with plan.file.open() as opened:
            try:
                file: Any = pq.ParquetFile(opened)
            except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
                raise FabulaError(
                    f"this is not a readable Parquet file ({first_line(error)})", where=plan.name
                ) from None
            columns = plan.columns
            wanted = [column for column in (*columns.text, columns.title, columns.split) if column] or None
            number = 0
            try:
                for batch in file.iter_batches(batch_size=64, columns=wanted):
                    for row in batch.to_pylist():
                        number += 1
                        yield number, row
            except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
                raise FabulaError(
                    f"this Parquet file is damaged ({first_line(error)})", where=plan.name
                ) from None
