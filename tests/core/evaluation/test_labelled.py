from __future__ import annotations

import bz2
import dataclasses
import gzip
import io
import lzma
import os
import random
import shutil
import stat
import struct
import tarfile
import tracemalloc
import unicodedata
import zipfile
import zlib
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import pi_heif
import pytest
from PIL import Image

from deploy_core.errors import InvalidPictureSet
from deploy_core.evaluation import archives, folders, labelled, members
from deploy_core.evaluation.class_names import ClassNames
from deploy_core.evaluation.labelled import Entry, LabelledSet
from deploy_core.models import load
from deploy_core.pictures import formats
from deploy_core.settings import Settings

SETTINGS = Settings(picture_bytes=10_000)
TREE = {"cat/1.jpg": b"one", "cat/2.PNG": b"two", "dog/deep/3.webp": b"three", "dog/notes.txt": b"not counted out"}
KINDS = ["folder", "tar", "tar.gz", "tar.bz2", "tar.xz", "zip"]
PACKERS: Mapping[str, Callable[[bytes], bytes]] = {
    "tar": bytes,
    "tar.gz": gzip.compress,
    "tar.bz2": bz2.compress,
    "tar.xz": lzma.compress,
}

Tree = Mapping[str, bytes]


def is_animal(name: str) -> bool:
    return name in ("cat", "dog", "bird")


def opened(path: Path, settings: Settings = SETTINGS) -> LabelledSet:
    return labelled.open_set(path, settings, is_animal)


def read(pictures: LabelledSet) -> dict[str, bytes | None]:
    return {entry.name: data for entry, data in pictures.pictures()}


def member(name: str, data: bytes = b"", **fields: object) -> tuple[tarfile.TarInfo, bytes]:
    info = tarfile.TarInfo(name)
    info.size = len(data)
    for key, value in fields.items():
        setattr(info, key, value)
    return info, data


def tarred(*members: tuple[tarfile.TarInfo, bytes]) -> bytes:
    """A tar with these headers and data, even if they do not match."""
    blocks = b"".join(
        info.tobuf(tarfile.GNU_FORMAT, "utf-8", "surrogateescape") + data + bytes(-len(data) % 512)
        for info, data in members
    )
    return blocks + bytes(1024)


class Sparse(tarfile.TarInfo):
    """A sparse file that unpacks to ``real_size`` bytes."""

    real_size = 0

    def tobuf(self, *args: Any, **options: Any) -> bytes:
        header = bytearray(super().tobuf(*args, **options))
        header[483:495] = b"%011o\0" % self.real_size
        header[148:156] = b" " * 8
        header[148:156] = b"%06o\0 " % sum(header)
        return bytes(header)


def sparse(name: str, real_size: int, size: int = 0) -> tuple[tarfile.TarInfo, bytes]:
    info = Sparse(name)
    info.type, info.size, info.real_size = tarfile.GNUTYPE_SPARSE, size, real_size
    return info, b""


def folder(name: str) -> tuple[tarfile.TarInfo, bytes]:
    return member(name, type=tarfile.DIRTYPE)


def zipped(tree: Tree, method: int = zipfile.ZIP_DEFLATED) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", method) as archive:
        for name, data in tree.items():
            archive.writestr(name, data)
    return file.getvalue()


def make(kind: str, tree: Tree, path: Path) -> Path:
    """A set with these files; a name that ends in a slash is an empty folder."""
    if kind == "folder":
        for name, data in tree.items():
            (path / name).parent.mkdir(parents=True, exist_ok=True)
            if name.endswith("/"):
                (path / name).mkdir(exist_ok=True)
            else:
                (path / name).write_bytes(data)
    elif kind == "zip":
        path.write_bytes(zipped(tree))
    else:
        members = [folder(name[:-1]) if name.endswith("/") else member(name, data) for name, data in tree.items()]
        path.write_bytes(PACKERS[kind](tarred(*members)))
    return path


def refused(path: Path, words: str) -> None:
    with pytest.raises(InvalidPictureSet, match=words) as caught:
        opened(path)
    assert caught.value.remedy


def refused_with_little_memory(path: Path, words: str) -> None:
    tracemalloc.start()
    try:
        refused(path, words)
        assert tracemalloc.get_traced_memory()[1] < 4_000_000
    finally:
        tracemalloc.stop()


# Reading a set


