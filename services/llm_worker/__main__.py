"""Run the LLM worker: `python -m services.llm_worker`."""

import asyncio
import importlib
import os
from datetime import timedelta

from services.contracts import queues
from services.llm_worker.settings import LLMSettings
from services.runtime import object_store
from services.runtime.settings import load
from services.runtime.worker import Work, run

# litellm's import would download its table of prices; the one in the package was tested.
os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"

# With the workflow's heartbeat timeout of 10 s the SDK would send one every 8 s; a cancel must arrive within 5 s.
MAX_HEARTBEAT_INTERVAL = timedelta(seconds=3)


async def prepare(settings: LLMSettings) -> Work:
    """Import litellm, which takes seconds, while the store is waited for."""
    store, module = await asyncio.gather(
        object_store.connect(settings),
        asyncio.to_thread(importlib.import_module, "services.llm_worker.activities"),
    )
    activities = module.LLMActivities.on(settings, store)
    return Work(
        activities=[activities.llm_call],
        max_concurrent_activities=settings.llm_concurrency,
        graceful_shutdown=timedelta(seconds=settings.drain_seconds),
        options={"max_heartbeat_throttle_interval": MAX_HEARTBEAT_INTERVAL},
        on_signal=activities.on_signal,
        close=activities.close,
    )


if __name__ == "__main__":
    settings = load(LLMSettings)
    run("llm-worker", settings, queues.LLM, lambda: prepare(settings))
