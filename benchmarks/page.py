"""The server's time to open the Profile page with a saved run."""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from benchmarks.figure import Figure

PROJECT = Path(__file__).parents[1]
VISITS = 7
# This runs in a fresh process, like the server: the benchmark's own process has already imported torch.
VISIT = f"""
import json, sys, time
from streamlit.testing.v1 import AppTest
seconds = []
for _ in range({VISITS} + 1):
    app = AppTest.from_file("pages/_shell.py", default_timeout=60).run()
    started = time.perf_counter()
    app.switch_page("profile_files.py").run()
    seconds.append(time.perf_counter() - started)
    assert not app.exception and app.dataframe, app
assert "torch" not in sys.modules
print(json.dumps(seconds[1:]))
"""


def figures() -> list[Figure]:
    with tempfile.TemporaryDirectory() as home:
        finished = subprocess.run(  # noqa: S603
            [sys.executable, "-c", VISIT],
            cwd=PROJECT,
            env={"PATH": "/usr/bin:/bin", "DEIT_DEPLOY_HOME": home, "PYTHONPATH": str(PROJECT)},
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            check=True,
        )
    seconds = json.loads(finished.stdout.splitlines()[-1])
    return [Figure("server time to open Profile with a saved run", statistics.median(seconds) * 1000, 300, "ms")]
