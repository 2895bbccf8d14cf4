"""The log says what happened and where, and nothing about a visitor."""

from __future__ import annotations

import subprocess
import sys

PROGRAM = """
import logging
from deploy_core import logs
logging.basicConfig(level=logging.INFO, format="%(levelname)s %(name)s %(message)s")
logs.keep_discreet()
logging.getLogger("deploy_core.processes.jobs").warning("The job %s failed", "build-1")
logging.getLogger("elsewhere").warning("Rejecting %s of %s", "secret.jpg", "203.0.113.7")
logging.getLogger("uvicorn.error").info('%s - "WebSocket %s" [accepted]', "203.0.113.7:1", "/secret.jpg")
name = "secret.jpg"
logging.getLogger("huggingface_hub.utils").warning(f"HTTP Error 429 thrown while requesting GET /{name}")
def open_it():
    try:
        open("/secret.jpg")
    except OSError as error:
        raise ValueError("secret.jpg is no picture") from error
try:
    open_it()
except ValueError:
    logging.getLogger("deploy_core.worker.main").exception("The task '%s' failed", "classify")
logging.getLogger("elsewhere").warning("still %d here", 1, exc_info=KeyError("secret.jpg"))
"""


def test_other_libraries_and_exceptions_are_told_without_what_they_quote() -> None:
    command = [sys.executable, "-c", PROGRAM]
    log = subprocess.run(command, capture_output=True, text=True, check=True).stderr
    assert "WARNING deploy_core.processes.jobs The job build-1 failed" in log
    assert "Rejecting %s of %s" in log
    assert "WARNING huggingface_hub.utils something at <string>:" in log
    assert "The task 'classify' failed" in log
    assert "builtins.FileNotFoundError\nwhich led to\n" in log
    assert "in open_it\n" in log
    assert "builtins.ValueError" in log
    assert "builtins.KeyError" in log
    assert "secret" not in log.replace('open("/secret.jpg")', "").replace('name = "secret.jpg"', "")
    assert "203.0.113.7" not in log
