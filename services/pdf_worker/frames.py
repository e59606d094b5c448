"""Messages between the worker and its renderer processes: a kind, a JSON header, raw bytes.

JSON and not pickle: the child reads strangers' text, so the parent trusts nothing that comes back.
"""

import json
import struct
from typing import Any

HEADER = struct.Struct("!cII")
"""Kind, length of the JSON, length of the bytes after it."""

OUT_OF_MEMORY = 77
"""Exit code of a renderer process that reached its memory limit."""

REQUEST, READY, PAGES, DONE, ERROR = b"R", b"S", b"P", b"D", b"E"


def pack(kind: bytes, head: dict[str, Any], body: bytes = b"") -> bytes:
    """One message as bytes."""
    encoded = json.dumps(head).encode()
    return HEADER.pack(kind, len(encoded), len(body)) + encoded + body
