"""Settings of the PDF worker."""

import os

from pydantic import Field

from services.runtime.settings import ObjectStoreSettings, PodSettings

DRAIN_SECONDS = 150
"""The longest rendering (see `services.pdf_worker.limits`) and its uploads; the pod's grace period is 30 s longer."""


class PDFSettings(PodSettings, ObjectStoreSettings):
    """What the PDF worker can be told.

    Attributes:
        pdf_concurrency: Documents rendered at a time, each in a process of its own. Default: the CPUs of the machine.
    """

    pdf_concurrency: int = Field(default_factory=lambda: os.cpu_count() or 1, ge=1, le=64)
