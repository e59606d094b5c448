"""The HTTP API. It has no state of its own: every answer comes from Temporal and the object store."""
