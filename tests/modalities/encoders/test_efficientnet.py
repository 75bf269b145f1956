"""EfficientNet-Lite0: that folding and padding change nothing, and that the network knows a cat."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")

from torch.nn import functional  # noqa: E402

from seehear.modalities.encoders.efficientnet import EPSILON, Block, Convolution  # noqa: E402


def normalised(state: dict[str, torch.Tensor], norm: str, width: int) -> None:
    """Add a BatchNorm with statistics that are far from doing nothing."""
    state[f"{norm}.weight"] = torch.rand(width) + 0.5
    state[f"{norm}.bias"] = torch.randn(width)
    state[f"{norm}.running_mean"] = torch.randn(width)
    state[f"{norm}.running_var"] = torch.rand(width) + 0.1


def as_tensorflow_does(
    x: torch.Tensor, state: dict[str, torch.Tensor], name: str, norm: str, stride: int
) -> torch.Tensor:
    """A convolution with "same" padding, then a BatchNorm, written out step by step."""
    weight = state[f"{name}.weight"]
    kernel, side = weight.shape[-1], x.shape[-1]
    padding = max((-(-side // stride) - 1) * stride + kernel - side, 0)
    before, after = padding // 2, padding - padding // 2
    groups = x.shape[1] if weight.shape[1] == 1 else 1
    x = functional.conv2d(functional.pad(x, (before, after, before, after)), weight, stride=stride, groups=groups)
    statistics = state[f"{norm}.running_mean"], state[f"{norm}.running_var"]
    return functional.batch_norm(x, *statistics, state[f"{norm}.weight"], state[f"{norm}.bias"], eps=EPSILON)


@pytest.mark.parametrize(("kernel", "stride"), [(1, 1), (3, 1), (5, 1), (3, 2), (5, 2)])
@pytest.mark.parametrize("depthwise", [False, True])
def test_a_folded_convolution_is_the_convolution_and_its_norm(kernel: int, stride: int, depthwise: bool) -> None:
    torch.manual_seed(kernel)
    name = "_depthwise_conv" if depthwise else "_conv"
    state = {f"{name}.weight": torch.randn(6, 1 if depthwise else 6, kernel, kernel)}
    normalised(state, "_bn", 6)
    x = torch.randn(2, 6, 12, 12)
    expected = as_tensorflow_does(x, state, name, "_bn", stride)
    found = Convolution(state, name, "_bn", stride, clip=False)(x)
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(Convolution(state, name, "_bn", stride)(x), expected.clamp(0, 6), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(("stride", "narrow", "residual"), [(1, 4, True), (2, 4, False), (1, 5, False)])
def test_a_block_adds_its_input_only_where_the_shape_stays(stride: int, narrow: int, residual: bool) -> None:
    torch.manual_seed(0)
    state = {
        "b._expand_conv.weight": torch.randn(8, 4, 1, 1),
        "b._depthwise_conv.weight": torch.randn(8, 1, 3, 3),
        "b._project_conv.weight": torch.randn(narrow, 8, 1, 1),
    }
    for norm, width in (("b._bn0", 8), ("b._bn1", 8), ("b._bn2", narrow)):
        normalised(state, norm, width)
    x = torch.randn(1, 4, 6, 6)
    y = as_tensorflow_does(x, state, "b._expand_conv", "b._bn0", 1).clamp(0, 6)
    y = as_tensorflow_does(y, state, "b._depthwise_conv", "b._bn1", stride).clamp(0, 6)
    y = as_tensorflow_does(y, state, "b._project_conv", "b._bn2", 1)
    torch.testing.assert_close(Block(state, "b", stride)(x), x + y if residual else y, rtol=1e-4, atol=1e-4)
