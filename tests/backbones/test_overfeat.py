"""OverFeat is the network of the lecture's table, and its sliding form the cut-out patch."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from plain_lite0 import relative_error
from terrapatch.backbones import get_backbone, overfeat
from terrapatch.cli.layers import stage_row
from terrapatch.errors import BackboneError

# The lecture's table (deck 000, after Sermanet et al. 2013, table 1), column by column.
LECTURE = {
    "conv1": ("conv + max", "96", "11 x 11", "4 x 4", "2 x 2", "2 x 2", "–", "231 x 231"),
    "conv2": ("conv + max", "256", "5 x 5", "1 x 1", "2 x 2", "2 x 2", "–", "24 x 24"),
    "conv3": ("conv", "512", "3 x 3", "1 x 1", "–", "–", "1 x 1", "12 x 12"),
    "conv4": ("conv", "1024", "3 x 3", "1 x 1", "–", "–", "1 x 1", "12 x 12"),
    "conv5": ("conv + max", "1024", "3 x 3", "1 x 1", "2 x 2", "2 x 2", "1 x 1", "12 x 12"),
    "fc6": ("full", "3072", None, None, "–", "–", "–", "6 x 6"),
    "fc7": ("full", "4096", None, None, "–", "–", "–", "1 x 1"),
    "logits": ("full", "1000", None, None, "–", "–", "–", "1 x 1"),
}


@pytest.fixture(scope="module")
def network() -> nn.Sequential:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return overfeat.build().eval()


@pytest.fixture(scope="module")
def image() -> torch.Tensor:
    """Large enough for 2 x 3 windows, and a few pixels that belong to none."""
    generator = torch.Generator().manual_seed(1)
    return torch.randn(1, 3, 231 + 32 + 7, 231 + 64 + 3, generator=generator)


def test_it_is_the_lectures_table_but_for_one_cell() -> None:
    """Stage 2 is given 28 x 28; the table's 24 x 24 is what its convolution makes of them."""
    differing = {}
    for layer in get_backbone("overfeat").examine(231).layers:
        row = stage_row(layer)
        row[0] = row[0].removesuffix(", as conv")
        for column, (told, found) in enumerate(zip(LECTURE[layer.name], row, strict=False)):
            if told is not None and told != found:
                differing[layer.name, column] = (told, found)
    assert differing == {("conv2", 7): ("24 x 24", "28 x 28")}
    second = get_backbone("overfeat").examine(231).layer("conv2")
    assert second.operations[0].made == (24, 24)
    # With 24 x 24 there, stage 6 would be given 5 x 5, which its 6 x 6 filters do not fit.
    assert ((24 - 5 + 1) // 2) // 2 == 5


def test_every_stages_size() -> None:
    layers = get_backbone("overfeat").examine(231).layers
    assert [one.width for one in layers] == [96, 256, 512, 1024, 1024, 3072, 4096, 1000]
    given = [one.operations[0].given[0] for one in layers]
    assert given == [231, 28, 12, 12, 12, 6, 1, 1]
    assert [one.map_size[0] for one in layers] == [28, 12, 12, 12, 6, 1, 1, 1]


@pytest.mark.parametrize("layer", ["conv3", "conv5", "fc6", "fc7", "logits"])
def test_the_sliding_form_is_the_patch_cut_out(
    network: nn.Sequential, image: torch.Tensor, layer: str
) -> None:
    with torch.no_grad():
        dense = overfeat.sliding(network, image, layer)
        windows = overfeat.windows_of(image)
        assert tuple(windows.shape) == (1, 2, 3, 3, 231, 231)
        assert tuple(dense.shape[2:4]) == (2, 3)
        stages = [name for name, *_ in overfeat.TABLE]
        cut = network[: stages.index(layer) + 1]
        for row in range(2):
            for col in range(3):
                patch = cut(windows[:, row, col])
                ours = dense[:, :, row, col].flatten(1)
                assert relative_error(ours.numpy(), patch.flatten(1).numpy()) <= 1e-5


def test_the_convolutions_are_the_papers_fully_connected_layers(network: nn.Sequential) -> None:
    """Stages 6 to 8 on a larger map give at each position what a linear layer gives there."""
    fmap = torch.rand(1, 1024, 8, 7, generator=torch.Generator().manual_seed(2))
    with torch.no_grad():
        slid = network[5](fmap)
        assert tuple(slid.shape) == (1, 3072, 3, 2)
        for row in range(3):
            for col in range(2):
                linear = overfeat.as_linear(network, fmap[:, :, row : row + 6, col : col + 6])
                assert relative_error(slid[:, :, row, col].numpy(), linear.numpy()) <= 1e-5


def test_the_plain_sliding_form_is_close_but_not_the_same(
    network: nn.Sequential, image: torch.Tensor
) -> None:
    """Zeros that pad stages 3 to 5 stand around a cut-out patch, but not inside an image."""
    with torch.no_grad():
        plain = network[:7](image)
        exact = overfeat.sliding(network, image)
    assert plain.shape == exact.shape
    # The same where no padding comes in between: one window alone.
    with torch.no_grad():
        alone = network[:7](image[:, :, :231, :231])
    assert relative_error(alone.flatten(1).numpy(), exact[:, :, 0, 0].numpy()) <= 1e-5
    assert relative_error(plain[:, :, 1, 1].numpy(), exact[:, :, 1, 1].numpy()) > 1e-4


def test_what_cannot_slide(network: nn.Sequential) -> None:
    with pytest.raises(BackboneError, match="holds no window of 231 x 231"):
        overfeat.sliding(network, torch.zeros(1, 3, 230, 300))
    with pytest.raises(BackboneError, match="has no stage 'conv1'"):
        overfeat.sliding(network, torch.zeros(1, 3, 231, 231), "conv1")
    backbone = get_backbone("overfeat")
    with pytest.raises(BackboneError, match="is not between 231 and 2048"):
        backbone.input_size((10, 10), 224)
