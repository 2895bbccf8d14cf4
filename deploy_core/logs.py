"""Keeps visitors' data out of the log.

Messages of other libraries and of unexpected exceptions can quote a file name, an address or a piece of a picture. The
log keeps only the parts of them that are source code: the message without its arguments, the classes of the exceptions
and the stack. A message without arguments may already contain data, so only its place in the code is kept.
"""

from __future__ import annotations

import logging
import traceback
from types import TracebackType
from typing import Any

OURS = ("deploy_core", "deit_deploy")
# Below this level, uvicorn logs the address and the path of every connection.
TALKATIVE = ("uvicorn", "uvicorn.error", "uvicorn.access")


def keep_discreet() -> None:
    """Applies this to every log record of this process from now on, for all handlers."""
    logging.setLogRecordFactory(_record)
    for name in TALKATIVE:
        logging.getLogger(name).setLevel(logging.WARNING)


def _record(*given: Any, **more: Any) -> logging.LogRecord:
    record = logging.LogRecord(*given, **more)
    if record.name.split(".")[0] not in OURS:
        if not record.args:
            record.msg = f"something at {record.filename}:{record.lineno}"
        record.args = None
    if record.exc_info and record.exc_info[1]:
        record.exc_text = _stack(record.exc_info[1], record.exc_info[2])
        record.exc_info = None
    return record


def _stack(error: BaseException, where: TracebackType | None) -> str:
    lines = traceback.format_tb(where)
    cause = error.__cause__ or error.__context__
    before = f"{_stack(cause, cause.__traceback__)}\nwhich led to\n" if cause else ""
    return f"{before}{''.join(lines)}{type(error).__module__}.{type(error).__qualname__}"
