"""What is installed or run for us is named exactly: by locks with hashes, by digests and by commits."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml  # type: ignore[import-untyped]

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
    """The version of each package in a lock, whose lines are packages with hashes and nothing else."""
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


def test_images_are_named_by_their_digests() -> None:
    images = re.findall("(?m)^FROM (.+)", (PROJECT / "Dockerfile").read_text())
    assert images
    assert [image for image in images if not re.search(r":\d+\.\d+\.\d+-[a-z-]+@sha256:[0-9a-f]{64}\b", image)] == []


def test_actions_are_named_by_their_commits_and_may_only_read() -> None:
    for path in (PROJECT / ".github" / "workflows").iterdir():
        workflow = yaml.safe_load(path.read_text())
        assert workflow["permissions"] == {"contents": "read"}
        used = [step["uses"] for job in workflow["jobs"].values() for step in job["steps"] if "uses" in step]
        assert [action for action in used if not re.fullmatch(r"[\w/-]+@[0-9a-f]{40}", action)] == []


def test_updates_are_asked_for_where_something_is_pinned() -> None:
    updates = yaml.safe_load((PROJECT / ".github" / "dependabot.yml").read_text())["updates"]
    places = {update["package-ecosystem"]: update["directory"] for update in updates}
    assert places == {"pip": "/", "npm": "/device", "docker": "/", "github-actions": "/"}
