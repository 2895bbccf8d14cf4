"""``make TORCH=cpu``, with a folder of stand-ins in place of a package index."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from deploy_core.files import sha256
from tests.conftest import PROJECT

VERSIONS = {"torch": "2.12.1", "torchvision": "0.27.1"}
STAMP = ".venv/.installed"


def wheel(folder: Path, name: str, version: str) -> str:
    """Makes an empty package, and returns its hash."""
    about = f"{name}-{version}.dist-info"
    path = folder / f"{name}-{version}-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(f"{about}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
        archive.writestr(f"{about}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        archive.writestr(f"{about}/RECORD", "")
    return sha256(path)


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A checkout that needs torch and torchvision only, and the folder that has their usual builds."""
    shutil.copyfile(PROJECT / "Makefile", tmp_path / "Makefile")
    (tmp_path / "index").mkdir()
    hashes = {f"{name}=={version}": wheel(tmp_path / "index", name, version) for name, version in VERSIONS.items()}
    (tmp_path / "requirements.txt").write_text("".join(f"{wanted}\n" for wanted in hashes))
    (tmp_path / "requirements.lock").write_text(
        "".join(f"{wanted} --hash=sha256:{digest}\n" for wanted, digest in hashes.items())
    )
    return tmp_path


def make(checkout: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PIP_", "UV_", "MAKE"))}
    environment = kept | {
        "PIP_CONFIG_FILE": os.devnull,
        "PIP_NO_INDEX": "1",
        "PIP_FIND_LINKS": str(checkout / "index"),
        "UV_OFFLINE": "1",
    }
    command = ["make", STAMP, f"PYTHON={sys.executable}", *arguments]
    return subprocess.run(command, cwd=checkout, env=environment, capture_output=True, text=True, check=False)


def installed(checkout: Path) -> dict[str, str]:
    python = checkout / ".venv" / "bin" / "python"
    code = f"from importlib.metadata import version\nfor name in {[*VERSIONS]!r}: print(version(name))"
    told = subprocess.run([python, "-c", code], capture_output=True, text=True, check=True).stdout
    return dict(zip(VERSIONS, told.split(), strict=True))


def test_the_build_without_cuda_is_installed_where_an_index_has_it(checkout: Path) -> None:
    for name, version in VERSIONS.items():
        wheel(checkout / "index", name, f"{version}+cpu")
    made = make(checkout, "TORCH=cpu")
    assert made.returncode == 0, made.stdout + made.stderr
    assert installed(checkout) == {name: f"{version}+cpu" for name, version in VERSIONS.items()}


def test_without_it_the_usual_build_is_installed_and_one_line_says_so(checkout: Path) -> None:
    made = make(checkout, "TORCH=cpu")
    assert made.returncode == 0, made.stdout + made.stderr
    assert installed(checkout) == VERSIONS
    assert made.stdout.count("TORCH=cpu: no package index here has PyTorch without CUDA.") == 1