@pytest.mark.parametrize("kind", KINDS)
def test_a_set_is_read_from_a_folder_or_an_archive(kind: str, tmp_path: Path) -> None:
    pictures = opened(make(kind, TREE, tmp_path / "set"))
    assert pictures.classes == ("cat", "dog")
    assert pictures.entries == (Entry("cat/1.jpg", "cat"), Entry("cat/2.PNG", "cat"), Entry("dog/deep/3.webp", "dog"))
    assert pictures.ignored == 1
    expected = [(entry, TREE[entry.name]) for entry in pictures.entries]
    assert list(pictures.pictures()) == expected
    assert list(pictures.pictures()) == expected


@pytest.mark.parametrize("kind", ["tar", "zip"])
def test_an_archive_keeps_its_order_and_a_folder_is_sorted(kind: str, tmp_path: Path) -> None:
    tree = {"dog/2.jpg": b"", "cat/1.jpg": b"", "dog/1.jpg": b""}
    pictures = opened(make(kind, tree, tmp_path / "archive"))
    assert [entry.name for entry in pictures.entries] == list(tree) == list(read(pictures))
    pictures = opened(make("folder", tree, tmp_path / "folder"))
    assert [entry.name for entry in pictures.entries] == sorted(tree) == list(read(pictures))


@pytest.mark.parametrize("suffix", sorted(formats.SUFFIXES))
def test_a_picture_is_known_by_its_suffix_in_either_case(suffix: str, tmp_path: Path) -> None:
    tree = {f"cat/1{suffix}": b"", f"cat/2{suffix.upper()}": b"", f"cat/3{suffix}.txt": b"", f"cat/{suffix[1:]}": b""}
    pictures = opened(make("tar", tree, tmp_path / "set"))
    assert (len(pictures.entries), pictures.ignored) == (2, 2)
    pi_heif.register_heif_opener()
    assert Image.registered_extensions()[suffix] in {row.pillow for row in formats.PICTURE_FORMATS}


@pytest.mark.parametrize(
    ("pictures", "classes"),
    [
        (("1/cat/1.jpg", "1/dog/1.jpg"), ("cat", "dog")),
        (("1/cat/1.jpg",), ("cat",)),
        (("v/1/cat/1.jpg",), ("cat",)),
        (("1/2/1.jpg", "1/3/1.jpg"), ("1",)),
        (("cat/1/1.jpg", "cat/2/1.jpg"), ("cat",)),
        (("1/1.jpg", "1/cat/1.jpg"), ("1",)),
        (("1/cat/1.jpg", "1/walrus/1.jpg"), ("1",)),
    ],
)
def test_a_number_around_class_folders_is_a_version(
    pictures: tuple[str, ...], classes: tuple[str, ...], tmp_path: Path
) -> None:
    """Otherwise it would be the class with that index, and no answer would be right."""
    known = ("1", "2", "3", "cat", "dog")
    path = make("folder", dict.fromkeys(pictures, b""), tmp_path / "set")
    assert labelled.open_set(path, Settings(), known.__contains__).classes == classes


def test_a_fingerprint_changes_with_every_picture(tmp_path: Path) -> None:
    path = make("folder", {"cat/1.jpg": b"", "dog/1.jpg": b""}, tmp_path / "set")
    before = labelled.fingerprint(path)
    assert labelled.fingerprint(path) == before
    (path / "dog" / "2.jpg").write_bytes(b"")
    added = labelled.fingerprint(path)
    (path / "dog" / "2.jpg").unlink()
    assert len({before, added, labelled.fingerprint(path)}) == 3


@pytest.mark.parametrize("kind", KINDS)
def test_hidden_files_are_left_out_and_not_counted(kind: str, tmp_path: Path) -> None:
    hidden = {".DS_Store": b"", ".git/cat/1.jpg": b"", "cat/.1.jpg": b"", "__MACOSX/cat/1.jpg": b"", ".empty/": b""}
    hidden |= {"@eaDir/1.jpg/SYNOPHOTO_THUMB_XL.jpg": b"", "cat/@eaDir/1.jpg/SYNOPHOTO_THUMB_M.jpg": b""}
    hidden |= {"lost+found/": b"", "__pycache__/a.jpg": b"", "$RECYCLE.BIN/1.jpg": b""}
    pictures = opened(make(kind, {**TREE, **hidden}, tmp_path / "set"))
    assert (pictures.classes, len(pictures.entries), pictures.ignored) == (("cat", "dog"), 3, 1)


@pytest.mark.parametrize("name", ["set.zip", "set.tar", "set"])
@pytest.mark.parametrize("kind", ["tar.gz", "tar", "zip"])
def test_an_archive_is_known_by_its_content(kind: str, name: str, tmp_path: Path) -> None:
    assert len(opened(make(kind, TREE, tmp_path / name)).entries) == 3


