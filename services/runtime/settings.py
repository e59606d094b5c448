"""Settings: read once from the environment, typed, validated at start, printed without secrets."""

import sys
from enum import StrEnum
from pathlib import Path
from typing import NoReturn, TypeVar

from dotenv import load_dotenv
from pydantic import Field, SecretStr, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

EXIT_BAD_SETTING = 2
"""What a pod exits with when a setting is missing or wrong; the same code as a usage error of a command."""


class LogFormat(StrEnum):
    """How log records are written."""

    AUTO = "auto"
    JSON = "json"
    CONSOLE = "console"


class PodSettings(BaseSettings):
    """What every pod can be told. Temporal's own variables (`TEMPORAL_ADDRESS` and so on) are read by its SDK.

    Attributes:
        pod_http_host: Address that the pod's HTTP port listens on.
        pod_http_port: Port of `/metrics`, `/livez` and `/readyz`; 0 takes a free one, which is logged.
        log_level: Least severe level that is written.
        log_format: `auto` writes lines for people on a terminal, JSON elsewhere.
        temporal_deployment_name: Name of the Worker Deployment, as Temporal's Worker Controller sets it. Empty: the
            worker is not versioned.
        temporal_worker_build_id: Build id within that deployment.
    """

    model_config = SettingsConfigDict(extra="ignore", frozen=True, env_ignore_empty=True)

    pod_http_host: str = "0.0.0.0"  # noqa: S104  a pod is scraped and probed from outside; `tardigrade local` sets loopback
    pod_http_port: int = Field(default=9090, ge=0, le=65535)
    log_level: str = Field(default="info", pattern="^(debug|info|warning|error)$")
    log_format: LogFormat = LogFormat.AUTO
    temporal_deployment_name: str = ""
    temporal_worker_build_id: str = ""

    def printable(self) -> dict[str, object]:
        """Return the settings for a log line: names as in the environment, secrets as `set` or `not set`."""
        shown: dict[str, object] = {}
        for name, value in self:
            if isinstance(value, SecretStr):
                shown[name.upper()] = "set" if value.get_secret_value() else "not set"
            else:
                shown[name.upper()] = value
        return shown


class ObjectStoreSettings(BaseSettings):
    """Where objects live. The endpoint, region and credentials are boto3's own variables (`AWS_ENDPOINT_URL_S3`, …).

    Attributes:
        s3_bucket: The one bucket. It is created where it is missing.
        ledger_retention_days: Days after which the store drops the ledger's register objects.
    """

    model_config = SettingsConfigDict(extra="ignore", frozen=True, env_ignore_empty=True)

    s3_bucket: str = Field(default="tardigrade", pattern=r"^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$")
    ledger_retention_days: int = Field(default=90, ge=1, le=3650)


S = TypeVar("S", bound=BaseSettings)


def load(settings_class: type[S]) -> S:
    """Read the settings from the environment and from `.env` in the working directory (the environment wins).

    Exits with `EXIT_BAD_SETTING` and a line for each wrong setting that names it.
    """
    load_dotenv(Path(".env"))
    try:
        return settings_class()
    except ValidationError as error:
        _refuse(error)


def _refuse(error: ValidationError) -> NoReturn:
    for problem in error.errors(include_url=False, include_input=False):
        name = "_".join(str(part) for part in problem["loc"]).upper()
        sys.stderr.write(f"bad setting {name}: {problem['msg']}. Set {name} in the pod's environment.\n")
    raise SystemExit(EXIT_BAD_SETTING)
