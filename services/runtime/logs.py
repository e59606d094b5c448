"""Logs: one JSON object a line in a pod, readable on a terminal, with the workflow's and the activity's context."""

import logging
import sys
from typing import cast

import structlog
from structlog.typing import EventDict, Processor, WrappedLogger
from temporalio import activity

from services.runtime.settings import LogFormat


def _temporal_context(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """Add what finds the line in Temporal; the SDK's own loggers carry it as a field already."""
    for field in ("temporal_activity", "temporal_workflow"):
        carried = cast("dict[str, object]", event.pop(field, None) or {})
        for name in ("workflow_id", "run_id", "workflow_run_id", "activity_type", "workflow_type", "attempt"):
            if name in carried:
                event.setdefault(name.replace("workflow_run_id", "run_id"), carried[name])
    if activity.in_activity():
        info = activity.info()
        event.setdefault("workflow_id", info.workflow_id)
        event.setdefault("run_id", info.workflow_run_id)
        event.setdefault("activity_type", info.activity_type)
        event.setdefault("attempt", info.attempt)
    return event


def configure(service: str, level: str, form: LogFormat) -> None:
    """Send structlog's and the standard library's records through one pipeline to standard error.

    Args:
        service: Name put on every line.
        level: Least severe level that is written.
        form: How a line looks.
    """
    readable = form is LogFormat.CONSOLE or (form is LogFormat.AUTO and sys.stderr.isatty())
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.ExtraAdder(["temporal_activity", "temporal_workflow"]),
        _temporal_context,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.EventRenamer("message"),
    ]
    if readable:
        plain = structlog.dev.plain_traceback  # rich's shows local variables, too
        render: list[Processor] = [structlog.dev.ConsoleRenderer(event_key="message", exception_formatter=plain)]
    else:
        shared.append(lambda _logger, _method, event: {"service": service, **event})
        # Without the frames' local variables, which structlog adds by default: prompts are among them, and keys may be.
        tracebacks = structlog.tracebacks.ExceptionDictTransformer(show_locals=False)
        render = [structlog.processors.ExceptionRenderer(tracebacks), structlog.processors.JSONRenderer()]
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            structlog.stdlib.PositionalArgumentsFormatter(),
            *shared,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        wrapper_class=structlog.stdlib.BoundLogger,
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *render],
        )
    )
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(level.upper())
    # These log whole requests and responses below WARNING: prompts and keys have no place in a log.
    for chatty in ("boto3", "botocore", "urllib3", "httpx", "httpcore", "openai", "LiteLLM", "s3transfer"):
        logging.getLogger(chatty).setLevel("WARNING")
