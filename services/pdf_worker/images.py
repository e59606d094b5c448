"""Pictures, from bytes that the service holds: data URIs in the text, or what the caller hands over."""

import base64
import binascii
import io
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING
from urllib.parse import unquote_to_bytes

from markdown_it.token import Token
from PIL import Image, UnidentifiedImageError
from reportlab.lib.utils import ImageReader

from services.pdf_worker.atoms import Span
from services.pdf_worker.column import Column
from services.pdf_worker.inline import plain
from services.pdf_worker.items import Item, Part
from services.pdf_worker.limits import Limits
from services.pdf_worker.lines import break_lines
from services.pdf_worker.structure import Element
from services.pdf_worker.styles import MUTED, Font, Style

if TYPE_CHECKING:
    from services.pdf_worker.pen import Pen

FORMATS = ("PNG", "JPEG", "GIF", "WEBP")
"""Raster formats only: SVG can hold scripts and references to other files."""

POINTS_PER_PIXEL = 0.75
"""A CSS pixel is 1/96 inch."""

TALLEST = 380.0


@dataclass(frozen=True)
class Picture:
    """A decoded picture at its size on the page, in points."""

    image: Image.Image
    width: float
    height: float
    alt: str
    ascent: float = 0.0
    descent: float = 0.0

    def draw(self, pen: "Pen", x: float, y: float, element: Element) -> None:
        """Draw with the top left corner at (x, y), or, in a line of text, standing on y."""
        top = y - self.ascent if self.ascent else y
        figure = Element("Figure", element, alt=self.alt or "Image without a description")
        pen.image(ImageReader(self.image), x, top, self.width, self.height, figure)


@dataclass
class Pictures:
    """Opens pictures within the limits and remembers which it refused.

    Attributes:
        held: Address to bytes, of what the caller holds.
        limits: Size and pixels of one picture.
        fallbacks: One sentence for each picture that was refused.
    """

    held: Mapping[str, bytes]
    limits: Limits
    fallbacks: list[str] = field(default_factory=list)
    _opened: dict[str, Image.Image | None] = field(default_factory=dict)

    def items(self, tokens: Sequence[Token], column: Column) -> list[Item] | None:
        """Set a paragraph of pictures alone; `None` when it has anything else, or a picture that is not held."""
        images = [token for token in tokens if token.type == "image"]
        if not images or any(token.type not in ("image", "softbreak") for token in tokens):
            return None
        opened = [self._open(token) for token in images]
        items: list[Item] = []
        for token, image in zip(images, opened, strict=True):
            if image is None:
                return None
            width, height = image.width * POINTS_PER_PIXEL, image.height * POINTS_PER_PIXEL
            scale = min(1.0, column.width / width, TALLEST / height)
            alt = plain(token.children or [])
            picture = Picture(image, width * scale, height * scale, alt)
            items.append(
                Item(
                    picture.height + 4.0,
                    [Part(column.x, 2.0, picture, column.element)],
                    panels=column.panels,
                    keep=True,
                )
            )
            caption = str(token.attrs.get("title", "") or "") or alt
            if caption:
                style = Style(Font(italic=True), 8.8, MUTED)
                element = Element("Caption", column.element)
                items.extend(
                    Item(line.height, [Part(column.x, 0.0, line, element)], panels=column.panels, keep=True)
                    for line in break_lines([Span(caption.replace("\n", " "), style)], column.width, "en")
                )
            items[-1].keep = False
        return items

    def inline(self, token: Token, style: Style) -> Picture | None:
        """A picture in running text, at most three lines high."""
        image = self._open(token)
        if image is None:
            return None
        width, height = image.width * POINTS_PER_PIXEL, image.height * POINTS_PER_PIXEL
        scale = min(1.0, 3 * style.size / height, 200.0 / width)
        picture = Picture(image, width * scale, height * scale, plain(token.children or []))
        return replace(picture, ascent=picture.height)

    def _open(self, token: Token) -> Image.Image | None:
        address = str(token.attrs.get("src", ""))
        if address not in self._opened:
            self._opened[address] = self._load(address)
        return self._opened[address]

    def _load(self, address: str) -> Image.Image | None:
        try:
            data = self.held.get(address) or _data_uri(address)
            if data is None:
                return None
            return self._decode(data)
        except (ValueError, OSError, SyntaxError, Image.DecompressionBombError, binascii.Error) as error:
            self.fallbacks.append(f"An image was shown as text: {_reason(error)}.")
            return None

    def _decode(self, data: bytes) -> Image.Image:
        if len(data) > self.limits.image_bytes:
            raise ValueError(f"it has {len(data)} bytes, more than {self.limits.image_bytes}")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            image = Image.open(io.BytesIO(data), formats=FORMATS)
        if image.width * image.height > self.limits.image_pixels:
            raise ValueError(
                f"it has {image.width} x {image.height} pixels, more than {self.limits.image_pixels} in all"
            )
        if not image.width or not image.height:
            raise ValueError("it is empty")
        alpha = image.mode in ("RGBA", "LA", "PA") or "transparency" in image.info
        return image.convert("RGBA" if alpha else "L" if image.mode in ("1", "L") else "RGB")


def _reason(error: Exception) -> str:
    if isinstance(error, UnidentifiedImageError):
        return "its bytes are no PNG, JPEG, GIF or WebP"
    return str(error).rstrip(".") or type(error).__name__


def _data_uri(address: str) -> bytes | None:
    if not address.startswith("data:image/"):
        return None
    head, comma, body = address.partition(",")
    if not comma or "svg" in head:
        return None
    raw = unquote_to_bytes(body)
    return base64.b64decode(raw, validate=True) if head.endswith(";base64") else raw
