"""The gateway's settings."""

from pydantic import Field

from services.runtime.settings import ObjectStoreSettings, PodSettings


class GatewaySettings(PodSettings, ObjectStoreSettings):
    """What the gateway can be told besides what every pod can.

    Attributes:
        gateway_host: Address that the API listens on.
        gateway_port: Port of the API; 0 takes a free one, which is logged.
        temporal_ui_url: Base address of Temporal's web UI, for links to a report's execution. Empty: no links.
    """

    gateway_host: str = "0.0.0.0"  # noqa: S104  the API of a pod; `tardigrade local` sets loopback
    gateway_port: int = Field(default=8080, ge=0, le=65535)
    temporal_ui_url: str = Field(default="", pattern=r"^(https?://\S+)?$")
