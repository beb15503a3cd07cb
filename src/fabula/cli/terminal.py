"""Progress in the terminal: a bar, plain lines, JSON lines, or nothing. Results go to standard
output, everything else to standard error."""

import json
import shutil
import sys
import textwrap
import time
from enum import StrEnum
from types import TracebackType
from typing import TYPE_CHECKING

from fabula.formatting import format_duration
from fabula.progress import Progress

if TYPE_CHECKING:
    from rich.progress import TaskID


WIDE = 110
"""Minimum columns of a terminal for a long bar."""

LONG_BAR, SHORT_BAR = 28, 10
NAME_WIDTH = 9
PERCENT_WIDTH = 5
"""Widths of a bar's parts, in columns. The figures get what is left."""

CONTROL = {code: None for code in (*range(32), *range(127, 160)) if chr(code) not in "\n\t"}


class ProgressMode(StrEnum):
    """How progress is shown."""

    auto = "auto"
    bar = "bar"
    plain = "plain"
    json = "json"
    none = "none"


def visible(text: str) -> str:
    """The text without control characters, which could control the terminal; newlines and tabs stay."""
    return text.translate(CONTROL)


def say(text: str, indent: str = "") -> None:
    """Print a sentence: in a terminal broken between words, further lines after `indent`; elsewhere as one line."""
    if sys.stdout.isatty():
        columns = shutil.get_terminal_size().columns
        text = textwrap.fill(
            text, columns, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False
        )
    print(text)


def format_value(name: str, value: float) -> str:
    """A figure as a person reads it: "train_loss 2.413", "12,345 tokens/s"."""
    if name.endswith("_per_second"):
        return f"{value:,.0f} {name.removesuffix('_per_second')}/s"
    if isinstance(value, float) and not value.is_integer():
        return f"{name} {value:.3g}" if abs(value) < 0.01 else f"{name} {value:.3f}"
    return f"{name} {value:,.0f}"


