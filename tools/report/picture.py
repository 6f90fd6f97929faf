"""The report as a picture: an SVG of our own, a row for each channel, with its purchases and its waits."""

import math
from collections.abc import Iterator
from datetime import UTC, datetime
from html import escape

from tools.report.figures import Figures, Wait, duration

WIDTH, MARGIN, ROW, TOP = 1200, 40, 44, 232
NAME_X, BAR_X, BAR_W, AXIS_X, AXIS_W = MARGIN, 150, 220, 470, 380
FIRST_COLUMN_X, COLUMN_W = 960, 100  # of the percentiles as text, each to the left of its place
INK, SOFT, LINE, BAR = "#1c2430", "#5b6676", "#d9dee6", "#3b6fb6"
MARKS = (("p50", "#1f8a5b"), ("p95", "#c77d0a"), ("p99", "#b3362b"))
TICKS = ((1, "1 s"), (10, "10 s"), (60, "1 min"), (600, "10 min"), (3_600, "1 h"), (86_400, "1 day"))
LONGEST_S = 86_400


def picture(figures: Figures) -> str:
    """Return *figures* as the text of an SVG file. It needs no font or file beside it."""
    rows = (*figures.channels, figures.total)
    height = TOP + ROW * len(rows) + 84
    body = "\n".join(_parts(figures, rows))
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}" '
        f'role="img" aria-labelledby="title about" font-family="system-ui, Helvetica, Arial, sans-serif">\n'
        f'<title id="title">{escape(_title(figures))}</title>\n<desc id="about">{escape(_about(figures))}</desc>\n'
        f'<rect width="100%" height="100%" fill="#ffffff"/>\n{body}\n</svg>\n'
    )


def _parts(figures: Figures, rows: tuple[Wait, ...]) -> Iterator[str]:
    yield _text(MARGIN, 52, _title(figures), size=24, weight=600)
    yield from _tiles(figures)
    yield _text(BAR_X, 206, "Purchases by channel", size=15, weight=600)
    yield _text(AXIS_X, 206, "From charge to access", size=15, weight=600)
    for n, (name, fill) in enumerate(MARKS):
        yield _text(FIRST_COLUMN_X + n * COLUMN_W, 206, name, size=15, weight=600, fill=fill, anchor="end")
    bottom = TOP + ROW * len(rows)
    yield from _axis(bottom)
    most = max((one.purchases for one in figures.channels), default=0)
    for n, one in enumerate(rows):
        middle = TOP + ROW * n + ROW // 2
        total = one is figures.total
        if total:
            yield f'<line x1="{MARGIN}" y1="{middle - 22}" x2="{WIDTH - MARGIN}" y2="{middle - 22}" stroke="{SOFT}"/>'
        yield _text(NAME_X, middle + 5, one.channel, size=15, weight=600 if total else 400)
        yield from _bar(one, middle, most=None if total else most)
        yield from _marks(one, middle)
    yield from _legend(bottom + 58)


def _tiles(figures: Figures) -> Iterator[str]:
    success = figures.webhook_success
    tiles = (
        (f"{figures.total.purchases:,}", "purchases"),
        (f"{figures.missed:,}", "no webhook told"),
        ("none" if success is None else f"{success:g} %", f"of {figures.events:,} events settled"),
        (f"{figures.interventions:,}", "manual interventions"),
        (f"{figures.cases_opened:,}", f"cases opened, {figures.cases_open:,} still open"),
    )
    step = (WIDTH - 2 * MARGIN) / len(tiles)
    for n, (value, name) in enumerate(tiles):
        x = round(MARGIN + n * step)
        yield f'<rect x="{x}" y="80" width="{round(step) - 14}" height="86" rx="8" fill="#f3f5f8"/>'
        yield _text(x + 14, 120, value, size=26, weight=600)
        yield _text(x + 14, 148, name, size=13, fill=SOFT)


def _bar(one: Wait, middle: int, *, most: int | None) -> Iterator[str]:
    """Yield the bar of a channel, as long as its share of the *most*; the total (None) is a number alone."""
    length = round(BAR_W * one.purchases / most) if most else 0
    if most is not None:
        yield f'<rect x="{BAR_X}" y="{middle - 11}" width="{max(length, 2)}" height="22" rx="3" fill="{BAR}"/>'
    yield _text(BAR_X + length + (8 if most else 0), middle + 5, f"{one.purchases:,}", size=15, weight=600)


def _axis(bottom: int) -> Iterator[str]:
    for seconds, name in TICKS:
        x = _x(seconds)
        yield f'<line x1="{x}" y1="{TOP - 8}" x2="{x}" y2="{bottom}" stroke="{LINE}"/>'
        yield _text(x, bottom + 20, name, size=12, fill=SOFT, anchor="middle")


def _marks(one: Wait, middle: int) -> Iterator[str]:
    """Yield the percentiles of a channel, from the least to the greatest, each of a shape of its own."""
    if one.p50_s is None or one.p95_s is None or one.p99_s is None:
        return
    xs = [_x(seconds) for seconds in (one.p50_s, one.p95_s, one.p99_s)]
    yield f'<line x1="{xs[0]}" y1="{middle}" x2="{xs[-1]}" y2="{middle}" stroke="{SOFT}" stroke-width="2"/>'
    for n in (2, 1, 0):
        yield _mark(n, xs[n], middle)
    for n, seconds in enumerate((one.p50_s, one.p95_s, one.p99_s)):
        yield _text(FIRST_COLUMN_X + n * COLUMN_W, middle + 5, duration(seconds), size=14, anchor="end")


def _mark(n: int, x: int, y: int) -> str:
    fill = MARKS[n][1]
    if n == 0:
        return f'<circle cx="{x}" cy="{y}" r="6" fill="{fill}"/>'
    if n == 1:
        return f'<path d="M {x} {y - 8} L {x + 8} {y} L {x} {y + 8} L {x - 8} {y} Z" fill="{fill}"/>'
    return f'<rect x="{x - 6}" y="{y - 6}" width="12" height="12" fill="{fill}"/>'


def _legend(y: int) -> Iterator[str]:
    for n, (name, _) in enumerate(MARKS):
        x = AXIS_X + 70 * n
        yield _mark(n, x + 6, y - 5)
        yield _text(x + 20, y, name, size=13)
    yield _text(AXIS_X + 220, y, "half, 95 and 99 of 100 buyers waited no longer", size=13, fill=SOFT)


def _x(seconds: int) -> int:
    """Return where *seconds* are on the axis, which counts by factors: from a second to a day, and no further."""
    within = min(max(seconds, 1), LONGEST_S)
    return round(AXIS_X + AXIS_W * math.log(within) / math.log(LONGEST_S))


def _text(x: int, y: int, text: str, *, size: int, weight: int = 400, fill: str = INK, anchor: str = "start") -> str:
    how = f'font-size="{size}" font-weight="{weight}" fill="{fill}" text-anchor="{anchor}"'
    return f'<text x="{x}" y="{y}" {how}>{escape(text)}</text>'


def _title(figures: Figures) -> str:
    return f"Purchases from {_date(figures.since)} to {_date(figures.until)}"


def _about(figures: Figures) -> str:
    told = ", ".join(f"{one.channel} {one.purchases}" for one in figures.channels) or "none"
    return f"{figures.total.purchases} purchases, by the channel that told first: {told}."


def _date(second: int) -> str:
    return datetime.fromtimestamp(second, UTC).strftime("%Y-%m-%d")
