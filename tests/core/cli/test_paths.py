"""Paths on the command line, and what happens where an answer or a file cannot be written."""

from __future__ import annotations

import argparse
import os
import resource
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from safetensors.torch import save_file

from deploy_core.cli import main as command_line
from deploy_core.cli import paths
from deploy_core.cli.main import main
from tests.own_model import LABELS, state

pytestmark = pytest.mark.usefixtures("home")
# What takes a text that is no path.
NO_PATHS = {"formats", "engine", "optimize", "normalization", "scheduler", "crop_mode", "pooling", "weights_key"}


def arguments() -> Iterator[tuple[str, argparse.Action]]:
    """Every argument of every command that takes a text."""
    (commands,) = (action for action in command_line._parser()._actions if isinstance(action.choices, dict))
    assert isinstance(commands.choices, dict)
    for name, parser in commands.choices.items():
        for action in parser._actions:
            if action.nargs != 0 and action.type not in (int, float) and "N,N" not in str(action.metavar):
                yield name, action


def test_every_path_has_one_type() -> None:
    found = {(name, action.dest): action.type for name, action in arguments() if action.dest not in NO_PATHS}
    assert len(found) > 20
    assert set(found.values()) == {Path, paths.name_or_path, paths.source}


@pytest.mark.parametrize(("name", "option"), [("bundle", "artifact"), ("build", "out"), ("import", "labels")])
def test_a_home_is_found_and_what_is_no_path_is_refused(name: str, option: str) -> None:
    parser = next(action for command, action in arguments() if (command, action.dest) == (name, option))
    assert parser.type is Path
    words = {"bundle": ["bundle", "~/x"], "build": ["build", "--out", "~/x"], "import": ["import", "c", "--labels=~/x"]}
    options = command_line._parser().parse_args(words[name])
    assert getattr(options, option) == Path.home() / "x"


@pytest.mark.parametrize("text", ["~/x", "~nobody-is-called-this/x"])
def test_names_and_sources_are_expanded_too(text: str) -> None:
    expected = os.path.expanduser(text)  # noqa: PTH111
    assert paths.name_or_path(text) == paths.source(text) == str(paths.path(text)) == expected


@pytest.mark.parametrize("text", ["demo", "./demo", "hf-hub:a/b", "https://x.org//a"])
def test_other_names_stay_as_they_are(text: str) -> None:
    assert paths.name_or_path(text) == paths.source(text) == text


@pytest.mark.parametrize(("text", "words"), [("a\0b", "is no path"), ("caf\udce9", "is not in UTF-8")])
def test_a_path_that_cannot_be_is_one_sentence(text: str, words: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["build", "--out", text]) == 2
    told = capsys.readouterr().err
    assert words in told
    assert told.count("\n") == 1


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    save_file(state(), tmp_path / "pets.safetensors")
    (tmp_path / "labels.txt").write_text("\n".join(LABELS))
    return tmp_path / "pets.safetensors"


def run(environment: dict[str, str], most_bytes: int | None, *words: str) -> subprocess.CompletedProcess[bytes]:
    def limit() -> None:
        if most_bytes is not None:
            resource.setrlimit(resource.RLIMIT_FSIZE, (most_bytes, most_bytes))

    return subprocess.run(
        [sys.executable, "-m", "deploy_core", *words],
        env=os.environ | environment,
        capture_output=True,
        timeout=300,
        check=False,
        preexec_fn=limit,
    )


def test_a_file_that_may_not_be_so_large_is_one_true_sentence(
    checkpoint: Path, environment: dict[str, str], tmp_path: Path
) -> None:
    """The library in Rust that writes it raises an error of its own."""
    done = run(environment, 100_000, "import", str(checkpoint), "--out", str(tmp_path / "out"))
    assert done.returncode == 2
    assert b"may not be as large" in done.stderr
    assert b"Traceback" not in done.stderr
    assert not list((tmp_path / "out").iterdir())


def test_an_answer_that_the_terminal_cannot_show_comes_out(
    checkpoint: Path, environment: dict[str, str], tmp_path: Path
) -> None:
    out = tmp_path / "猫"
    ascii_only = environment | {"PYTHONIOENCODING": "ascii", "PYTHONUTF8": "0"}
    done = run(ascii_only, None, "import", str(checkpoint), "--out", str(out))
    assert done.returncode == 0
    assert b"\\u732b/pets.safetensors: " in done.stdout
    assert (out / "pets.safetensors").is_file()
