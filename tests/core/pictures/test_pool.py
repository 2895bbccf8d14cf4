"""Visitors' pictures are read in processes of their own: a crash is an error for one visitor and nobody else."""

from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import psutil
import pytest
from PIL import Image

from deploy_core import embedded
from deploy_core.errors import DeployError, InvalidPicture
from deploy_core.files import make_folder
from deploy_core.models import load
from deploy_core.pictures import pool
from deploy_core.pictures.pool import AT_ONCE, Decoders
from deploy_core.processes.local import WorkerProcess
from deploy_core.settings import Settings
from deploy_core.types import ModelChoice
from deploy_core.worker.client import Inference
from tests.hostile import crashing_heic, mutated, originals, saved, scan_bomb

PICTURE = (embedded.SAMPLES / "chelsea.png").read_bytes()
HOW = load.find("demo").preprocessing
SECONDS = 1.5
MUTATIONS = 2000
# What a test may add to a deadline, on a machine that is busy. The slow pictures would take far longer.
MORE = 6.0


@pytest.fixture(scope="module")
def hasty() -> Settings:
    return replace(Settings(), picture_seconds=SECONDS, cpu_threads=1)


@pytest.fixture
def reading(hasty: Settings) -> Iterator[Decoders]:
    made = Decoders(hasty)
    made.prepare(PICTURE, HOW)
    yield made
    made.close()


def seconds_of(do: Callable[[], object]) -> float:
    started = time.monotonic()
    do()
    return time.monotonic() - started


def refused(reading: Decoders, data: bytes, words: str) -> float:
    """Seconds until the picture was refused."""

    def refuse() -> None:
        with pytest.raises(InvalidPicture, match=words):
            reading.prepare(data, HOW)

    return seconds_of(refuse)


def test_a_picture_that_crashes_its_process_gives_an_error(reading: Decoders) -> None:
    (before,) = reading.process_ids
    assert refused(reading, crashing_heic(), "failed at this one") < MORE
    assert seconds_of(lambda: reading.prepare(PICTURE, HOW)) < MORE
    assert before not in reading.process_ids


@pytest.mark.parametrize(("number", "words"), [(signal.SIGSTOP, "takes longer"), (signal.SIGKILL, "failed")])
def test_a_process_that_is_hurt_while_it_reads_is_replaced(reading: Decoders, number: int, words: str) -> None:
    (process,) = reading.process_ids
    threading.Timer(0.3, os.kill, [process, number]).start()
    assert refused(reading, scan_bomb(2000, 2000), words) < SECONDS + MORE
    assert seconds_of(lambda: reading.prepare(PICTURE, HOW)) < MORE


def test_a_slow_picture_is_ended_and_holds_up_no_other(reading: Decoders) -> None:
    usual = seconds_of(lambda: reading.prepare(PICTURE, HOW))
    with ThreadPoolExecutor(1) as beside:
        slow = beside.submit(refused, reading, scan_bomb(7900, 1200), "takes longer than 1.5 seconds")
        time.sleep(0.3)
        # The second process must start.
        reading.prepare(PICTURE, HOW)
        others = sorted(seconds_of(lambda: reading.prepare(PICTURE, HOW)) for _ in range(5))
        assert slow.result() < SECONDS + MORE
    assert others[2] < 3 * usual + 0.1


def test_a_process_that_only_waited_is_kept(reading: Decoders) -> None:
    """On a busy machine every picture takes long, and new processes would make it busier."""
    (process,) = reading.process_ids
    os.kill(process, signal.SIGSTOP)
    threading.Timer(1.2, os.kill, [process, signal.SIGCONT]).start()
    assert seconds_of(lambda: reading.prepare(PICTURE, HOW)) > 1
    assert reading.process_ids == (process,)


def test_a_process_that_computed_long_is_replaced(reading: Decoders, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pool, "SLOW_CPU_SECONDS", 0.05)
    monkeypatch.setattr(pool, "LOOK_SECONDS", 0.01)
    (process,) = reading.process_ids
    reading.prepare(saved(Image.new("RGB", (4000, 3000)), "PNG"), HOW)
    assert process not in reading.process_ids
    assert len(reading.process_ids) == 1


def test_while_every_process_is_busy_a_picture_waits_for_one_deadline_at_most(reading: Decoders) -> None:
    bomb = scan_bomb(2000, 2000)
    with ThreadPoolExecutor(AT_ONCE) as beside:
        slow = [beside.submit(refused, reading, bomb, "takes longer") for _ in range(AT_ONCE)]
        time.sleep(0.5)
        assert seconds_of(lambda: reading.prepare(PICTURE, HOW)) < SECONDS + 2 * MORE
        assert max(one.result() for one in slow) < SECONDS + 2 * MORE