def test_archives_in_a_set_are_only_files(tmp_path: Path) -> None:
    pictures = opened(make("zip", {"cat/1.jpg": b"", "cat/more.zip": zipped(TREE)}, tmp_path / "set"))
    assert (len(pictures.entries), pictures.ignored) == (1, 1)


# Which folder is the class


@pytest.mark.parametrize("kind", ["folder", "tar", "zip"])
@pytest.mark.parametrize(
    ("names", "classes", "labels"),
    [
        (["test/cat/1.jpg", "test/dog/1.jpg"], ["cat", "dog"], ["cat", "dog"]),
        (["a/b/cat/1.jpg", "a/b/dog/x/1.jpg"], ["cat", "dog"], ["cat", "dog"]),
        (["test/cat/1.jpg"], ["cat"], ["cat"]),
        (["cat/1.jpg"], ["cat"], ["cat"]),
        (["cat/batch/1.jpg"], ["cat"], ["cat"]),
        (["unknown/1.jpg"], ["unknown"], ["unknown"]),
        (["test/unknown/1.jpg"], ["unknown"], ["unknown"]),
        (["unknown/1.jpg", "other/1.jpg"], ["other", "unknown"], ["other", "unknown"]),
        (["cat/1.jpg", "cat/deep/1.jpg"], ["cat"], ["cat", "cat"]),
        (["cat/1.jpg", "dog/", "bird/"], ["bird", "cat", "dog"], ["cat"]),
        (["test/cat/1.jpg", "test/dog/", "train/bird/"], ["cat", "dog"], ["cat"]),
        (["set/images/cat/1.jpg", "set/images/dog/1.jpg", "set/readme.txt"], ["cat", "dog"], ["cat", "dog"]),
    ],
)
def test_the_label_is_the_first_folder_that_is_no_wrapper(
    kind: str, names: list[str], classes: list[str], labels: list[str], tmp_path: Path
) -> None:
    pictures = opened(make(kind, dict.fromkeys(names, b""), tmp_path / "set"))
    assert list(pictures.classes) == classes
    assert sorted(entry.label for entry in pictures.entries) == labels
    assert {entry.name for entry in pictures.entries} == {name for name in names if name.endswith(".jpg")}


@pytest.mark.parametrize("kind", ["folder", "tar", "zip"])
@pytest.mark.parametrize(
    ("names", "words"),
    [
        (["1.jpg"], "'1.jpg' lies in no class folder.*cat/1.jpg"),
        (["cat/1.jpg", "2.jpg"], "'2.jpg' lies in no class folder"),
        (["test/cat/1.jpg", "test/2.jpg"], "'test/2.jpg' lies in no class folder"),
        (["cat/1.txt"], "no pictures"),
        (["cat/"], "no pictures"),
        ([".cat/1.jpg"], "no pictures"),
    ],
)
def test_a_set_without_pictures_in_class_folders_is_refused(
    kind: str, names: list[str], words: str, tmp_path: Path
) -> None:
    refused(make(kind, dict.fromkeys(names, b""), tmp_path / "set"), words)


def test_what_is_no_set_is_refused(tmp_path: Path) -> None:
    text, pipe = tmp_path / "text", tmp_path / "pipe"
    text.write_text("cat/1.jpg " * 200)
    (tmp_path / "nothing").touch()
    (tmp_path / "packed").write_bytes(gzip.compress(text.read_bytes()))
    os.mkfifo(pipe)
    refused(text, "neither a folder nor a tar or zip")
    refused(tmp_path / "nothing", "neither a folder nor a tar or zip")
    refused(tmp_path / "packed", "neither a folder nor a tar or zip")
    refused(pipe, "neither a folder nor a regular file")
    refused(tmp_path / "none", "no file or folder")
    refused(Path("nul\0byte"), "no file or folder")
    refused(Path("x" * 5000), "cannot be read")


# Names


@pytest.mark.parametrize("kind", KINDS)
def test_unknown_folders_without_pictures_are_no_classes(kind: str, tmp_path: Path) -> None:
    tree = {**TREE, "logs/train.txt": b"", "runs/": b"", "bird/": b""}
    pictures = opened(make(kind, tree, tmp_path / "set"))
    assert pictures.classes == ("bird", "cat", "dog")


