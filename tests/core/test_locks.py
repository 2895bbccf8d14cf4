"""The locks say what the requirements say, with a hash for every file, and nothing about where files come from."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

PROJECT = Path(__file__).parents[2]
LOCKS = ("requirements.lock", "requirements-dev.lock")
LOCKED = re.compile(r"([a-z0-9-]+)==([^ ]+)( ; .+?)?( --hash=sha256:[0-9a-f]{64})+")


def written(name: str) -> dict[str, str]:
    """The version of each package that a file of requirements names, or a file that it names."""
    versions: dict[str, str] = {}
    for line in (PROJECT / name).read_text().splitlines():
        if line.startswith("-r "):
            versions |= written(line.removeprefix("-r "))
        elif not line.startswith("#"):
            package, version = line.split("==")
            versions[package.lower().replace("_", "-")] = version
    return versions


def locked(name: str) -> dict[str, str]:
    """The version of each package in a lock, all of whose lines are packages with hashes."""
    lines = re.sub(r" \\\n +", " ", (PROJECT / name).read_text()).splitlines()
    found = {line: LOCKED.fullmatch(line) for line in lines if not line.startswith("#")}
    assert [line for line, match in found.items() if not match] == []
    return {match[1]: match[2] for match in found.values() if match}


@pytest.mark.parametrize("name", LOCKS)
def test_a_lock_has_every_requirement_as_it_is_written(name: str) -> None:
    assert written(name.replace(".lock", ".txt")).items() <= locked(name).items(), "run `make lock`"


@pytest.mark.parametrize("name", LOCKS)
def test_a_lock_names_no_place(name: str) -> None:
    assert not re.search("://|index-url|find-links", (PROJECT / name).read_text())


def test_what_runs_is_what_was_tested() -> None:
    assert locked("requirements.lock").items() <= locked("requirements-dev.lock").items()
