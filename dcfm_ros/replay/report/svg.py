"""A small plotting vocabulary that writes inline SVG; colours are CSS variables, so that they follow light and dark."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

from markupsafe import Markup, escape

_MAX_POINTS = 1600


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


def text_width(text: str) -> float:
    """About how wide a label is, in pixels of the drawing."""
    return 6.3 * len(text)


class Plot:
    """A plot area with axes; marks are added in data coordinates and drawn in that order.

    Args:
        x, y: ranges of the data shown.
        height, width: of the drawing, in pixels of its own coordinate system.
    """

    def __init__(
        self, x: tuple[float, float], y: tuple[float, float], height: int, width: int = 1100
    ) -> None:
        self.x, self.y = (x[0], max(x[1], x[0] + 1e-9)), (y[0], max(y[1], y[0] + 1e-9))
        self.size = width, height
        self.left, self.top, self.right, self.bottom = 52, 12, width - 22, height - 24
        self._parts: list[str] = []

    def px(self, x: float) -> float:
        """Horizontal position of a value."""
        return self.left + (x - self.x[0]) / (self.x[1] - self.x[0]) * (self.right - self.left)

    def py(self, y: float) -> float:
        """Vertical position of a value; values outside the range are drawn at its edge."""
        y = min(max(y, self.y[0]), self.y[1])
        return self.bottom - (y - self.y[0]) / (self.y[1] - self.y[0]) * (self.bottom - self.top)

    def axes(self, x_unit: str = "", *, y_count: int = 4, y_format=number) -> None:
        """Horizontal grid with labels, and labels below, the last with its unit."""
        for tick in nice_ticks(*self.y, y_count):
            y = self.py(tick)
            self._add(f'<line class="grid" x1="{self.left}" x2="{self.right}" y1="{y:.1f}" y2="{y:.1f}"/>')
            self.text(self.left - 8, y + 4, y_format(tick), "end")
        ticks = nice_ticks(*self.x, 8)
        for tick in ticks:
            unit = f" {x_unit}" if tick == ticks[-1] else ""
            self.text(self.px(tick), self.bottom + 18, number(tick) + unit, "middle")

    def line(self, xs: Sequence[float], ys: Sequence[float], color: str, width: float = 1.6) -> None:
        """A line through the points; NaN breaks it."""
        paths, pen_up = [], True
        for x, y in thin(xs, ys):
            if math.isnan(y):
                pen_up = True
                continue
            paths.append(f"{'M' if pen_up else 'L'}{self.px(x):.1f} {self.py(y):.1f}")
            pen_up = False
        if paths:
            self._add(
                f'<path d="{"".join(paths)}" fill="none" stroke="{color}" stroke-width="{width}" '
                f'stroke-linejoin="round"/>'
            )

    def area(
        self, xs: Sequence[float], low: Sequence[float], high: Sequence[float], color: str, label: str
    ) -> None:
        """The area between two curves over the same x."""
        above = [f"{self.px(x):.1f} {self.py(y):.1f}" for x, y in zip(xs, high, strict=False)]
        below = [f"{self.px(x):.1f} {self.py(y):.1f}" for x, y in zip(xs, low, strict=False)]
        self._add(f'<path d="M{"L".join([*above, *reversed(below)])}Z" fill="{color}">{_title(label)}</path>')

    def dots(self, points: Iterable[tuple[float, float, str]], color: str, radius: float = 2.5) -> None:
        """Dots at (x, y) with a label shown on hover."""
        for x, y, label in points:
            if not math.isnan(y):
                self._add(
                    f'<circle cx="{self.px(x):.1f}" cy="{self.py(y):.1f}" r="{radius}" fill="{color}">'
                    f"{_title(label)}</circle>"
                )

    def bar(self, x0: float, x1: float, y0: float, y1: float, color: str, label: str = "") -> None:
        """A filled rectangle in data coordinates."""
        left, right, top, bottom = self.px(x0), self.px(x1), self.py(y1), self.py(y0)
        self._add(
            f'<rect x="{left:.1f}" y="{top:.1f}" width="{max(0.0, right - left):.1f}" '
            f'height="{max(0.0, bottom - top):.1f}" fill="{color}">{_title(label)}</rect>'
        )

    def level(self, y: float, label: str) -> None:
        """A dashed horizontal line with a label, for a limit."""
        at = self.py(y)
        self._add(f'<line class="level" x1="{self.left}" x2="{self.right}" y1="{at:.1f}" y2="{at:.1f}"/>')
        self.text(self.right - 4, at - 5, label, "end", "label")

    def mark(self, x: float, label: str, *, row: int = 0) -> None:
        """A dashed vertical line with a label on top."""
        at = self.px(x)
        self._add(f'<line class="level" x1="{at:.1f}" x2="{at:.1f}" y1="{self.top}" y2="{self.bottom}"/>')
        flip = at + 5 + text_width(label) > self.right
        self.text(
            at + (-5 if flip else 5), self.top + 11 + 14 * row, label, "end" if flip else "start", "label"
        )

    def tick_up(self, x: float, color: str, label: str = "", length: float = 8) -> None:
        """A short tick standing on the axis."""
        at = self.px(x)
        self._add(
            f'<line x1="{at:.1f}" x2="{at:.1f}" y1="{self.bottom}" y2="{self.bottom - length}" stroke="{color}" '
            f'stroke-width="2">{_title(label)}</line>'
        )

    def text(self, x: float, y: float, text: str, anchor: str = "start", css: str = "tick") -> None:
        """Text in drawing coordinates."""
        self._add(f'<text class="{css}" x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(text)}</text>')

    def names(self, points: Iterable[tuple[float, float, str]]) -> None:
        """A label beside each point (x, y, label), where it covers neither another label nor another point."""
        known = list(points)
        taken = [(self.px(x) - 7, self.py(y) - 7, self.px(x) + 7, self.py(y) + 7) for x, y, _ in known]
        for index, (x, y, label) in enumerate(known):
            at, above, width = self.px(x), self.py(y), text_width(label)
            # Upper left, lower right, upper right, lower left: along a curve that rises the first two are free.
            places = ((-width - 9, -6), (9, 16), (9, -6), (-width - 9, 16))
            boxes = [(at + dx, above + dy - 10, at + dx + width, above + dy + 3) for dx, dy in places]
            others = taken[:index] + taken[index + 1 :]
            free = [
                box for box in boxes if self._is_inside(box) and not any(_overlap(box, o) for o in others)
            ]
            box = (free or boxes[2:])[0]
            taken.append(box)
            self.text(box[0], box[3] - 3, label, css="label")

    def _is_inside(self, box: tuple[float, float, float, float]) -> bool:
        return box[0] >= self.left and box[2] <= self.right and box[1] >= self.top and box[3] <= self.bottom

    def svg(self, title: str, *, over_time: bool = False) -> Markup:
        """The finished drawing. `over_time` lets the page's pointer line find it."""
        width, height = self.size
        data = f' data-left="{self.left}" data-right="{self.right}"' if over_time else ""
        css = "chart time" if over_time else "chart"
        return Markup(
            f'<svg class="{css}" viewBox="0 0 {width} {height}" role="img" aria-label="{escape(title)}"{data}>'
            f"{''.join(self._parts)}</svg>"
        )

    def _add(self, part: str) -> None:
        self._parts.append(part)


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