@pytest.mark.parametrize("kind", KINDS)
def test_macos_and_others_compose_the_same_class_differently(kind: str, tmp_path: Path) -> None:
    one, other = (unicodedata.normalize(form, "café") for form in ("NFD", "NFC"))
    pictures = opened(make(kind, {f"{one}/1.jpg": b"one", f"{other}/2.jpg": b"two"}, tmp_path / "set"))
    assert pictures.classes == (other,)
    assert {entry.label for entry in pictures.entries} == {other}
    assert read(pictures) == {f"{one}/1.jpg": b"one", f"{other}/2.jpg": b"two"}


REPORTED = Path(__file__).parent / "reported"


@pytest.mark.parametrize(
    ("name", "classes"),
    [
        ("nfd.zip", ("café",)),
        ("nfd.tar", ("café",)),
        ("utf8noflag.zip", ("café", "猫猫")),
        ("ps.zip", ("café", "猫")),
    ],
)
def test_reported_archives_are_read(name: str, classes: tuple[str, ...]) -> None:
    pictures = labelled.open_set(REPORTED / name, Settings(), lambda _: False)
    assert pictures.classes == classes
    assert all(data and data.startswith(b"\x89PNG") for data in read(pictures).values())


def test_names_in_an_unknown_encoding_are_told_as_that() -> None:
    refused(REPORTED / "latin1.zip", "a name in an unknown encoding.*UTF-8")


def test_a_name_that_is_utf_8_by_chance_is_told_as_that() -> None:
    """GBK's bytes of four cats are UTF-8 for four letters with an accent."""
    names = ClassNames(load.find("demo"))
    pictures = labelled.open_set(REPORTED / "gbk.zip", Settings(), names.knows)
    with pytest.raises(InvalidPictureSet, match="no class 'èèèè'.*its encoding is unknown.*UTF-8"):
        names.indices(pictures.classes)


def test_a_zip_may_hold_the_name_in_a_field_of_its_own(tmp_path: Path) -> None:
    """As WinRAR and 7-Zip write it, beside a name in the encoding of their system."""
    info = zipfile.ZipInfo("caf?/1.jpg")
    name = "café/1.jpg".encode()
    info.extra = struct.pack("<HHBI", 0x7075, 5 + len(name), 1, zlib.crc32(b"caf\xe9/1.jpg")) + name
    with zipfile.ZipFile(tmp_path / "made", "w") as archive:
        archive.writestr(info, b"one")
    data = (tmp_path / "made").read_bytes()
    (tmp_path / "set").write_bytes(data.replace(b"caf?/1.jpg", b"caf\xe9/1.jpg"))
    assert opened(tmp_path / "set").classes == ("café",)
    (tmp_path / "other").write_bytes(data.replace(b"caf?/1.jpg", b"caf\xe8/1.jpg"))
    refused(tmp_path / "other", "unknown encoding")


# Hostile archives


def tar_of(*members: tuple[tarfile.TarInfo, bytes]) -> bytes:
    return tarred(member("cat/1.jpg", b"one"), *members, member("dog/1.jpg", b"two"))


HOSTILE_NAMES = {
    "/etc/1.jpg": "not relative",
    "../cat/1.jpg": "leads out",
    "cat/../../1.jpg": "leads out",
    "cat/..": "leads out",
    "C:/cat/1.jpg": "not relative",
    "c:1.jpg": "not relative",
    "cat\\1.jpg": "not relative",
    "..\\1.jpg": "not relative",
    "..\\..\\cat\\1.jpg": "not relative",
    "\\\\server\\cat\\1.jpg": "not relative",
    "./cat//1.jpg": "more than once",
    "cat/1.jpg": "more than once",
}
HOSTILE_IN_ZIPS = {"cat\\1.jpg": "more than once", "..\\1.jpg": "leads out", "..\\..\\cat\\1.jpg": "leads out"}


@pytest.mark.parametrize("name", HOSTILE_NAMES)
def test_hostile_names_are_refused(name: str, tmp_path: Path) -> None:
    """In a zip a backslash separates folders, because Windows writes it so."""
    (tmp_path / "tar").write_bytes(tar_of(member(name)))
    refused(tmp_path / "tar", HOSTILE_NAMES[name])
    with zipfile.ZipFile(tmp_path / "zip", "w") as archive:
        archive.writestr("cat/1.jpg", b"one")
        if name == "cat/1.jpg":
            with pytest.warns(UserWarning, match="Duplicate"):
                archive.writestr(name, b"")
        else:
            archive.writestr(name, b"")
    refused(tmp_path / "zip", (HOSTILE_NAMES | HOSTILE_IN_ZIPS)[name])


