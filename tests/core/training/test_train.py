"""The recipe of the embedded model, on a few pictures of noise. How well it learns is not tested."""

from __future__ import annotations

import copy
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch.nn.functional import softmax

from deploy_core import embedded
from deploy_core.models import load
from deploy_core.settings import Settings
from deploy_core.training import augment, compute, export, train
from deploy_core.training.data import Split
from deploy_core.training.recipe import Recipe, TeacherRecipe
from deploy_core.training.run import Run
from deploy_core.training.student import kind_of, new_student

TEACHER = TeacherRecipe(epochs=1, batch=16)
RECIPE = Recipe(teacher=TEACHER, epochs=2, batch=32, patch_drop_until=0.5)


@pytest.fixture(scope="module")
def noise() -> Split:
    generator = torch.Generator().manual_seed(1)
    images = torch.randint(0, 256, (40, 3, 32, 32), dtype=torch.uint8, generator=generator)
    return Split(images, torch.arange(40) % 10, embedded.LABELS)


def test_the_student_is_the_model_of_the_catalogue() -> None:
    student = new_student(drop_path=0.05, patch_drop=0.5)
    spec = load.find("demo")
    assert sum(parameter.numel() for parameter in student.parameters()) == spec.parameters <= 6_000_000
    by_class, by_distillation = student.train()(torch.zeros(2, 3, 32, 32))
    assert by_class.shape == by_distillation.shape == (2, 10)
    assert student.eval()(torch.zeros(2, 3, 32, 32)).shape == (2, 10)


def test_attention_starts_out_structured() -> None:
    """Queries and keys of the same place agree, value and projection partly cancel (arXiv 2305.09828)."""
    attention = new_student(0.0, 0.0).blocks[0].attn
    query, key, value = attention.qkv.weight.detach().chunk(3)
    agreement = query[:64].T @ key[:64]
    undone = attention.proj.weight.detach() @ value
    assert agreement.trace() > 20
    assert undone.trace() / 192 == pytest.approx(-0.4, abs=0.1)


def test_tokens_positions_norms_and_biases_are_not_decayed() -> None:
    kinds = {name: kind_of(name, parameter) for name, parameter in new_student(0.0, 0.0).named_parameters()}
    left_alone = {name for name, kind in kinds.items() if kind == "undecayed"}
    assert {"cls_token", "dist_token", "pos_embed", "norm.weight", "head.bias", "blocks.0.norm1.weight"} <= left_alone
    assert not left_alone & {"head.weight", "blocks.0.attn.qkv.weight", "patch_embed.proj.weight"}


def test_the_matrices_of_the_blocks_and_nothing_else_are_orthogonalized() -> None:
    student = new_student(0.0, 0.0)
    matrices, others = train._optimizers(student, RECIPE)
    assert [tuple(parameter.shape) for parameter in matrices.param_groups[0]["params"]] == 7 * [
        (576, 192),
        (192, 192),
        (768, 192),
        (192, 768),
    ]
    assert sum(len(group["params"]) for group in others.param_groups) + 28 == len(list(student.parameters()))


@pytest.mark.parametrize(
    ("capabilities", "found"),
    [
        ({"avx512_bf16": True, "amx_bf16": False}, torch.bfloat16),
        ({"avx2": True, "avx512_bf16": False, "amx_bf16": False}, torch.float32),
        ({"neon": True, "bf16": True}, torch.bfloat16),
        ({}, torch.float32),
    ],
)
def test_a_cpu_that_would_only_emulate_bfloat16_computes_in_float32(
    capabilities: dict[str, bool], found: torch.dtype, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: capabilities)
    assert compute.precision("cpu") is found
    with compute.mixed("cpu"):
        assert (torch.ones(2, 2) @ torch.ones(2, 2)).dtype is found


def test_a_run_that_was_cut_off_ends_where_the_whole_one_does(noise: Split, tmp_path: Path) -> None:
    def run(out: Path, stop_after: int | None) -> dict[str, torch.Tensor]:
        out.mkdir(exist_ok=True)
        teacher = train.train_teacher(TEACHER, noise, noise, out, "cpu")
        with pytest.MonkeyPatch.context() as patch:
            if stop_after:
                patch.setattr(Run, "save", _stopping(Run.save, stop_after))
            return train.train_student(RECIPE, teacher, noise, noise, out, "cpu").state_dict()

    whole = run(tmp_path / "whole", None)
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path / "cut", stop_after=1)
    resumed = run(tmp_path / "cut", None)
    assert all(torch.equal(whole[name], resumed[name]) for name in whole)