class Terminal:
    """Listens to progress reports. A context manager: a bar is taken down when it ends.

    In `auto` mode it draws bars where standard error is a terminal, and prints a line every few seconds elsewhere.
    """

    PLAIN_INTERVAL = 10.0
    """Seconds between two plain lines of one stage."""

    def __init__(self, mode: ProgressMode = ProgressMode.auto) -> None:
        if mode is ProgressMode.auto:
            mode = ProgressMode.bar if sys.stderr.isatty() else ProgressMode.plain
        self.mode = mode
        self._stage = ""
        self._began = self._shown = 0.0
        self._first_done = 0.0
        self._bar = self._task = None
        self._is_of_run = False  # whether the bar is that of a whole run, which its stages share
        if mode is ProgressMode.bar:
            from rich.console import Console
            from rich.progress import BarColumn, TextColumn
            from rich.progress import Progress as Bar
            from rich.table import Column

            console = Console(stderr=True)
            bar_width = LONG_BAR if console.width >= WIDE else SHORT_BAR
            self._figures_width = console.width - NAME_WIDTH - bar_width - PERCENT_WIDTH - 3
            self._bar = Bar(
                TextColumn(
                    "[bold]{task.description}", table_column=Column(min_width=NAME_WIDTH, no_wrap=True)
                ),
                BarColumn(bar_width=bar_width),
                TextColumn(
                    "{task.percentage:>3.0f} %", table_column=Column(min_width=PERCENT_WIDTH, no_wrap=True)
                ),
                TextColumn("{task.fields[figures]}", table_column=Column(no_wrap=True)),
                console=console,
            )
        self._bar_started = False

    def __enter__(self) -> "Terminal":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            self._complete_bar()
        if self._bar is not None and self._bar_started:
            self._bar.stop()

    def __call__(self, progress: Progress) -> None:
        if self.mode is ProgressMode.none:
            return
        if self.mode is ProgressMode.json:
            row = {
                "stage": progress.stage,
                "done": progress.done,
                "total": progress.total,
                "unit": progress.unit,
                "seconds_left": self._seconds_left(progress),
                "run_seconds": progress.run_seconds,
                "run_seconds_left": progress.run_seconds_left,
                "message": progress.message,
                **progress.values,
            }
            print(json.dumps(row), file=sys.stderr, flush=True)
        elif self.mode is ProgressMode.bar:
            self._show_bar(progress)
        else:
            self._show_line(progress)

    def note(self, text: str) -> None:
        """A line for the reader that belongs to no stage."""
        self(Progress(stage=self._stage, message=text))

    def _seconds_left(self, progress: Progress) -> float | None:
        now = time.monotonic()
        if progress.stage != self._stage:
            self._stage, self._began, self._first_done, self._shown = progress.stage, now, progress.done, 0.0
            if not self._is_of_run:
                self._complete_bar()
                self._task = None
        if progress.seconds_left is not None:
            return progress.seconds_left
        gained = progress.done - self._first_done
        if not progress.total or gained <= 0 or now - self._began < 1.0:
            return None
        return (now - self._began) / gained * (progress.total - progress.done)

    def _complete_bar(self) -> None:
        """Show a stage that another one follows as done, whatever it last reported."""
        if self._bar is not None and self._task is not None:
            done = self._bar.tasks[self._task].total or self._bar.tasks[self._task].completed
            self._bar.update(self._task, completed=done, total=done)
            if self._is_of_run:
                self._bar.update(self._task, description="run", figures="")

    def _figures(self, progress: Progress, left: float | None, width: int | None = None) -> str:
        """The figures of a report. Those that do not fit into `width` columns are left out, the last ones first."""
        parts = []
        if progress.total and progress.unit == "seconds":
            parts.append(f"{format_duration(progress.done)} of {format_duration(progress.total)}")
        elif progress.total:
            parts.append(f"{progress.done:,.0f}/{progress.total:,.0f} {progress.unit}".rstrip())
        elif progress.done:
            unit = "story" if progress.done == 1 and progress.unit == "stories" else progress.unit
            parts.append(f"{progress.done:,.0f} {unit}".rstrip())
        if progress.run_seconds_left is not None:
            parts.append(f"run: {format_duration(progress.run_seconds_left)} left")
        elif left is not None and progress.done != progress.total:
            parts.append(f"{format_duration(left)} left")
        parts += [format_value(name, value) for name, value in progress.values.items()]
        while width is not None and len(parts) > 1 and len("  ".join(parts)) > width:
            parts.pop()
        return "  ".join(parts)

    def _show_bar(self, progress: Progress) -> None:
        assert self._bar is not None
        left = self._seconds_left(progress)
        if not self._bar_started:
            self._bar.start()
            self._bar_started = True
        if progress.message:
            self._show_message(progress)
        if not (progress.total or progress.done):
            return
        done, total = progress.done, progress.total
        if progress.run_seconds is not None and progress.run_seconds_left is not None:
            done, total = progress.run_seconds, progress.run_seconds + progress.run_seconds_left
            if not self._is_of_run:
                self._complete_bar()
                self._task, self._is_of_run = None, True
        if self._task is None:
            self._task = self._bar.add_task(progress.stage, total=total, figures="")
        task: TaskID = self._task
        figures = self._figures(progress, left, self._figures_width)
        self._bar.update(task, description=progress.stage, completed=done, total=total, figures=figures)

    def _show_message(self, progress: Progress) -> None:
        """A message beside its stage, above the bars. It is one print: the bars are drawn again after each."""
        from rich.table import Table
        from rich.text import Text

        assert self._bar is not None
        row = Table.grid(padding=(0, 1))
        row.add_column(width=NAME_WIDTH)
        row.add_row(Text(progress.stage, style="dim"), Text(visible(progress.message)))
        self._bar.console.print(row)

    def _show_line(self, progress: Progress) -> None:
        left = self._seconds_left(progress)
        if progress.message:
            message = visible(progress.message)
            print(f"{progress.stage}: {message}" if progress.stage else message, file=sys.stderr, flush=True)
        now = time.monotonic()
        if not (progress.total or progress.done):
            return
        finished = progress.total is not None and progress.done >= progress.total
        if not finished and now - self._shown < self.PLAIN_INTERVAL:
            return
        if finished and self._shown == float("inf"):
            return
        self._shown = float("inf") if finished else now
        print(f"{progress.stage}: {self._figures(progress, left)}", file=sys.stderr, flush=True)