@pytest.mark.parametrize(
    ("type_", "link"),
    [
        (tarfile.SYMTYPE, "../../etc/passwd"),
        (tarfile.LNKTYPE, "cat/1.jpg"),
        (tarfile.FIFOTYPE, ""),
        (tarfile.CHRTYPE, ""),
        (tarfile.BLKTYPE, ""),
        (b"V", ""),
    ],
)
@pytest.mark.parametrize("name", ["cat/2.jpg", ".hidden"])
def test_links_and_devices_in_a_tar_are_refused(type_: bytes, link: str, name: str, tmp_path: Path) -> None:
    (tmp_path / "set").write_bytes(tar_of(member(name, type=type_, linkname=link)))
    refused(tmp_path / "set", f"'{name}' as a link, a device")


@pytest.mark.parametrize("kind", [stat.S_IFLNK, stat.S_IFIFO, stat.S_IFCHR, stat.S_IFBLK, stat.S_IFSOCK, stat.S_IFDIR])
def test_links_and_devices_in_a_zip_are_refused(kind: int, tmp_path: Path) -> None:
    info = zipfile.ZipInfo("cat/2.jpg")
    info.external_attr = (kind | 0o644) << 16
    with zipfile.ZipFile(tmp_path / "set", "w") as archive:
        archive.writestr("cat/1.jpg", b"one")
        archive.writestr(info, b"/etc/passwd")
    refused(tmp_path / "set", "'cat/2.jpg' as a link, a device")


def central(data: bytes, offset: int, form: str, value: int) -> bytes:
    """The zip with one field of its first entry in the central directory changed."""
    changed = bytearray(data)
    struct.pack_into(form, changed, data.index(b"PK\x01\x02") + offset, value)
    return bytes(changed)


GOOD_ZIP = zipped({"cat/1.jpg": b"one" * 100, "dog/1.jpg": b"two" * 100})


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (central(GOOD_ZIP, 8, "<H", 0x1), "encrypted"),
        (central(GOOD_ZIP, 8, "<H", 0x40), "encrypted"),
        (central(GOOD_ZIP, 8, "<H", 0x20), "other than deflate"),
        (central(GOOD_ZIP, 10, "<H", 9), "other than deflate"),
        (zipped(TREE, zipfile.ZIP_BZIP2), "other than deflate"),
        (zipped(TREE, zipfile.ZIP_LZMA), "other than deflate"),
        (central(GOOD_ZIP, 6, "<H", 99), "damaged"),
        (central(GOOD_ZIP, 20, "<I", 5000), "where another entry lies"),
        (central(GOOD_ZIP, 42, "<I", 3), "damaged"),
        (central(GOOD_ZIP, 24, "<I", 4_000_000_000), "unpack to more than"),
        (GOOD_ZIP.replace(b"cat/1.jpg", b"cat/9.jpg", 1), "damaged"),
        (GOOD_ZIP.replace(b"cat/1.jpg", b"cat\0.jpgx"), "no text"),
        (central(GOOD_ZIP, 8, "<H", 0x800).replace(b"cat/1.jpg", b"cat/\xff.jpg"), "an unknown encoding"),
        (GOOD_ZIP[:-30], "damaged"),
        (GOOD_ZIP[: len(GOOD_ZIP) // 2], "damaged"),
        (GOOD_ZIP[50:], "neither a folder nor"),
        (b"PK\x03\x04" + bytes(600), "damaged"),
    ],
)
def test_zips_that_lie_or_are_damaged_are_refused(data: bytes, words: str, tmp_path: Path) -> None:
    (tmp_path / "set").write_bytes(data)
    refused(tmp_path / "set", words)


def test_entries_of_a_zip_that_share_their_bytes_are_refused(tmp_path: Path) -> None:
    data = zipped({"cat/1.jpg": b"same"})
    start = data.index(b"PK\x01\x02")
    end = data.index(b"PK\x05\x06")
    entry = data[start:end]
    tail = bytearray(data[end:])
    struct.pack_into("<HHI", tail, 8, 2, 2, 2 * len(entry))
    (tmp_path / "set").write_bytes(data[:start] + entry + entry + tail)
    refused(tmp_path / "set", "'cat/1.jpg' where another entry lies")


GOOD_TAR = tar_of()


