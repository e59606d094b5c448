"""Saving a report's file under a name that the server offers, which is hostile until it was cleaned."""

import re
import unicodedata
from email.message import Message
from pathlib import Path

from services.cli.client import Gateway
from services.cli.exits import CommandError, Exit

_MAX_BYTES = 120
_SUFFIXES = {"pdf": ".pdf", "markdown": ".md"}


def offered_name(disposition: str | None, kind: str) -> str:
    """Return a file name for a `Content-Disposition`: never a path, never hidden, with the suffix of its kind.

    Args:
        disposition: The header; `None` where there is none.
        kind: `pdf` or `markdown`.
    """
    suffix = _SUFFIXES[kind]
    header = Message()
    header["Content-Disposition"] = (disposition or "attachment").replace("\r", " ").replace("\n", " ")
    name = header.get_filename() or ""
    name = unicodedata.normalize("NFC", name).replace("\\", "/").rpartition("/")[2]
    name = re.sub(r"[^\w .()\-]", "", name).strip(" .-").removesuffix(suffix).strip(" .-")
    stem = name.encode()[:_MAX_BYTES].decode(errors="ignore").strip(" .-")
    return f"{stem or 'report'}{suffix}"


def refuse_overwriting(path: Path, *, force: bool) -> None:
    """Do nothing if the file may be written.

    Raises:
        CommandError: It is there already, and nobody said that it may be lost.
    """
    if path.is_file() and not force:
        raise CommandError(
            f"{path} was not written", "There is a file of this name.", "Give another with -o, or --force.", Exit.USAGE
        )


def save(gateway: Gateway, report_id: str, kind: str, target: Path | None, *, force: bool) -> Path:
    """Download a finished report's file and return where it is.

    Args:
        gateway: Where it is.
        report_id: Which report.
        kind: `pdf` or `markdown`.
        target: A file, or a folder to put the offered name into; `None`: the working directory.
        force: Overwrite a file that is there.

    Raises:
        CommandError: The file exists already, cannot be written, or cannot be had.
    """
    with gateway.download(report_id, kind) as answer:
        folder = target or Path()
        path = folder / offered_name(answer.headers.get("content-disposition"), kind) if folder.is_dir() else folder
        refuse_overwriting(path, force=force)
        part = path.with_name(f"{path.name}.part")
        try:
            with part.open("wb") as file:
                for chunk in answer.iter_bytes():
                    file.write(chunk)
            part.replace(path)
        except OSError as error:
            raise CommandError(f"{path} was not written", str(error), "Give another place with -o.") from error
        finally:
            part.unlink(missing_ok=True)
    return path
