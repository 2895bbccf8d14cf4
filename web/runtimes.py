"""``python3 -m web.runtimes``: fetches the runtimes for browsers, which are too large for git, and compresses them.

npm checks the hashes in ``device/package-lock.json``. The new ones replace the old ones only once they are complete.
Standard library only, because ``make`` runs this before anything is installed.
"""

from __future__ import annotations

import gzip
import shutil
import subprocess
import sys
from pathlib import Path

PROJECT = Path(__file__).parents[1]
WANTED = ("package.json", "package-lock.json", ".npmrc")
# Compressing these for each visitor would take most of a second.
LARGE = ("onnxruntime-web/dist/*.wasm", "@litertjs/core/wasm/*.wasm")
NPM = ("npm", "ci", "--prefer-offline", "--fetch-retries", "1", "--fetch-retry-mintimeout", "1000")


def fetch(project: Path, *options: str) -> None:
    """Puts what the lock file names into ``device/node_modules``; ``options`` are npm's.

    Raises OSError or CalledProcessError if npm is missing or fails.
    """
    place, device = project / ".cache" / "client", project / "device"
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir(parents=True)
    try:
        for name in WANTED:
            shutil.copyfile(device / name, place / name)
        subprocess.run([*NPM, *options], cwd=place, check=True)  # noqa: S603
        new = place / "node_modules"
        for pattern in LARGE:
            for path in new.glob(pattern):
                path.with_name(f"{path.name}.gz").write_bytes(gzip.compress(path.read_bytes()))
        shutil.rmtree(device / "node_modules", ignore_errors=True)
        new.rename(device / "node_modules")
    finally:
        shutil.rmtree(place, ignore_errors=True)


if __name__ == "__main__":
    try:
        fetch(PROJECT, *sys.argv[1:])
    except (OSError, subprocess.CalledProcessError) as error:
        sys.exit(str(error))
