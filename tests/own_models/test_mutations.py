"""Mutated checkpoints: refused with a sentence, or answered as the library answers them. Never a traceback.

``OWN_MODEL_MUTATIONS=1000`` tries that many; by default it is a hundred.
"""

from __future__ import annotations

import json
import os
import random
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import timm
import torch
from safetensors.torch import load_file, save_file

from deploy_core.errors import DeployError
from deploy_core.models import load
from deploy_core.models.own import bring
from deploy_core.models.own.corrections import Corrections
from deploy_core.settings import Settings
from tests.own_models import corpus
from tests.own_models.corpus import HEADS, Made

COUNT = int(os.environ.get("OWN_MODEL_MUTATIONS", "100"))
SEED = 23
Build = Callable[[dict[str, Any]], Any]

TIMM, HUB = "timm, folder with config.json", "transformers, folder"
SOURCES = (
    (TIMM, "AugReg ViT"),
    (TIMM, "DeiT III"),
    (TIMM, "DeiT distilled"),
    (TIMM, "DINOv2 with registers"),
    (TIMM, "mean of the patches with fc_norm"),
    (HUB, "ViT"),
    (HUB, "DeiT with two heads"),
    ("torchvision", "ViT"),
    ("the authors", "DeiT's, with arguments"),
    ("files", "the format before archives, protocol 4"),
)


class Source:
    """A checkpoint of the corpus, and how its library builds the module that it holds."""

    def __init__(self, group: str, title: str, folder: Path) -> None:
        folder.mkdir()
        (case,) = [case for case in corpus.CASES if (case.group, case.title) == (group, title)]
        self.group, self.title = group, title
        self.made: Made = case.make(folder)
        self.folder = self.made.path if self.made.path.is_dir() else folder
        weights = [path for path in self.folder.iterdir() if path.suffix in (".safetensors", ".pth")]
        (self.weights,) = weights

    def config(self) -> dict[str, Any]:
        path = self.folder / "config.json"
        found: dict[str, Any] = json.loads(path.read_text()) if path.exists() else {}
        return found

    def module(self, config: dict[str, Any]) -> Any:
        """The library's own module for a config; raises what the library raises."""
        if self.group == TIMM:
            return timm.create_model(config["architecture"], **({"num_classes": 3} | config["model_args"])).eval()
        if self.group == HUB:
            import transformers

            teacher = "two heads" in self.title
            made = transformers.DeiTConfig.from_dict(config) if teacher else transformers.ViTConfig.from_dict(config)
            kind: Any = getattr(transformers, f"{corpus.DEIT_CLASS}WithTeacher" if teacher else corpus.VIT)
            return kind(made).eval()
        return corpus.of_torchvision() if self.group == "torchvision" else corpus.of_timm()


def names_of(path: Path) -> dict[str, torch.Tensor]:
    """As the library reads a file of weights."""
    if path.suffix == ".safetensors":
        return load_file(path)
    document = torch.load(path, weights_only=False)
    tensors: dict[str, torch.Tensor] = document.get("model", document)
    return tensors


def written(path: Path, tensors: dict[str, torch.Tensor]) -> None:
    tensors = {key: value.clone().contiguous() for key, value in tensors.items()}
    if path.suffix == ".safetensors":
        save_file(tensors, path)
    else:
        torch.save(tensors, path)


def flip(folder: Source, path: Path, chance: random.Random) -> None:
    data = bytearray(path.read_bytes())
    for _ in range(chance.choice((1, 1, 3, 20))):
        place = chance.randrange(len(data) if chance.random() < 0.4 else min(len(data), 3000))
        data[place] = chance.randrange(256)
    path.write_bytes(bytes(data[: chance.randrange(len(data))] if chance.random() < 0.1 else data))


def drop(source: Source, path: Path, chance: random.Random) -> None:
    tensors = names_of(path)
    del tensors[chance.choice([*tensors])]
    written(path, tensors)


def rename(source: Source, path: Path, chance: random.Random) -> None:
    tensors = names_of(path)
    name = chance.choice([*tensors])
    place = chance.randrange(len(name))
    tensors[name[:place] + chance.choice("abcxyz019._") + name[place + chance.randrange(2) :]] = tensors.pop(name)
    written(path, tensors)


