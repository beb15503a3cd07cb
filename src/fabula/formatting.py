"""Figures and texts formatted for people, each in one way."""

from fabula.results import Estimate


def format_number(value: float | None, digits: int = 0) -> str:
    """ "12,345", "−0.25", or a dash for None."""
    return "–" if value is None else f"{value:,.{digits}f}".replace("-", "−")


def format_percent(value: float | None, digits: int = 1) -> str:
    """A fraction as "3.4 %", or a dash for None."""
    return "–" if value is None else f"{format_number(100 * value, digits)}\u00a0%"


def format_interval(estimate: Estimate, digits: int = 3, *, percent: bool = False) -> str:
    """The bounds of an estimate: "1.200 to 1.310", or "" if it has none."""
    if estimate.low is None or estimate.high is None:
        return ""
    if percent:
        return f"{format_percent(estimate.low)} to {format_percent(estimate.high)}"
    return f"{format_number(estimate.low, digits)} to {format_number(estimate.high, digits)}"


def format_estimate(estimate: Estimate, digits: int = 3, *, percent: bool = False) -> str:
    """A figure with its bounds, if it has any: "1.250 (1.200 to 1.310)"."""
    value = format_percent(estimate.value) if percent else format_number(estimate.value, digits)
    bounds = format_interval(estimate, digits, percent=percent)
    return f"{value} ({bounds})" if bounds else value


def format_duration(seconds: float) -> str:
    """ "8 s", "2 min 05 s", "3 h 07 min"."""
    seconds = round(seconds)
    if seconds < 60:
        return f"{seconds} s"
    if seconds < 3600:
        return f"{seconds // 60} min {seconds % 60:02d} s"
    return f"{seconds // 3600} h {seconds % 3600 // 60:02d} min"


def count_stories(number: int, kind: str = "") -> str:
    """ "1 story", "1,234 held-out stories"."""
    return f"{number:,} {kind} {'story' if number == 1 else 'stories'}".replace("  ", " ")


def format_parameters(number: int) -> str:
    """Millions of parameters: "3.5 M", "135 M", "1,236 M"."""
    return f"{number / 1e6:,.{1 if number < 1e7 else 0}f} M"


def shorten(text: str, max_chars: int) -> str:
    """The beginning of a text of more than `max_chars` characters, cut between two words."""
    return text if len(text) <= max_chars else text[:max_chars].rsplit(None, 1)[0] + " …"
