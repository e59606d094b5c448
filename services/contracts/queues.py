"""Task queues, one per kind of worker, so that each kind is scaled alone."""

WORKFLOWS = "tardigrade-workflows"
LLM = "tardigrade-llm"
PDF = "tardigrade-pdf"
