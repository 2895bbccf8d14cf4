from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from deploy_core import files
from deploy_core.errors import StorageFailed


def test_a_file_appears_whole_under_its_own_name(tmp_path: Path) -> None:
    with files.atomic_write(tmp_path / "a.bin") as path:
        assert path.name == "a.bin"
        path.touch(0o600)
        path.write_bytes(b"whole")
        assert not (tmp_path / "a.bin").exists()
    assert (tmp_path / "a.bin").read_bytes() == b"whole"
    (tmp_path / "usual").touch()
    assert (tmp_path / "a.bin").stat().st_mode == (tmp_path / "usual").stat().st_mode
    (tmp_path / "usual").unlink()
    assert [entry.name for entry in tmp_path.iterdir()] == ["a.bin"]


def test_an_error_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    (tmp_path / "a.bin").write_bytes(b"old")

    def write_half() -> None:
        with files.atomic_write(tmp_path / "a.bin") as path:
            path.write_bytes(b"half")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        write_half()
    assert (tmp_path / "a.bin").read_bytes() == b"old"
    assert len(list(tmp_path.iterdir())) == 1


# A limit on the size of files stands in for a full disk: the same OSError path, without a mount of our own.
FULL_DISK = """
import resource, signal, sys
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (2_000_000, resource.RLIM_INFINITY))
from deploy_core.cli.main import main
from deploy_core.inference import verdicts
verdicts.MOST_PICTURES = 2
for formats in ("scripted", "lite"):
    print(main(["build", "--out", f"{sys.argv[1]}/{formats}", "--formats", formats]))
"""


def test_a_full_disk_is_told_and_leaves_nothing_half_written(tmp_path: Path, environment: dict[str, str]) -> None:
    command = [sys.executable, "-c", FULL_DISK, str(tmp_path)]
    finished = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120, check=True)
    assert finished.stdout.split() == ["2", "2"], finished.stderr
    assert finished.stderr.count("may not be as large as this one.") == 2
    assert "Traceback" not in finished.stderr
    for formats in ("scripted", "lite"):
        assert list((tmp_path / formats).iterdir()) == []


def test_too_little_space_is_told_before_anything_is_written(tmp_path: Path) -> None:
    with pytest.raises(StorageFailed, match=r"MB free, and .* MB are needed"):
        files.require_space(tmp_path, 10**18)


def test_a_folder_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StorageFailed, match="cannot be written"):
        files.make_folder(tmp_path / "file" / "below")


def test_sha256_is_the_commands(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"abc")
    assert files.sha256(tmp_path / "a") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"


def test_leftovers_of_a_killed_writer_are_removed(tmp_path: Path) -> None:
    (tmp_path / ".0123.part").mkdir()
    (tmp_path / ".0123.part" / "half.pt").touch()
    (tmp_path / "whole.pt").touch()
    files.remove_leftovers(tmp_path)
    assert [entry.name for entry in tmp_path.iterdir()] == ["whole.pt"]