def _stopping(save: Callable[[Run], None], after: int) -> Callable[[Run], None]:
    def saving(run: Run) -> None:
        save(run)
        if run.epoch == after:
            raise KeyboardInterrupt

    return saving


def test_a_run_never_goes_on_under_another_recipe(noise: Split, tmp_path: Path) -> None:
    train.train_teacher(TEACHER, noise, noise, tmp_path, "cpu")
    with pytest.raises(SystemExit, match="another recipe"):
        train.train_teacher(replace(TEACHER, lr=0.1), noise, noise, tmp_path, "cpu")


def test_another_cycle_begins_with_the_weights_of_an_earlier_run(noise: Split, tmp_path: Path) -> None:
    teacher = train.train_teacher(TEACHER, noise, noise, tmp_path, "cpu")
    none = replace(RECIPE, epochs=0)
    student = train.train_student(none, teacher, noise, noise, tmp_path, "cpu", start=embedded.WEIGHTS)
    shipped = export.read_weights(embedded.WEIGHTS)
    assert all(torch.equal(shipped[name], tensor) for name, tensor in student.state_dict().items())


def test_another_cycle_goes_on_with_a_copied_teacher(
    noise: Split, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    train.train_teacher(TEACHER, noise, noise, tmp_path, "cpu")
    (tmp_path / "next").mkdir()
    shutil.copy(tmp_path / "teacher.ckpt", tmp_path / "next")
    capsys.readouterr()
    longer = replace(RECIPE, epochs=5, start="of another run")
    train.train_teacher(longer.teacher, noise, noise, tmp_path / "next", "cpu")
    assert capsys.readouterr().out == "teacher: resumed after epoch 1\n"


def test_the_temperature_is_found() -> None:
    generator = torch.Generator().manual_seed(0)
    honest = 2 * torch.randn(20_000, 10, generator=generator)
    labels = torch.multinomial(softmax(honest, 1), 1, generator=generator).flatten()
    assert export.temperature(3 * honest, labels) == pytest.approx(3, rel=0.05)
    assert export.temperature(honest / 2, labels) == pytest.approx(0.5, rel=0.05)


def test_calibration_divides_every_answer_by_the_temperature(noise: Split) -> None:
    model = load.load("demo", "pretrained", Settings()).module
    calibrated = copy.deepcopy(model)
    found = export.calibrate(calibrated, noise)
    assert found > 1.5  # on noise, it should not be sure
    torch.testing.assert_close(
        compute.logits_of(calibrated, noise), compute.logits_of(model, noise) / found, rtol=1e-4, atol=1e-4
    )


def test_what_is_exported_is_half_as_large_and_loads(tmp_path: Path) -> None:
    from safetensors.torch import load_file

    student = new_student(0.0, 0.0)
    export.export(student, tmp_path / "demo.safetensors")
    assert (tmp_path / "demo.safetensors").stat().st_size < 12_000_000
    student.load_state_dict({name: tensor.float() for name, tensor in load_file(tmp_path / "demo.safetensors").items()})


def test_cutmix_tells_the_share_that_is_left(noise: Split) -> None:
    torch.manual_seed(3)
    ramp = torch.arange(8, dtype=torch.uint8).view(8, 1, 1, 1).expand(8, 3, 32, 32)
    mixed, others, own = augment.cutmix(ramp, torch.arange(8))
    for picture, label, other in zip(mixed, range(8), others.tolist(), strict=True):
        left = (picture == label).float().mean().item()
        assert left == pytest.approx(1.0 if other == label else own)


def test_augmented_pictures_are_pictures(noise: Split) -> None:
    changes: tuple[Callable[[torch.Tensor], torch.Tensor], ...] = (
        augment.shift_and_mirror,
        lambda images: augment.trivial_augment(images, 0.5),
        lambda images: augment.zoom(images, 0.5),
    )
    for change in changes:
        changed = change(noise.images)
        assert changed.dtype == torch.uint8
        assert changed.shape == noise.images.shape
        assert not torch.equal(changed, noise.images)


def test_zoom_enlarges_parts_of_the_last_pictures(noise: Split) -> None:
    """On a ramp of brightness, an enlarged part has fewer levels, and no level that the picture does not have."""
    torch.manual_seed(0)
    ramp = (8 * torch.arange(32, dtype=torch.uint8)).expand(40, 3, 32, 32)
    zoomed = augment.zoom(ramp, 0.25)
    assert torch.equal(zoomed[:30], ramp[:30])
    ranges = [int(picture.max()) - int(picture.min()) for picture in zoomed[30:]]
    assert all(248 * 0.4 < spread <= 248 for spread in ranges)
    assert len(set(ranges)) > 3
