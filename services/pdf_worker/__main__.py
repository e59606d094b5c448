"""Run the PDF worker: `python -m services.pdf_worker`."""

import asyncio
from datetime import timedelta

from services.contracts import queues
from services.pdf_worker.activities import PDFActivities
from services.pdf_worker.isolation import RendererPool
from services.pdf_worker.settings import DRAIN_SECONDS, PDFSettings
from services.runtime import object_store
from services.runtime.settings import load
from services.runtime.worker import Work, run


async def prepare(settings: PDFSettings) -> Work:
    """Start the first renderer while the store is waited for."""
    renderers = RendererPool(settings.pdf_concurrency)
    store, _ = await asyncio.gather(object_store.connect(settings), renderers.warm())
    activities = PDFActivities(store, renderers)
    return Work(
        activities=[activities.create_pdf],
        max_concurrent_activities=settings.pdf_concurrency,
        graceful_shutdown=timedelta(seconds=DRAIN_SECONDS),
        close=renderers.close,
    )


if __name__ == "__main__":
    settings = load(PDFSettings)
    run("pdf-worker", settings, queues.PDF, lambda: prepare(settings))
