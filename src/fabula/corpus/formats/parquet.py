"""Parquet, and Arrow as `datasets.save_to_disk` writes it, with one story per row."""

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
        """Rows, a few at a time. Once the needed columns are known, only those are read."""
        import pyarrow as pa
        import pyarrow.parquet as pq

        with plan.file.open() as opened:
            try:
                file: Any = pq.ParquetFile(opened)
            except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
                raise FabulaError(
                    f"this is not a readable Parquet file ({first_line(error)})", where=plan.name
                ) from None
            number = 0
            try:
                for batch in file.iter_batches(batch_size=64, columns=plan.columns.names or None):
                    for row in batch.to_pylist():
                        number += 1
                        yield number, row
            except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
                raise FabulaError(
                    f"this Parquet file is damaged ({first_line(error)})", where=plan.name
                ) from None


class Arrow(RowFormat):
    name = "arrow"
    description = "Arrow, one story a row"
    unit = "row"

    def detect(self, sample: Sample) -> bool:
        return sample.head.startswith((b"ARROW1", b"\xff\xff\xff\xff")) and sample.suffix in (
            ".arrow",
            ".feather",
            ".ipc",
        )

    def rows(self, plan: FilePlan, part: FileRange, log: ReadingLog) -> Iterator[Row]:
        import pyarrow as pa

        number = 0
        with plan.file.open() as opened:
            data = pa.PythonFile(opened)
            try:
                is_file = opened.read(6) == b"ARROW1"
                opened.seek(0)
                batches: Any = pa.ipc.open_file(data) if is_file else pa.ipc.open_stream(data)
                every = map(batches.get_batch, range(batches.num_record_batches)) if is_file else batches
                for batch in every:
                    wanted = [
                        name
                        for name in plan.columns.names or batch.schema.names
                        if name in batch.schema.names
                    ]
                    for row in batch.select(wanted).to_pylist():
                        number += 1
                        yield number, row
            except (pa.ArrowException, OSError) as error:
                raise FabulaError(
                    f"this Arrow file is damaged ({first_line(error)})", where=plan.name
                ) from None