def reshape(source: Source, path: Path, chance: random.Random) -> None:
    tensors = names_of(path)
    name = chance.choice([*tensors])
    value = tensors[name]
    ways = (value.flatten(), value[:-1], value.unsqueeze(0), torch.cat([value, value]), value.double(), value[:0])
    tensors[name] = chance.choice(ways)
    written(path, tensors)


def prefix(source: Source, path: Path, chance: random.Random) -> None:
    words = "".join(f"{chance.choice(('module', 'model', '_orig_mod', 'net', 'a.b'))}." for _ in range(3))
    written(path, corpus.renamed(names_of(path), words))


def edit(source: Source, path: Path, chance: random.Random) -> str:
    """One value of the config changes, or goes. Gives what changed."""
    config = source.config()
    place = config
    while True:
        # timm itself does not read the pooling at the top, which says what the saved model did.
        key = chance.choice([key for key in place if place is not config or key != "global_pool"])
        if isinstance(place[key], dict) and place[key] and chance.random() < 0.8:
            place = place[key]
            continue
        break
    values: tuple[Any, ...] = (None, 0, -1, 3, 1e-3, "gelu", "quick_gelu", "avg", "max", [], {}, True, False, "x" * 50)
    what = f"{key} {place[key]!r}"
    if chance.random() < 0.2:
        del place[key]
    else:
        place[key] = chance.choice(values)
    (path.parent / "config.json").write_text(json.dumps(config))
    return f" ({what} -> {place.get(key, 'gone')!r})"


MUTATIONS: tuple[Callable[[Source, Path, random.Random], str | None], ...] = (flip, drop, rename, reshape, prefix, edit)


@pytest.fixture(scope="module")
def sources(tmp_path_factory: pytest.TempPathFactory) -> list[Source]:
    root = tmp_path_factory.mktemp("sources")
    return [Source(group, title, root / str(number)) for number, (group, title) in enumerate(SOURCES)]


@pytest.mark.filterwarnings("ignore")
def test_a_mutated_checkpoint_is_refused_or_answers_as_its_library(sources: list[Source], tmp_path: Path) -> None:
    wrong = []
    taken = 0
    for number in range(COUNT):
        chance = random.Random(f"{SEED} {number}")
        source, mutate = sources[number % len(sources)], chance.choice(MUTATIONS)
        if mutate is edit and not source.config():
            mutate = flip
        place = tmp_path / str(number)
        shutil.copytree(source.folder, place)
        weights = place / source.weights.name
        changed = mutate(source, weights, chance) or ""
        what = f"{number}: {mutate.__name__}{changed} of {source.title}"
        try:
            corrections = Corrections(heads=None if source.config() else HEADS)
            spec = bring.bring(weights, place / "out", Settings(), corrections)
        except DeployError:
            continue
        except Exception as error:
            wrong.append(f"{what}: {error!r}")
            continue
        finally:
            if number > 20:
                shutil.rmtree(tmp_path / str(number - 20), ignore_errors=True)
        taken += 1
        found = load.load(spec.reference, "pretrained", Settings()).module
        config = place / "config.json"
        edited = json.loads(config.read_text()) if config.exists() else {}
        expected = library_answer(source, weights, edited)
        if expected is None and mutate in (prefix, edit):
            # Nothing that is used here has changed, or it is assumed again, and not in silence.
            expected = library_answer(source, source.weights, source.config())
        if expected is None:
            wrong.append(f"{what}: taken, and the library refuses it: {spec.architecture}, {spec.assumed}")
            continue
        with torch.inference_mode():
            pictures = torch.randn(1, 3, spec.input_size, spec.input_size)
            try:
                wanted = corpus.logits(expected)(pictures)
            except Exception as error:
                wrong.append(f"{what}: the library cannot answer: {error}")
                continue
            if "heads" not in spec.assumed and not torch.allclose(
                found(pictures), wanted, atol=1e-4, rtol=1e-4, equal_nan=True
            ):
                wrong.append(f"{what}: another answer")
    assert not wrong, "\n".join(wrong)
    assert taken > COUNT / 20


def library_answer(source: Source, weights: Path, config: dict[str, Any]) -> Any:
    """The library's module with the mutated weights and config; None if it refuses them."""
    try:
        if source.group == HUB:
            kind = type(source.module(source.config()))
            module, notes = kind.from_pretrained(weights.parent, output_loading_info=True)
            return None if notes["missing_keys"] or notes["mismatched_keys"] else module.eval()
        module = source.module(config)
        module.load_state_dict(names_of(weights), strict=True)
    except Exception:
        return None
    return module
