"""Breaking runs of text into lines.

Lines are set ragged right (ragged left in right-to-left paragraphs): justified text on a narrow measure tears holes
between words, and nobody is there to mend them by hand.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from services.pdf_worker.atoms import Atom, Span, atoms, bound
from services.pdf_worker.cutting import force, hyphenate, hyphenator
from services.pdf_worker.shaping import Piece
from services.pdf_worker.styles import LEADING

HYPHENATE_FROM = 0.16
"""A word is hyphenated only if the line would otherwise be left this part of the measure short."""


@dataclass(slots=True)
class Line:
    """One line of text, ready to be drawn.

    Attributes:
        atoms: In logical order, without the space at the end.
        width: Of the atoms.
        indent: From the left edge of the column.
        height: From this line's top to the next one's.
        baseline: From the top to the baseline.
        hyphen: A hyphen is drawn at the end.
        last: Nothing follows in the paragraph, or a forced break.
    """

    atoms: list[Atom]
    width: float
    indent: float
    height: float
    baseline: float
    hyphen: Piece | None = None
    last: bool = False


def break_lines(
    spans: Sequence[Span],
    width: float,
    language: str,
    *,
    leading: float = LEADING,
    preserve: bool = False,
    hang: float = 0.0,
) -> list[Line]:
    """Set spans as lines no wider than `width`.

    Args:
        spans: The paragraph.
        width: Of the column, in points.
        language: BCP 47 tag, for hyphenation and letter forms.
        leading: Line height over font size.
        preserve: Keep every space, as in code, and break anywhere between words.
        hang: Indent of all lines but the first, in points.
    """
    lines: list[Line] = []
    current: list[Atom] = []
    used = 0.0
    limit = width
    hyphens = None if preserve else hyphenator(language)

    def finish(last: bool, hyphen: Piece | None = None) -> None:
        nonlocal current, used, limit
        if not preserve:
            while current and current[-1].space:
                used -= current.pop().width
        lines.append(_line(current, used, width - limit, leading, spans, hyphen, last))
        current, used, limit = [], 0.0, width - hang

    pending: list[Atom] = []
    for atom in bound(list(atoms(spans, language, preserve))):
        if atom.text == "\n" and atom.space:
            current.extend(pending)
            used += sum(one.width for one in pending)
            pending = []
            finish(last=True)
            continue
        pending.append(atom)
        if not (atom.space or atom.breaks):
            continue
        word, pending = pending, []
        need = atom.width if len(word) == 1 else sum(one.width for one in word)
        if atom.space and len(word) == 1:
            if current or preserve:
                current.append(atom)
                used += need
            continue
        while used + need > limit + 0.01:
            head = None
            if hyphens is not None and len(word) == 1 and limit - used > HYPHENATE_FROM * limit:
                head = hyphenate(word[0], limit - used, language, hyphens)
            if head is not None:
                front, hyphen, rest = head
                current.append(front)
                used += front.width
                finish(last=False, hyphen=hyphen)
                word, need = [rest], rest.width
            elif current and (need <= width - hang or limit - used < 0.25 * limit):
                finish(last=False)
            else:
                fits, rest_word = force(word, limit - used, language, at_least_one=not current)
                current.extend(fits)
                used += sum(one.width for one in fits)
                if not rest_word:
                    word, need = [], 0.0
                    break
                finish(last=False)
                word, need = rest_word, sum(one.width for one in rest_word)
        current.extend(word)
        used += need
    current.extend(pending)
    used += sum(one.width for one in pending)
    while used > limit + 0.01 and pending:
        # The last word has no break after it (an object, a run of styles): it gets a line of its own, cut if need be.
        del current[len(current) - len(pending) :]
        used -= sum(one.width for one in pending)
        if current:
            finish(last=False)
        fits, pending = force(pending, limit, language, at_least_one=True)
        current.extend(fits)
        used += sum(one.width for one in fits)
        if pending:
            finish(last=False)
            current.extend(pending)
            used += sum(one.width for one in pending)
    finish(last=True)
    return lines


def _line(
    atoms: list[Atom],
    used: float,
    indent: float,
    leading: float,
    spans: Sequence[Span],
    hyphen: Piece | None,
    last: bool,
) -> Line:
    size = max(
        (atom.style.size for atom in atoms if not atom.style.rise), default=spans[0].style.size if spans else 0.0
    )
    height = size * leading
    baseline = (height + 0.72 * size) / 2
    for atom in atoms:
        if atom.inline is not None:
            up = atom.inline.ascent + 0.15 * size - baseline
            if up > 0:
                height += up
                baseline += up
            height = max(height, baseline + atom.inline.descent + 0.15 * size)
    if hyphen is not None:
        used += hyphen.width * atoms[-1].style.size / 1000
    return Line(atoms, used, indent, height, baseline, hyphen, last)
