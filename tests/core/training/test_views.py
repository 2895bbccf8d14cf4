"""What teacher and student see: the right part of a picture, mirrored, coloured and mixed."""

from __future__ import annotations

import pytest
import torch

from deploy_core.training import views

SIDE = 16


@pytest.fixture
def generator() -> torch.Generator:
    return torch.Generator().manual_seed(1)


@pytest.fixture
def places() -> torch.Tensor:
    """A picture whose red says how far right a pixel is, and whose green how far down: 8, 24, … 248."""
    along = (torch.arange(SIDE) * 16 + 8).expand(SIDE, SIDE)
    return torch.stack([along, along.T, torch.zeros_like(along)]).to(torch.uint8).unsqueeze(0)


def a_map(width: float, height: float, x: float = 0.0, y: float = 0.0) -> torch.Tensor:
    return torch.tensor([[[width, 0.0, x], [0.0, height, y]]])


def test_the_whole_picture_stays_as_it_is(places: torch.Tensor) -> None:
    torch.testing.assert_close(views.cut(places, a_map(1, 1), SIDE), places / 255)


def test_a_part_is_cut_where_the_map_says(places: torch.Tensor) -> None:
    upper_right = views.cut(places, a_map(0.5, 0.5, 0.5, -0.5), SIDE // 2)
    torch.testing.assert_close(upper_right, places[:, :, :8, 8:] / 255)


def test_a_mirrored_part_is_the_same_part(places: torch.Tensor) -> None:
    mirrored = views.cut(places, a_map(-0.5, 0.5, 0.5, -0.5), SIDE // 2)
    torch.testing.assert_close(mirrored, places[:, :, :8, 8:].flip(3) / 255)


def test_boxes_lie_in_the_picture_and_have_the_area_and_the_proportions(generator: torch.Generator) -> None:
    maps = views.boxes(20_000, 0.35, generator)
    width, height = maps[:, 0, 0].abs(), maps[:, 1, 1]
    x, y = maps[:, 0, 2], maps[:, 1, 2]
    assert bool((x.abs() + width <= 1 + 1e-6).all())
    assert bool((y.abs() + height <= 1 + 1e-6).all())
    area, proportion = width * height, width / height
    assert proportion.min() >= 3 / 4 - 1e-4
    assert proportion.max() <= 4 / 3 + 1e-4
    assert 0.35 - 1e-4 <= area.min() < 0.36
    assert area.max() > 0.98
    assert float((maps[:, 0, 0] < 0).float().mean()) == pytest.approx(0.5, abs=0.02)
    assert float(x.mean()) == pytest.approx(0, abs=0.01)


def test_colours_change_and_places_do_not(places: torch.Tensor, generator: torch.Generator) -> None:
    changed = views.coloured((places / 255).expand(50, -1, -1, -1), generator)
    assert 0 <= changed.min() <= changed.max() <= 1
    assert changed.mean((1, 2, 3)).std() > 0.03
    assert bool((changed[:, 0].diff(dim=2) >= -1e-6).all())  # red still grows to the right


def test_grey_pictures_stay_grey(generator: torch.Generator) -> None:
    changed = views.coloured(torch.rand(8, 1, 4, 4, generator=generator).expand(8, 3, 4, 4), generator)
    torch.testing.assert_close(changed[:, 0], changed[:, 2])


@pytest.mark.parametrize("seed", range(12))
def test_a_mixture_says_how_much_of_each_picture_is_its_own(seed: int) -> None:
    shades = torch.arange(8.0) / 8
    mixed, own = views.mixed(shades.view(-1, 1, 1, 1).expand(-1, 3, 32, 32), 1.0, torch.Generator().manual_seed(seed))
    assert 0 <= own < 1
    torch.testing.assert_close(mixed.mean((1, 2, 3)), own * shades + (1 - own) * shades.flip(0))


def test_both_kinds_of_mixtures_and_none_happen_as_often_as_asked() -> None:
    pictures = torch.stack([torch.zeros(3, 32, 32), torch.ones(3, 32, 32)])
    kinds = {"none": 0, "cutmix": 0, "mixup": 0}
    for seed in range(600):
        mixed, own = views.mixed(pictures, 0.5, torch.Generator().manual_seed(seed))
        is_pasted = bool(((mixed == 0) | (mixed == 1)).all())
        kinds["none" if own == 1 else "cutmix" if is_pasted else "mixup"] += 1
    assert kinds["cutmix"] / 600 == pytest.approx(0.3, abs=0.06)
    assert kinds["mixup"] / 600 == pytest.approx(0.2, abs=0.06)


def test_pictures_are_made_smaller_without_moving(places: torch.Tensor) -> None:
    small = views.resized(places / 255, SIDE // 2)
    torch.testing.assert_close(small[0, 0, 4, 1:-1].diff(), torch.full((5,), 32 / 255))
    assert float(small.mean()) == pytest.approx(float(places.float().mean()) / 255, abs=1e-3)