def test_large_pictures_are_read_one_at_a_time(reading: Decoders) -> None:
    bomb = scan_bomb(4800, 2000)
    with ThreadPoolExecutor(2) as beside:
        both = [beside.submit(refused, reading, bomb, "takes longer") for _ in range(2)]
        first, second = sorted(one.result() for one in both)
    assert SECONDS <= first < SECONDS + MORE
    # It waited for the first, and its own time began afterwards.
    assert 2 * SECONDS - 0.1 <= second < 2 * (SECONDS + MORE)
    reading.prepare(saved(Image.new("RGB", (4800, 3600)), "JPEG"), HOW)


def test_the_process_is_bounded_and_bare(hasty: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    reading = Decoders(replace(hasty, picture_pixels=5_000_000))
    try:
        reading.prepare(PICTURE, HOW)
        (process,) = reading.process_ids
        limits = (Path("/proc") / str(process) / "limits").read_text()
        bounds = {line[:26].strip(): line.split()[-3] for line in limits.splitlines()[1:]}
        assert int(bounds["Max address space"]) == 1_000_000_000 + 16 * 5_000_000
        assert bounds["Max core file size"] == "0"
        assert b"hf_secret" not in (Path("/proc") / str(process) / "environ").read_bytes()
        loaded = (Path("/proc") / str(process) / "maps").read_text()
        assert "libtorch" not in loaded
    finally:
        reading.close()


def test_a_mutated_picture_of_any_kind_ends_no_process_that_serves_others(
    hasty: Settings, pets: Path, tmp_path: Path
) -> None:
    """With the requests of a page. ``benchmarks.hostile`` does the same with 10,000 pictures."""
    settings = replace(hasty, home=tmp_path, picture_pixels=1_000_000)
    # A small model, in a visitor's folder: the process opens no other file.
    model = make_folder(tmp_path / "visitors" / ("a" * 32)) / pets.name
    shutil.copyfile(pets, model)
    asked = ModelChoice(str(model), "pretrained")
    reading, kinds = Decoders(settings), originals()
    process = WorkerProcess("inference process", settings)
    inference = Inference(process, reading, seconds=settings.answer_seconds)
    inference.classify(asked, PICTURE, "a cat")
    serving = process.process_id
    chance, names = random.Random(7), list(kinds)
    outcomes: dict[str, set[str]] = {name: set() for name in names}
    pictures = [
        (name, mutated(kinds[name], kinds[chance.choice(names)], chance))
        for name in (names[turn % len(names)] for turn in range(MUTATIONS))
    ]

    def ask(picture: tuple[str, bytes]) -> None:
        name, data = picture
        started = time.monotonic()
        refusal = None
        try:
            inference.classify(asked, data, name)
        except InvalidPicture as error:
            refusal = error
        assert refusal is None or (refusal.problem.endswith(".") and refusal.remedy.endswith("."))
        outcomes[name].add("refused" if refusal else "picture")
        assert time.monotonic() - started < SECONDS + MORE

    try:
        with ThreadPoolExecutor(2) as together:
            for _ in together.map(ask, pictures):
                pass
        assert process.process_id == serving
        held = [psutil.Process(one).memory_info().rss for one in reading.process_ids]
        assert max(held) < 200e6
        # Which mutated pictures still open depends on the bytes of the originals, and those on the processor that
        # compresses them.
        assert all("refused" in found for found in outcomes.values()), outcomes
        assert any("picture" in found for found in outcomes.values()), outcomes
        for name, data in kinds.items():
            inference.classify(asked, data, name)
        assert process.process_id == serving
    finally:
        inference.close()
        reading.close()


def test_the_command_line_has_one_line_for_it(environment: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "bad.heic").write_bytes(crashing_heic())
    command = [sys.executable, "-m", "deploy_core", "classify", str(tmp_path / "bad.heic")]
    found = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert (found.returncode, found.stdout) == (2, "")
    *progress, line = found.stderr.splitlines()
    assert line.startswith("deploy_core: The program that reads pictures failed at this one.")
    assert not [other for other in progress if not other.startswith(("[", "WARNING"))]


def test_what_it_gives_is_what_decoding_here_gives(reading: Decoders) -> None:
    from deploy_core.pictures import decode, preprocess

    here = preprocess.preprocess(decode.decode(PICTURE, Settings(), preprocess.enough_for(HOW)), HOW)
    assert reading.prepare(PICTURE, HOW).input == here.astype("<f4").tobytes()
    looks = reading.looks(PICTURE, HOW, [[0.1, 0.9], [0.5, 0.5]], 0.5, 100)
    assert looks.size == (200, 133)
    for data in (looks.framed, looks.input, looks.heat, reading.small(PICTURE, 50), reading.square(PICTURE, 40)):
        assert data[:3] == b"\xff\xd8\xff"


def test_a_picture_is_refused_before_anything_reads_it() -> None:
    unused = Decoders(replace(Settings(), picture_bytes=10))
    with pytest.raises(DeployError, match="larger than"):
        unused.prepare(PICTURE, HOW)
    assert unused.process_ids == ()
