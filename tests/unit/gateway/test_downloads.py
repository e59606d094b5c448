from pathlib import PurePosixPath

import pytest
from starlette.datastructures import Headers

from services.contracts.reports import ObjectRef
from services.gateway.downloads import RangeError, _checked, _part, _range, content_disposition
from services.runtime.object_store import CorruptObjectError, reference

DATA = bytes(range(100))
REF = reference("reports/report-00000000000000000000/report.pdf", DATA)
CHUNKS = [DATA[:30], DATA[30:60], DATA[60:]]


@pytest.mark.parametrize(
    ("filename", "expected"),
    [
        (
            "how-tardigrades-survive.pdf",
            "attachment; filename=\"how-tardigrades-survive.pdf\"; filename*=UTF-8''how-tardigrades-survive.pdf",
        ),
        ("wasserbären.pdf", "attachment; filename=\"wasserbaren.pdf\"; filename*=UTF-8''wasserb%C3%A4ren.pdf"),
        (
            "クマムシ.pdf",
            "attachment; filename=\"report.pdf\"; filename*=UTF-8''%E3%82%AF%E3%83%9E%E3%83%A0%E3%82%B7.pdf",
        ),
        ("", "attachment; filename=\"report.pdf\"; filename*=UTF-8''report.pdf"),
        ("...", "attachment; filename=\"report.pdf\"; filename*=UTF-8''report.pdf"),
    ],
)
def test_the_files_name(filename: str, expected: str) -> None:
    assert content_disposition(filename, ".pdf") == expected


@pytest.mark.parametrize(
    "filename",
    ['a"; filename="evil.exe', "../../etc/passwd", "a\r\nSet-Cookie: x=y", "c:\\evil", "x" * 5000, "‮fdp.exe"],
)
def test_a_hostile_name_is_harmless(filename: str) -> None:
    header = content_disposition(filename, ".pdf")
    assert header.isascii()
    assert header.isprintable()
    assert header.count('"') == 2
    assert len(header) < 600
    name = header.split('"')[1]
    assert name.endswith(".pdf")
    assert PurePosixPath(name).name == name
    assert "\\" not in name


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ("", None),
        ("bytes=0-9", (0, 9)),
        ("bytes=90-", (90, 99)),
        ("bytes=90-5000", (90, 99)),
        ("bytes=-10", (90, 99)),
        ("bytes=-500", (0, 99)),
        ("bytes=0-1,5-6", None),
        ("bytes=9-0", None),
        ("bytes=-", None),
        ("pages=1-2", None),
    ],
)
def test_ranges(header: str, expected: tuple[int, int] | None) -> None:
    wanted = _range(Headers({"range": header}), '"e"', len(DATA))
    assert wanted == expected
    if wanted:
        assert b"".join(_part(iter(CHUNKS), *wanted)) == DATA[wanted[0] : wanted[1] + 1]


@pytest.mark.parametrize("header", ["bytes=100-", "bytes=200-300", "bytes=-0"])
def test_a_range_outside_the_file(header: str) -> None:
    with pytest.raises(RangeError) as refused:
        _range(Headers({"range": header}), '"e"', len(DATA))
    assert refused.value.headers["Content-Range"] == "bytes */100"


def test_a_range_of_another_version_is_answered_with_all() -> None:
    assert _range(Headers({"range": "bytes=0-9", "if-range": '"other"'}), '"e"', 100) is None
    assert _range(Headers({"range": "bytes=0-9", "if-range": '"e"'}), '"e"', 100) == (0, 9)


def test_a_file_that_was_changed_is_never_sent_whole() -> None:
    assert b"".join(_checked(iter(CHUNKS), REF)) == DATA
    forged = _checked(iter(CHUNKS), ObjectRef(REF.key, "0" * 64, REF.size))
    assert next(forged) + next(forged) == DATA[:60]
    with pytest.raises(CorruptObjectError):
        next(forged)
