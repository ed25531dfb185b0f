"""A small plotting vocabulary that writes SVG for a page; colours are CSS variables, so that they follow light and dark.

A drawing is as wide as the page lets it be: its shapes stretch, its lines, dots and words do not.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

from markupsafe import Markup, escape

_MAX_POINTS = 1600
# Places are given in this many parts of the plot's width; a page on a desktop is about as many pixels wide.
_WIDTH = 1000
# Above and below the plot, in pixels; what is beside it stands in page.css.
_TOP, _BELOW = 20, 24


def nice_ticks(low: float, high: float, count: int = 5) -> list[float]:
    """Round numbers (1, 2, 2.5 or 5 times a power of ten) between low and high, about `count` of them."""
    if not high > low:
        return [low]
    raw = (high - low) / max(1, count)
    power = 10.0 ** math.floor(math.log10(raw))
    step = next(factor * power for factor in (1, 2, 2.5, 5, 10) if factor * power >= raw * 0.999)
    first = math.ceil(low / step - 1e-9)
    return [round(i * step, 10) for i in range(first, math.floor(high / step + 1e-9) + 1)]


def number(value: float) -> str:
    """A tick's label: as short as possible."""
    return f"{value:g}" if abs(value) < 1e5 else f"{value:.1e}"


class Plot:
    """A plot area with axes; shapes are added in data coordinates and drawn in that order, words above them.

    x, y: ranges of the data shown. height: of the drawing, in pixels.
    """

    def __init__(self, x: tuple[float, float], y: tuple[float, float], height: int) -> None:
        self.x, self.y = (x[0], max(x[1], x[0] + 1e-9)), (y[0], max(y[1], y[0] + 1e-9))
        self._height, self.bottom = height, height - _BELOW
        self._shapes: list[str] = []
        self._words: list[str] = []

    def px(self, x: float) -> float:
        """Horizontal position of a value, in parts of `_WIDTH`."""
        return (x - self.x[0]) / (self.x[1] - self.x[0]) * _WIDTH

    def py(self, y: float) -> float:
        """Vertical position of a value, in pixels; values outside the range are drawn at its edge."""
        y = min(max(y, self.y[0]), self.y[1])
        return self.bottom - (y - self.y[0]) / (self.y[1] - self.y[0]) * (self.bottom - _TOP)

    def axes(self, x_unit: str = "", *, y_count: int = 4, y_format=number) -> None:
        """Horizontal grid with labels, and labels below, the last with its unit. An axis that is cut says so."""
        for tick in nice_ticks(*self.y, y_count):
            self._line(f"M0 {self.py(tick):.1f}H{_WIDTH}", 'class="grid"')
            self.text(0, self.py(tick) + 4, y_format(tick), "end", dx=-8)
        ticks = nice_ticks(*self.x, 8)
        for place, tick in enumerate(reversed(ticks)):
            # On a narrow page every second label is left out.
            css = "tick odd" if place % 2 else "tick"
            unit = "" if place else f" {x_unit}"
            self.text(self.px(tick), self.bottom + 18, number(tick) + unit, "middle", css)
        if self.y[0] > 0:
            self.note(f"the axis begins at {y_format(self.y[0])}")

    def note(self, text: str) -> None:
        """Words above the plot, on what it does not show."""
        self.text(0, 12, text, css="label")

    def line(self, xs: Sequence[float], ys: Sequence[float], color: str, width: float = 1.6) -> None:
        """A line through the points; NaN breaks it."""
        paths, pen_up = [], True
        for x, y in thin(xs, ys):
            if math.isnan(y):
                pen_up = True
                continue
            paths.append(f"{'M' if pen_up else 'L'}{self._at(x, y)}")
            pen_up = False
        if paths:
            self._line("".join(paths), f'stroke="{color}" stroke-width="{width}"')

    def area(
        self, xs: Sequence[float], low: Sequence[float], high: Sequence[float], color: str, label: str
    ) -> None:
        """The area between two curves over the same x."""
        above = [self._at(x, y) for x, y in zip(xs, high, strict=False)]
        below = [self._at(x, y) for x, y in zip(xs, low, strict=False)]
        self._shapes.append(
            f'<path d="M{"L".join([*above, *reversed(below)])}Z" fill="{color}">{_title(label)}</path>'
        )

    def dots(self, points: Iterable[tuple[float, float, str]], color: str, radius: float = 2.5) -> None:
        """Dots at (x, y) with a label shown on hover."""
        for x, y, label in points:
            if not math.isnan(y):
                # A line of no length with round ends: a circle would be stretched with the plot.
                look = f'class="dot" stroke="{color}" stroke-width="{2 * radius:g}"'
                self._line(f"M{self._at(x, y)}h0", look, label)

    def bar(self, x0: float, x1: float, y0: float, y1: float, color: str, label: str = "") -> None:
        """A filled rectangle in data coordinates."""
        left, right, top, bottom = self.px(x0), self.px(x1), self.py(y1), self.py(y0)
        self._shapes.append(
            f'<rect x="{left:.1f}" y="{top:.1f}" width="{max(0.0, right - left):.1f}" '
            f'height="{max(0.0, bottom - top):.1f}" fill="{color}">{_title(label)}</rect>'
        )

    def level(self, y: float, label: str) -> None:
        """A dashed horizontal line with a label, for a limit."""
        at = self.py(y)
        self._line(f"M0 {at:.1f}H{_WIDTH}", 'class="level"')
        self.text(_WIDTH, at - 5, label, "end", "label", dx=-4)

    def mark(self, x: float, label: str, *, row: int = 0) -> None:
        """A dashed vertical line with a label on top, on the side with more room."""
        at = self.px(x)
        self._line(f"M{at:.1f} {_TOP}V{self.bottom}", 'class="level"')
        flip = at > _WIDTH / 2
        side = ("end", -5) if flip else ("start", 5)
        self.text(at, _TOP + 11 + 14 * row, label, side[0], "label", dx=side[1])

    def tick_up(self, x: float, color: str, label: str = "", length: float = 8) -> None:
        """A short tick standing on the axis."""
        look = f'stroke="{color}" stroke-width="2"'
        self._line(f"M{self.px(x):.1f} {self.bottom}v{-length}", look, label)

    def text(
        self, x: float, y: float, text: str, anchor: str = "start", css: str = "tick", *, dx: float = 0
    ) -> None:
        """Text in drawing coordinates, dx pixels beside its place."""
        self._words.append(
            f'<text class="{css}" x="{100 * x / _WIDTH:.2f}%" dx="{dx:g}" y="{y:.1f}" text-anchor="{anchor}">'
            f"{escape(text)}</text>"
        )

    def names(self, points: Iterable[tuple[float, float, str]]) -> None:
        """A label beside each point (x, y, label), where it covers neither another label nor another point.

        A narrow page has no room for them and leaves them out.
        """
        known = list(points)
        taken = [(self.px(x) - 7, self.py(y) - 7, self.px(x) + 7, self.py(y) + 7) for x, y, _ in known]
        for index, (x, y, label) in enumerate(known):
            at, above, width = self.px(x), self.py(y), 6.3 * len(label)
            # Upper left, lower right, upper right, lower left: along a curve that rises the first two are free.
            places = ((-width - 9, -6), (9, 16), (9, -6), (-width - 9, 16))
            boxes = [(at + dx, above + dy - 10, at + dx + width, above + dy + 3) for dx, dy in places]
            others = taken[:index] + taken[index + 1 :]
            free = [
                box for box in boxes if self._is_inside(box) and not any(_overlap(box, o) for o in others)
            ]
            box = (free or boxes[2:])[0]
            taken.append(box)
            side = ("start", 9) if box[0] > at else ("end", -9)
            self.text(at, box[3] - 3, label, side[0], "label name", dx=side[1])

    def _is_inside(self, box: tuple[float, float, float, float]) -> bool:
        return box[0] >= 0 and box[2] <= _WIDTH and box[1] >= _TOP and box[3] <= self.bottom

    def svg(self, title: str, *, over_time: bool = False) -> Markup:
        """The finished drawing. `over_time` lets the page's pointer line find it."""
        css, height = "chart time" if over_time else "chart", self._height
        return Markup(
            f'<div class="{css}" style="height:{height}px" role="img" aria-label="{escape(title)}">'
            f'<svg viewBox="0 0 {_WIDTH} {height}" preserveAspectRatio="none">{"".join(self._shapes)}</svg>'
            f"<svg>{''.join(self._words)}</svg></div>"
        )

    def _at(self, x: float, y: float) -> str:
        return f"{self.px(x):.1f} {self.py(y):.1f}"

    def _line(self, path: str, look: str, label: str = "") -> None:
        self._shapes.append(f'<path d="{path}" fill="none" {look}>{_title(label)}</path>')


def _overlap(a: tuple[float, float, float, float], b: tuple[float, float, float, float]) -> bool:
    return a[0] < b[2] and b[0] < a[2] and a[1] < b[3] and b[1] < a[3]


def _title(label: str) -> str:
    return f"<title>{escape(label)}</title>" if label else ""


def thin(xs: Sequence[float], ys: Sequence[float]) -> list[tuple[float, float]]:
    """At most a screenful of points that keep every peak: of each bucket the lowest and the highest."""
    if len(xs) <= _MAX_POINTS:
        return list(zip(xs, ys, strict=False))
    points: list[tuple[float, float]] = []
    bucket = math.ceil(len(xs) / (_MAX_POINTS // 2))
    for start in range(0, len(xs), bucket):
        stop = start + bucket
        part = [p for p in zip(xs[start:stop], ys[start:stop], strict=False) if not math.isnan(p[1])]
        if not part:
            points.append((xs[start], math.nan))
            continue
        ends = {min(part, key=lambda point: point[1]), max(part, key=lambda point: point[1])}
        points += sorted(ends)
    return points