@pytest.mark.parametrize("kind", PACKERS)
@pytest.mark.parametrize(
    ("data", "words"),
    [
        (GOOD_TAR[:-1024], "damaged"),
        (GOOD_TAR[:1300], "damaged"),
        (GOOD_TAR[:520], "damaged"),
        (GOOD_TAR[:300], "neither"),
        (GOOD_TAR[:1024] + b"x" + GOOD_TAR[1025:], "damaged"),
        (tar_of(member("cat/\udcff.jpg")), "an unknown encoding"),
        (tar_of(member("cat/2.jpg", size=9 * 10**7)), "damaged"),
        (tar_of(member("cat/2.jpg", size=10**12)), "unpack to more than"),
        (tar_of(member("cat/2.jpg", size=-600)), "a size that is not its own"),
        (tar_of(sparse("cat/2.jpg", 5, size=-600)), "damaged"),
        (tar_of(member("cat/2.jpg", size=-5)), "a size that is not its own"),
        (tar_of(member("x", type=tarfile.XHDTYPE, size=10**7)), "damaged"),
        (tar_of(member("x", type=tarfile.XHDTYPE, size=-600)), "damaged"),
        (tar_of(member("x", type=tarfile.GNUTYPE_LONGNAME, size=10**7)), "damaged"),
        (tar_of(member("x", b"12 size=900\n", type=tarfile.XGLTYPE)), "a size that is not its own"),
        (tar_of(member("x", b"17 path=cat/\0.jpg\n", type=tarfile.XHDTYPE)), "no text"),
        (tar_of(*[member("x", b"9 a=bcde\n", type=tarfile.XHDTYPE)] * 1200), "damaged"),
    ],
)
def test_tars_that_lie_or_are_damaged_are_refused(kind: str, data: bytes, words: str, tmp_path: Path) -> None:
    (tmp_path / "set").write_bytes(PACKERS[kind](data))
    refused(tmp_path / "set", words)


@pytest.mark.parametrize("kind", ["tar.gz", "tar.bz2", "tar.xz"])
@pytest.mark.parametrize("cut", [1, 8, 40])
def test_a_compressed_tar_that_is_cut_off_is_refused(kind: str, cut: int, tmp_path: Path) -> None:
    path = make(kind, TREE, tmp_path / "set")
    path.write_bytes(path.read_bytes()[:-cut])
    refused(path, "damaged|neither")


def test_a_wrong_checksum_behind_a_compressed_tar_is_seen(tmp_path: Path) -> None:
    path = make("tar.gz", TREE, tmp_path / "set")
    data = bytearray(path.read_bytes())
    data[-8] ^= 1
    path.write_bytes(data)
    refused(path, "damaged")


def test_an_xz_file_may_hold_several_streams(tmp_path: Path) -> None:
    data = tarred(*(member(name, content) for name, content in TREE.items()))
    (tmp_path / "set").write_bytes(lzma.compress(data[:700]) + bytes(8) + lzma.compress(data[700:]) + bytes(4))
    assert read(opened(tmp_path / "set"))["cat/1.jpg"] == b"one"


def test_mutated_archives_give_a_set_or_are_refused(tmp_path: Path) -> None:
    chance = random.Random(7)
    path = tmp_path / "set"
    seeds = [make(kind, TREE, path).read_bytes() for kind in KINDS if kind != "folder"]
    results = set()
    for turn in range(250):
        data = bytearray(seeds[turn % len(seeds)])
        for _ in range(chance.choice((1, 2, 8))):
            data[chance.randrange(len(data) if chance.random() < 0.5 else min(len(data), 200))] = chance.randrange(256)
        path.write_bytes(data)
        try:
            results.add(len(read(opened(path))))
        except InvalidPictureSet:
            results.add(-1)
    assert {-1, 3} <= results


# Bombs


def bomb(path: Path, pack: Callable[[io.BufferedWriter], io.BufferedIOBase], header: bytes) -> Path:
    with path.open("wb") as file, pack(file) as packed:
        packed.write(header)
        for _ in range(300):
            packed.write(bytes(100_000))
    return path


