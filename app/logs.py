"""JSON logs, one line an event. Events have fixed names and carry ids: never phone numbers, texts, codes or tokens.

What libraries log comes out the same way, without the values in it: gunicorn would write people's addresses.
"""

import logging
import sys
import traceback
from typing import TextIO

import structlog

# Keys that would carry personal data or secrets. They are dropped even when somebody logs them by mistake.
_FORBIDDEN = frozenset({"phone", "name", "email", "body", "code", "card_code", "token", "password", "key", "secret"})


def configure(level: str = "info", stream: TextIO = sys.stderr) -> None:
    """Set logging up for this process. `level` is debug, info, warning or error."""
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            _exception_without_values,
            _without_personal_data,
            structlog.processors.JSONRenderer(default=str),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelNamesMapping()[level.upper()]),
        logger_factory=structlog.WriteLoggerFactory(stream),
        cache_logger_on_first_use=False,
    )
    root = logging.getLogger()
    if not any(isinstance(handler, _OfLibraries) for handler in root.handlers):
        root.addHandler(_OfLibraries())
    root.setLevel(logging.WARNING)
    logging.captureWarnings(True)


class _OfLibraries(logging.Handler):
    """Takes what libraries log through Python's own logging."""

    def emit(self, record: logging.LogRecord) -> None:
        level = min(max(record.levelno // 10 * 10, logging.DEBUG), logging.CRITICAL)
        log().log(level, "library.logged", logger=record.name, text=_without_values(record), exc_info=record.exc_info)


def _without_values(record: logging.LogRecord) -> str:
    """The message with its numbers, and '…' for all else that was put into it. Warnings are about code, and stay."""
    values = record.args
    if record.name == "py.warnings":
        return record.getMessage()
    if not isinstance(values, tuple) or not isinstance(record.msg, str):
        return record.msg if isinstance(record.msg, str) else type(record.msg).__name__
    return record.msg % tuple(value if isinstance(value, int | float) else "…" for value in values)


def _exception_without_values(
    _logger: object, _method: str, event: structlog.typing.EventDict
) -> structlog.typing.EventDict:
    """The exceptions' types and where they were raised. Their messages would carry what people typed."""
    told = event.pop("exc_info", None)
    error = told[1] if isinstance(told, tuple) else told if isinstance(told, BaseException) else None
    if told is True:
        error = sys.exception()
    if error is None:
        return event
    kinds: list[str] = []
    event["traceback"] = [
        f"{frame.filename}:{frame.lineno} {frame.name}" for frame in traceback.extract_tb(error.__traceback__)
    ]
    while error is not None and len(kinds) < 10:
        kinds.append(f"{type(error).__module__}.{type(error).__qualname__}")
        error = error.__cause__ or error.__context__
    event["exceptions"] = kinds
    return event


def _without_personal_data(
    _logger: object, _method: str, event: structlog.typing.EventDict
) -> structlog.typing.EventDict:
    for name in _FORBIDDEN & event.keys():
        event[name] = "withheld"
    return event


def log() -> structlog.typing.FilteringBoundLogger:
    logger: structlog.typing.FilteringBoundLogger = structlog.get_logger()
    return logger
