"""Maths as vector graphics, set by ziamath from LaTeX with STIX Two Math."""

import re
import warnings
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET

from services.pdf_worker.column import Column
from services.pdf_worker.items import Item, Part
from services.pdf_worker.structure import Element
from services.pdf_worker.styles import Style

if TYPE_CHECKING:
    from services.pdf_worker.pen import Pen

LONGEST = 4_000
"""Characters of one formula. ziamath is recursive; a longer one is set as text."""

DRAWN_AT = 10.0
SIDE = 0.5
_PATH = re.compile(r"([MLQCZHVmlqczhv])|(-?(?:\d+\.?\d*|\.\d+)(?:e-?\d+)?)")


@dataclass(frozen=True)
class _Shape:
    """One filled outline, in PDF operators, relative to the formula's baseline at size `DRAWN_AT`."""

    width: float
    ascent: float
    descent: float
    ops: str


@dataclass(frozen=True)
class Formula:
    """A formula at a size. Lengths in points."""

    shape: _Shape
    scale: float
    color: str
    source: str
    display: bool

    @property
    def width(self) -> float:
        """Advance width: the ink, and between words a hair's breadth at both sides."""
        return (self.shape.width + (0.0 if self.display else 2 * SIDE)) * self.scale

    @property
    def ascent(self) -> float:
        """Above the baseline."""
        return self.shape.ascent * self.scale

    @property
    def descent(self) -> float:
        """Below the baseline."""
        return self.shape.descent * self.scale

    def draw(self, pen: "Pen", x: float, y: float, element: Element) -> None:
        """Draw with the baseline at y; displayed formulas with their top at y."""
        base = y + self.ascent if self.display else y
        x += 0.0 if self.display else SIDE * self.scale
        figure = Element("Formula", element, alt=self.source)
        place = f"{self.scale:.4f} 0 0 {self.scale:.4f} {x:.2f} {pen.height - base:.2f} cm"
        pen.literal(f"q {self.color} rg {place}\n{self.shape.ops}\nQ", figure)
        pen.hidden_text(self.source, x, base, self.width, self.scale * DRAWN_AT, figure)


def formula(source: str, style: Style, display: bool) -> Formula | None:
    """Set LaTeX at a style's size, or return `None` where the library cannot."""
    shape = _shape(source.strip(), display)
    if shape is None:
        return None
    return Formula(shape, style.size / DRAWN_AT, style.color, source.strip(), False)


def display_items(source: str, column: Column) -> list[Item] | None:
    """Set a formula on a line of its own, in the middle, shrunk to the column's width if need be."""
    set_formula = formula(source, column.style, True)
    if set_formula is None:
        return None
    scale = set_formula.scale * 1.08
    scale = min(scale, scale * column.width / max(set_formula.shape.width * scale, 1.0))
    shown = Formula(set_formula.shape, scale, column.style.color, set_formula.source, True)
    height = shown.ascent + shown.descent
    if height > 600.0:
        return None
    x = column.x + (column.width - shown.width) / 2
    return [Item(height + 6.0, [Part(x, 3.0, shown, column.element)], panels=column.panels)]


@lru_cache(maxsize=512)
def _shape(source: str, display: bool) -> _Shape | None:
    if not source or len(source) > LONGEST:
        return None
    with warnings.catch_warnings():
        # The library finds its font by a function of Python's that is on its way out.
        warnings.simplefilter("ignore", DeprecationWarning)
        # Imported here: it costs 60 ms and 15 MB, and most documents have no formula.
        from ziamath import zmath
        from ziamath.config import config

        config.svg2 = False
        try:
            latex = zmath.Latex(source, size=DRAWN_AT, inline=not display)
            svg = latex.svgxml()
            # getsize and getyofst give the box around the ink and where its baseline is.
            width, height = latex.getsize()
            below = -latex.getyofst()
            return _Shape(width, height - below, max(below, 0.0), _operators(svg))
        except MemoryError:
            raise
        except Exception:  # noqa: BLE001 - recursive parsers fed by strangers; the formula is shown as text instead
            return None


def _operators(svg: ET.Element) -> str:
    ops: list[str] = []
    for node in svg.iter():
        tag = node.tag.rpartition("}")[2]
        if tag == "path":
            ops.append(_path(node.attrib["d"]) + " f")
        elif tag == "rect":
            x, y, width, height = (float(node.attrib[key]) for key in ("x", "y", "width", "height"))
            ops.append(f"{x:.3f} {-y - height:.3f} {width:.3f} {height:.3f} re f")
    return "\n".join(ops)


def _path(data: str) -> str:
    """SVG's path as PDF's, quadratic curves raised to cubic ones, y upwards."""
    ops: list[str] = []
    command = ""
    numbers: list[float] = []
    x = y = 0.0
    need = {"M": 2, "L": 2, "Q": 4, "C": 6, "H": 1, "V": 1}
    for letter, number in _PATH.findall(data):
        if letter:
            command = letter
            if command == "Z":
                ops.append("h")
            continue
        numbers.append(float(number))
        if len(numbers) < need[command]:
            continue
        match command, numbers:
            case (("M" | "L"), [x, y]):
                ops.append(f"{x:.3f} {-y:.3f} {command.lower()}")
            case "H", [x]:
                ops.append(f"{x:.3f} {-y:.3f} l")
            case "V", [y]:
                ops.append(f"{x:.3f} {-y:.3f} l")
            case "Q", [cx, cy, tx, ty]:
                a, b = x + 2 / 3 * (cx - x), y + 2 / 3 * (cy - y)
                c, d = tx + 2 / 3 * (cx - tx), ty + 2 / 3 * (cy - ty)
                ops.append(f"{a:.3f} {-b:.3f} {c:.3f} {-d:.3f} {tx:.3f} {-ty:.3f} c")
                x, y = tx, ty
            case "C", [a, b, c, d, tx, ty]:
                ops.append(f"{a:.3f} {-b:.3f} {c:.3f} {-d:.3f} {tx:.3f} {-ty:.3f} c")
                x, y = tx, ty
        numbers = []
    return " ".join(ops)
