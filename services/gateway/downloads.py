"""The files of a finished report, streamed from the object store."""

import hashlib
import re
import unicodedata
from collections.abc import Iterator
from urllib.parse import quote

from fastapi import Response
from fastapi.responses import StreamingResponse
from starlette.datastructures import Headers

from services.contracts.reports import ObjectRef
from services.gateway import bounds
from services.gateway.problems import ProblemError
from services.runtime.object_store import CorruptObjectError, ObjectMissingError, ObjectStore

_UNSAFE = re.compile(r"[^\w .()\-]")
_RANGE = re.compile(r"bytes=(\d{0,15})-(\d{0,15})")
_MAX_STEM = 100


def content_disposition(filename: str, suffix: str) -> str:
    """Return the header that offers a file under a name made from a hostile one (RFC 6266).

    Args:
        filename: As it stands in `report.json`, where the model's title made it.
        suffix: What the name is to end with, such as `.pdf`.
    """
    stem = re.sub(r"\.[A-Za-z]{1,5}$", "", unicodedata.normalize("NFC", filename))
    stem = " ".join(_UNSAFE.sub("", stem).split()).strip(". ")[:_MAX_STEM] or "report"
    plain = unicodedata.normalize("NFKD", stem).encode("ascii", "ignore").decode().strip(". -") or "report"
    return f"attachment; filename=\"{plain}{suffix}\"; filename*=UTF-8''{quote(stem + suffix, safe='')}"


async def download(
    store: ObjectStore, ref: ObjectRef, request: Headers, *, media_type: str, disposition: str
) -> Response:
    """Return the response that streams an object, or says that the client has it.

    Args:
        store: The bucket.
        ref: The object. Its hash is the ETag and is checked before the last part is sent.
        request: The request's headers (`If-None-Match`, `Range`, `If-Range`).
        media_type: Content type.
        disposition: Content disposition.

    Raises:
        ProblemError: 404 for an object that is gone, 416, or 503.
        ObjectStoreError: The store failed, or the object is not the one that was stored.
    """
    etag = f'"{ref.sha256}"'
    headers = {
        "ETag": etag,
        "Cache-Control": "private, no-cache",  # may be kept, but is asked for again: a report can be deleted
        "Accept-Ranges": "bytes",
        "Content-Disposition": disposition,
    }
    if _matches(request.get("if-none-match", ""), etag):
        return Response(status_code=304, headers=headers)
    wanted = _range(request, etag, ref.size)
    try:
        chunks, size, _ = await bounds.store(lambda: store.stream(ref.key))
    except ObjectMissingError as error:
        raise ProblemError(404, "not-found", "The file is gone", f"{ref.key} is not in the object store.") from error
    if size != ref.size:
        raise CorruptObjectError(f"{ref.key} has {size} bytes instead of {ref.size}: it was changed from outside")
    if wanted is None:
        headers["Content-Length"] = str(size)
        return StreamingResponse(_checked(chunks, ref), 200, headers, media_type)
    first, last = wanted
    headers["Content-Length"] = str(last - first + 1)
    headers["Content-Range"] = f"bytes {first}-{last}/{size}"
    return StreamingResponse(_part(chunks, first, last), 206, headers, media_type)


def _matches(if_none_match: str, etag: str) -> bool:
    candidates = [candidate.strip().removeprefix("W/") for candidate in if_none_match.split(",")]
    return "*" in candidates or etag in candidates


def _range(request: Headers, etag: str, size: int) -> tuple[int, int] | None:
    """Return the first and last byte asked for; `None`: all. Several ranges at once are answered with all."""
    match = _RANGE.fullmatch(request.get("range", ""))
    if match is None or match.group() == "bytes=-" or request.get("if-range", etag) != etag:
        return None
    if match[1]:
        first, last = int(match[1]), min(int(match[2] or size), size - 1)
        if match[2] and int(match[2]) < int(match[1]):
            return None  # not a range at all, so it is ignored (RFC 9110, 14.1.2)
    else:
        first, last = max(size - int(match[2]), 0), size - 1
    if first > last:
        raise RangeError(size)
    return first, last


class RangeError(ProblemError):
    """The range lies outside the file (416)."""

    def __init__(self, size: int) -> None:
        """Name the file's size."""
        super().__init__(416, "range", "The range lies outside the file", f"The file has {size} bytes.")
        self.headers["Content-Range"] = f"bytes */{size}"


def _checked(chunks: Iterator[bytes], ref: ObjectRef) -> Iterator[bytes]:
    """Yield an object's parts, the last one only when the whole has the right hash.

    A reader then never takes a forged or torn file for complete, since its length falls short.
    """
    digest, held = hashlib.sha256(), b""
    for chunk in chunks:
        digest.update(chunk)
        if held:
            yield held
        held = chunk
    if digest.hexdigest() != ref.sha256:
        raise CorruptObjectError(f"{ref.key} does not have the hash it was stored with: it was changed from outside")
    yield held


def _part(chunks: Iterator[bytes], first: int, last: int) -> Iterator[bytes]:
    position = 0
    for chunk in chunks:
        start, position = position, position + len(chunk)
        if position > first:
            yield chunk[max(first - start, 0) : last + 1 - start]
        if position > last:
            return
