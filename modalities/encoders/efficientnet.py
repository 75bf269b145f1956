"""EfficientNet-Lite0 as a reader of pictures, every BatchNorm folded into the convolution before it.

Architecture: Tan and Le 2019, arXiv 1905.11946, in the Lite form: no squeeze-and-excitation, ReLU6, TensorFlow's "same"
padding. Key names are those of the "EfficientNet-PyTorch" code base.
"""

from __future__ import annotations

from collections.abc import Mapping
from copy import deepcopy

import torch
from torch import Tensor, nn
from torch.nn import functional

STAGES = ((1, 1), (2, 2), (2, 2), (3, 2), (3, 1), (4, 2), (1, 1))
"""(blocks, stride of the first) of each stage; all else follows from the shapes of the weights."""
TUNED = 2  # blocks at the end that were trained further
EPSILON = 1e-3  # of every BatchNorm

State = Mapping[str, Tensor]


class Convolution(nn.Module):
    """A convolution with its BatchNorm, padded as TensorFlow's "same" does for even sides; then ReLU6, or not."""

    def __init__(self, state: State, name: str, norm: str, stride: int = 1, clip: bool = True) -> None:
        super().__init__()
        scale = state[f"{norm}.weight"] / torch.sqrt(state[f"{norm}.running_var"] + EPSILON)
        weight = state[f"{name}.weight"] * scale[:, None, None, None]
        if stride == 2:
            # TensorFlow pads the far side by one more than the near side. A first row and column of zeros in the
            # kernel (of 3 or 5) does the same with equal padding, and spares a copy of the input.
            weight = functional.pad(weight, (1, 0, 1, 0))
        bias = state[f"{norm}.bias"] - state[f"{norm}.running_mean"] * scale
        self.weight = nn.Parameter(weight.contiguous(memory_format=torch.channels_last), requires_grad=False)
        self.bias = nn.Parameter(bias, requires_grad=False)
        self.stride = stride
        self.padding = (weight.shape[-1] - 1) // 2
        self.groups = weight.shape[0] if "depthwise" in name else 1
        self.clip = clip

    def forward(self, x: Tensor) -> Tensor:
        """Map (n, c, h, w) to (n, c', h / stride, w / stride)."""
        y = functional.conv2d(x, self.weight, self.bias, self.stride, self.padding, groups=self.groups)
        return y.clamp_(0, 6) if self.clip else y


class Block(nn.Module):
    """An inverted residual: widen, filter each channel, narrow; the input is added where the shape allows it."""

    def __init__(self, state: State, name: str, stride: int) -> None:
        super().__init__()
        steps = [
            Convolution(state, f"{name}._depthwise_conv", f"{name}._bn1", stride),
            Convolution(state, f"{name}._project_conv", f"{name}._bn2", clip=False),
        ]
        if f"{name}._expand_conv.weight" in state:
            steps.insert(0, Convolution(state, f"{name}._expand_conv", f"{name}._bn0"))
        self.steps = nn.Sequential(*steps)

    def forward(self, x: Tensor) -> Tensor:
        """Map (n, c, h, w) to (n, c', h / stride, w / stride)."""
        y: Tensor = self.steps(x)
        return x + y if x.shape == y.shape else y


class EfficientNet(nn.Module):
    """The network with two ends: its own, which knows ImageNet's classes, and a copy that is made to be trained."""

    def __init__(self, state: State) -> None:
        """Build from a state dict; KeyError where it is not one of EfficientNet-Lite0."""
        super().__init__()
        strides = [stride if place == 0 else 1 for count, stride in STAGES for place in range(count)]
        blocks = [Block(state, f"_blocks.{place}", stride) for place, stride in enumerate(strides)]
        self.trunk = nn.Sequential(Convolution(state, "_conv_stem", "_bn0", stride=2), *blocks[:-TUNED])
        self.end = nn.Sequential(*blocks[-TUNED:], Convolution(state, "_conv_head", "_bn1"))
        self.tuned = deepcopy(self.end)
        self.classes = nn.Parameter(state["_fc.weight"], requires_grad=False)
        self.bias = nn.Parameter(state["_fc.bias"], requires_grad=False)

    def seen(self, pixels: Tensor) -> Tensor:
        """What both ends start from, (n, 192, 7, 7), of pictures: uint8 RGB (n, 224, 224, 3)."""
        x = pixels.permute(0, 3, 1, 2)  # a view: memory stays channels-last, which is twice as fast
        y: Tensor = self.trunk((x.float() - 127) / 128)
        return y

    def logits(self, seen: Tensor) -> Tensor:
        """How much each of ImageNet's classes is seen: (n, 1000)."""
        return functional.linear(self.end(seen).mean((2, 3)), self.classes, self.bias)

    def features(self, seen: Tensor) -> Tensor:
        """What the trained end makes of it: (n, 1280)."""
        pooled: Tensor = self.tuned(seen).mean((2, 3))
        return pooled
