"""A provider simulator: it speaks OpenAI's protocol, writes a deterministic report and counts what it would bill."""
