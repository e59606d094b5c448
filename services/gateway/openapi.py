"""Write the API's OpenAPI document: `python -m services.gateway.openapi`."""

import asyncio
import json
from pathlib import Path

from services.gateway.app import create_app
from services.runtime import temporal
from services.runtime.object_store import ObjectStore
from services.runtime.settings import ObjectStoreSettings

PATH = Path(__file__).with_name("openapi.json")


async def render() -> str:
    """Return the document as it is committed."""
    app = create_app(await temporal.connect(lazy=True), ObjectStore(ObjectStoreSettings()), stop=asyncio.Event())
    return json.dumps(app.openapi(), indent=2, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    PATH.write_text(asyncio.run(render()))
