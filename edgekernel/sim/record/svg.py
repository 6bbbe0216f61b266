"""Just enough SVG to draw a timeline with."""

from __future__ import annotations

from collections.abc import Iterable
from html import escape


class Svg:
    """A picture in the making; lengths are pixels, the origin is at the top left."""

    def __init__(self, width: float) -> None:
        self._width = width
        self._parts: list[str] = []

    def rect(
        self,
        x: float,
        y: float,
        width: float,
        height: float,
        fill: str,
        *,
        opacity: float = 1.0,
        radius: float = 0.0,
        title: str = "",
    ) -> None:
        """Draw a filled rectangle; `title` shows when it is pointed at."""
        inside = f"<title>{escape(title)}</title>" if title else ""
        self._parts.append(
            f'<rect x="{x:.2f}" y="{y:.2f}" width="{max(0.0, width):.2f}" height="{height:.2f}" '
            f'rx="{radius:g}" fill="{fill}" fill-opacity="{opacity:g}">{inside}</rect>'
        )

    def line(self, x1: float, y1: float, x2: float, y2: float, stroke: str) -> None:
        """Draw a thin line."""
        self._parts.append(
            f'<line x1="{x1:.2f}" y1="{y1:.2f}" x2="{x2:.2f}" y2="{y2:.2f}" '
            f'stroke="{stroke}" stroke-width="1"/>'
        )

    def path(self, points: Iterable[tuple[float, float]], stroke: str) -> None:
        """Draw a line through points."""
        drawn = " L".join(f"{x:.2f} {y:.2f}" for x, y in points)
        self._parts.append(
            f'<path d="M{drawn}" fill="none" stroke="{stroke}" stroke-width="1.4" '
            'stroke-linejoin="round"/>'
        )

    def area(self, points: Iterable[tuple[float, float]], fill: str) -> None:
        """Fill what points go around."""
        drawn = " L".join(f"{x:.2f} {y:.2f}" for x, y in points)
        self._parts.append(f'<path d="M{drawn} Z" fill="{fill}" fill-opacity="0.35"/>')

    def text(
        self,
        x: float,
        y: float,
        words: str,
        *,
        size: float = 11,
        fill: str = "#24292f",
        anchor: str = "start",
        bold: bool = False,
    ) -> None:
        """Write words, their baseline at `y`."""
        weight = ' font-weight="600"' if bold else ""
        self._parts.append(
            f'<text x="{x:.2f}" y="{y:.2f}" font-size="{size:g}" fill="{fill}" '
            f'text-anchor="{anchor}"{weight}>{escape(words)}</text>'
        )

    def render(self, height: float) -> str:
        """Return the picture as a file's content."""
        return "\n".join(
            [
                f'<svg xmlns="http://www.w3.org/2000/svg" width="{self._width:g}" '
                f'height="{height:g}" viewBox="0 0 {self._width:g} {height:g}" '
                'font-family="Helvetica, Arial, DejaVu Sans, sans-serif">',
                f'<rect width="{self._width:g}" height="{height:g}" fill="#ffffff"/>',
                *self._parts,
                "</svg>",
                "",
            ]
        )