@pytest.mark.parametrize(
    "header", [b"", tarred(member("cat/1.jpg")), tarred(member("cat/1.jpg", size=30_000_000))[:512]], ids=len
)
@pytest.mark.parametrize(
    "pack",
    [
        partial(lzma.LZMAFile, mode="w", preset=0),
        lambda file: gzip.GzipFile(fileobj=file, mode="w"),
        partial(bz2.BZ2File, mode="w", compresslevel=1),
    ],
    ids=["xz", "gz", "bz2"],
)
def test_a_compressed_bomb_is_refused_early(
    pack: Callable[[io.BufferedWriter], io.BufferedIOBase],
    header: bytes,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    path = bomb(tmp_path / "set", pack, header)
    monkeypatch.setattr(members, "UNPACKED_BYTES", 2_000_000)
    monkeypatch.setattr(members, "UNPACKED_RATIO", 10)
    refused_with_little_memory(path, "unpack to more than")


def test_an_archive_of_nothing_but_headers_is_refused_early(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "set"
    path.write_bytes(gzip.compress(tarred(member("cat/1.jpg"), *[folder("cat")] * 3000)))
    monkeypatch.setattr(members, "UNPACKED_BYTES", 1_000_000)
    monkeypatch.setattr(members, "UNPACKED_RATIO", 10)
    refused(path, "unpack to more than")


@pytest.mark.parametrize("size", [20_000_000, -600])
def test_a_long_header_is_not_read(size: int, tmp_path: Path) -> None:
    header = tarred(member("x", type=tarfile.XHDTYPE, size=size))[:512]
    refused_with_little_memory(bomb(tmp_path / "set", partial(lzma.LZMAFile, mode="w", preset=0), header), "damaged")


def test_many_headers_for_one_file_are_not_read(tmp_path: Path) -> None:
    (tmp_path / "set").write_bytes(tar_of(*[member("x", bytes(500_000), type=tarfile.XHDTYPE)] * 20))
    refused_with_little_memory(tmp_path / "set", "damaged")


def test_an_xz_file_that_wants_much_memory_is_refused(tmp_path: Path) -> None:
    path = make("tar.xz", TREE, tmp_path / "set")
    assert opened(path)
    huge = [{"id": lzma.FILTER_LZMA2, "preset": 0, "dict_size": archives.XZ_MEMORY}]
    path.write_bytes(lzma.compress(tarred(member("cat/1.jpg")), filters=huge))
    refused(path, "damaged|neither")


def test_a_zip_of_much_more_than_its_size_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = make("zip", {"cat/1.jpg": bytes(300_000), "cat/zeros": bytes(300_000)}, tmp_path / "set")
    assert len(opened(path).entries) == 1
    monkeypatch.setattr(members, "UNPACKED_BYTES", 500_000)
    refused(path, "unpack to more than")
    monkeypatch.setattr(members, "UNPACKED_RATIO", 10_000)
    assert len(opened(path).entries) == 1


def test_the_names_of_a_plain_tar_are_listed_without_reading_the_pictures(tmp_path: Path) -> None:
    path = tmp_path / "set"
    hole = 3_000_000_000
    with path.open("wb") as file:
        file.write(tarred(member("cat/big.jpg", size=hole))[:512])
        file.seek(hole - hole % -512, os.SEEK_CUR)
        file.write(tarred(member("cat/small.jpg", b"small")))
    assert read(opened(path)) == {"cat/big.jpg": None, "cat/small.jpg": b"small"}


@pytest.mark.parametrize("real_size", [5, 8_000_000_000])
def test_a_sparse_file_in_a_tar_is_unreadable(real_size: int, tmp_path: Path) -> None:
    (tmp_path / "set").write_bytes(tarred(sparse("cat/2.jpg", real_size), member("cat/1.jpg", b"one")))
    assert read(opened(tmp_path / "set")) == {"cat/2.jpg": None, "cat/1.jpg": b"one"}


# Pictures that cannot be read


@pytest.mark.parametrize("kind", KINDS)
def test_a_picture_above_the_limit_is_unreadable(kind: str, tmp_path: Path) -> None:
    tree = {"cat/1.jpg": bytes(1001), "cat/2.jpg": bytes(1000), "cat/3.jpg": b""}
    pictures = opened(make(kind, tree, tmp_path / "set"), Settings(picture_bytes=1000))
    assert read(pictures) == {"cat/1.jpg": None, "cat/2.jpg": bytes(1000), "cat/3.jpg": b""}


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
@pytest.mark.parametrize("size", [1, 299, 301, 9_000])
def test_a_picture_of_another_size_than_its_zip_says_is_unreadable(method: int, size: int, tmp_path: Path) -> None:
    data = zipped({"cat/1.jpg": b"one" * 100, "dog/1.jpg": b"two"}, method)
    (tmp_path / "set").write_bytes(central(data, 24, "<I", size))
    assert read(opened(tmp_path / "set")) == {"cat/1.jpg": None, "dog/1.jpg": b"two"}


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_a_damaged_picture_in_a_zip_is_unreadable(method: int, tmp_path: Path) -> None:
    data = bytearray(zipped({"cat/1.jpg": b"one" * 100, "dog/1.jpg": b"two"}, method))
    data[40] ^= 0xFF
    (tmp_path / "set").write_bytes(data)
    assert read(opened(tmp_path / "set")) == {"cat/1.jpg": None, "dog/1.jpg": b"two"}


@pytest.mark.parametrize("kind", ["tar", "tar.xz", "zip"])
def test_an_archive_that_has_changed_is_refused(kind: str, tmp_path: Path) -> None:
    path = make(kind, TREE, tmp_path / "set")
    pictures = opened(path)
    make(kind, {"cat/1.jpg": b"one"}, path)
    with pytest.raises(InvalidPictureSet, match="has changed"):
        list(pictures.pictures())
    path.unlink()
    with pytest.raises(InvalidPictureSet, match="no file"):
        list(pictures.pictures())


def test_what_changes_in_a_folder_is_unreadable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pictures = opened(make("folder", TREE, tmp_path))
    (tmp_path / "cat/1.jpg").unlink()
    shutil.rmtree(tmp_path / "dog")
    assert list(read(pictures).values()) == [None, b"two", None]

    def forbidden(path: Path, mode: str) -> None:
        raise PermissionError

    monkeypatch.setattr(Path, "open", forbidden)
    assert list(read(pictures).values()) == [None, None, None]


def test_a_folder_that_cannot_be_listed_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def forbidden(path: Path) -> None:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(Path, "iterdir", forbidden)
    refused(tmp_path, f"'{tmp_path}' cannot be read")


# Links and special files in a folder


def test_links_are_followed_and_loops_end(tmp_path: Path) -> None:
    elsewhere = make("folder", {"a.jpg": b"a", "b.jpg": b"b"}, tmp_path / "elsewhere")
    root = make("folder", {"cat/1.jpg": b"one"}, tmp_path / "set")
    (root / "cat/2.jpg").symlink_to(elsewhere / "a.jpg")
    (root / "cat/again").symlink_to(root)
    (root / "cat/none.jpg").symlink_to(root / "nowhere")
    (root / "cat/self.jpg").symlink_to(root / "cat/self.jpg")
    (root / "dog").symlink_to(elsewhere)
    (root / "puppy").symlink_to(elsewhere)
    pictures = opened(root)
    assert pictures.classes == ("cat", "dog")
    expected = {"cat/1.jpg": b"one", "cat/2.jpg": b"a", "cat/none.jpg": None, "cat/self.jpg": None}
    assert read(pictures) == {**expected, "dog/a.jpg": b"a", "dog/b.jpg": b"b"}


def test_pipes_are_not_opened(tmp_path: Path) -> None:
    make("folder", {"cat/1.jpg": b"one"}, tmp_path)
    os.mkfifo(tmp_path / "cat/2.jpg")
    os.mkfifo(tmp_path / "cat/pipe")
    pictures = opened(tmp_path)
    assert pictures.ignored == 1
    assert read(pictures) == {"cat/1.jpg": b"one", "cat/2.jpg": None}


def test_names_that_are_no_text_are_refused(tmp_path: Path) -> None:
    make("folder", {"cat/1.jpg": b"one", "cat/\udcff.jpg": b"two"}, tmp_path)
    refused(tmp_path, "in an unknown encoding")


# read_picture


def test_a_picture_of_a_folder_is_read_by_its_name(tmp_path: Path) -> None:
    make("folder", TREE, tmp_path)
    assert folders.read_picture(tmp_path, "dog/deep/3.webp", SETTINGS) == b"three"
    for name in ("dog/none.jpg", "dog", "", "nul\0byte", "x" * 5000, "cat/1.jpg/below"):
        assert folders.read_picture(tmp_path, name, SETTINGS) is None


@pytest.mark.parametrize("name", ["../secret.jpg", "cat/../../secret.jpg", "/etc/passwd", "..", "cat/.."])
def test_a_name_that_leads_out_of_the_folder_is_refused(name: str, tmp_path: Path) -> None:
    root = make("folder", TREE, tmp_path / "set")
    (tmp_path / "secret.jpg").write_bytes(b"secret")
    with pytest.raises(InvalidPictureSet, match="leads out"):
        folders.read_picture(root, name, SETTINGS)


# Offered sets


def test_what_lies_in_the_folder_of_datasets_is_offered(tmp_path: Path) -> None:
    settings = dataclasses.replace(SETTINGS, home=tmp_path)
    assert labelled.offered(settings) == ()
    folder = make("folder", TREE, tmp_path / "datasets/pets")
    archive = make("zip", TREE, tmp_path / "datasets/flowers")
    (tmp_path / "datasets/.DS_Store").touch()
    assert labelled.offered(settings) == (archive, folder)
