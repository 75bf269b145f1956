"""What happens to a picture on its way into a network, as a checkpoint's own file says it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from seehear.types import Needs

from .families import RESAMPLING, Family, Unusable, number

if TYPE_CHECKING:
    from numpy.typing import NDArray

AMPLE = 448
"""Pixels of a short side that lose nothing that a small network could see."""
STRIP = 8
"""Most that a picture's long side counts of its short one, where only the middle is looked at."""


def preprocessing(family: Family, said: Mapping[str, Any], config: Mapping[str, Any]) -> dict[str, Any]:
    """What happens to a picture: what the checkpoint's file says, completed, in one form. Raises Unusable.

    Sizes have been written in several ways; `said` may be of any age. `config` is config.json.
    """
    told = str(said.get("image_processor_type") or said.get("feature_extractor_type") or family.processor)
    if told.removesuffix("Fast").removesuffix("Pil").replace("FeatureExtractor", "ImageProcessor") != family.processor:
        raise Unusable(f"wants its pictures prepared by {told}, which is not {family.processor}")
    found = {name: said[name] if said.get(name) is not None else value for name, value in family.preprocessing.items()}
    for name in ("size", "crop_size"):
        if isinstance(side := found.get(name), int):
            found[name] = {"shortest_edge": side} if name == "size" else {"height": side, "width": side}
    for name, value in found.items():
        if not _makes_sense(name, value):
            raise Unusable(f"says {name} = {value!r}, which makes no sense")
    if (given := _given(found)) is not None:
        side = number(config, (("vision_config", "image_size"),), 224)
        if given != (side, side):
            raise Unusable(f"makes its pictures {given[1]} x {given[0]} pixels, and its network takes {side} x {side}")
    return found


def needs(found: Mapping[str, Any]) -> Needs:
    """The size that a picture should have before it comes here.

    Where decoding can do just what the preprocessing would, a single bicubic resize, it does; elsewhere pictures come
    twice as large as the network sees them, which is hard to tell in a vector.
    """
    if not found["do_resize"]:
        return Needs()
    size = found.get("size", {"patches": found.get("patch_size", 0) * math.isqrt(found.get("max_num_patches", 0))})
    side = int(max(size.values()))
    square = size.get("height") == side == size.get("width")
    if RESAMPLING[found["resample"]] == "bicubic" and (square or "shortest_edge" in size):
        return Needs(side, square=square)
    return Needs(max(2 * side, AMPLE))


def middle(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """A picture without the ends of a strip: only its middle is looked at, and to enlarge it all may take gigabytes."""
    height, width, _ = pixels.shape
    top, left = max(0, height - STRIP * width) // 2, max(0, width - STRIP * height) // 2
    return pixels[top : height - top, left : width - left]


def ready(pictures: Sequence[NDArray[np.uint8]], found: Mapping[str, Any]) -> NDArray[np.uint8] | None:
    """Pictures (n, height, width, 3) as the preprocessing leaves them, where only their edges are to be cut off.

    None if one of them has yet to be scaled. Pictures from files seldom have: they are decoded to the size that `needs`
    asks for, and to have them scaled to it again costs more than a GPU takes for the rest.
    """
    size, crop = found.get("size", {}), found["crop_size"] if found.get("do_center_crop") else None
    if not found["do_resize"] or not size:
        return None
    cut = []
    for one in pictures:
        height, width, _ = one.shape
        short = "shortest_edge" in size
        if min(height, width) != size["shortest_edge"] if short else (height, width) != (size["height"], size["width"]):
            return None
        if crop:
            top, left = (height - crop["height"]) // 2, (width - crop["width"]) // 2
            if top < 0 or left < 0:
                return None
            one = one[top : top + crop["height"], left : left + crop["width"]]
        cut.append(one)
    return np.stack(cut)


def _given(found: Mapping[str, Any]) -> tuple[int, int] | None:
    """Height and width that every picture gets; None where they follow the picture. Raises Unusable."""
    if "max_num_patches" in found:
        return None
    size = found["crop_size"] if found.get("do_center_crop") else found["size"] if found["do_resize"] else {}
    if "height" not in size:
        raise Unusable("brings pictures to different sizes, which its network does not take")
    return size["height"], size["width"]


def _makes_sense(name: str, value: Any) -> bool:
    match name:
        case "size" | "crop_size":
            sides = [{"height", "width"}, {"shortest_edge"}] if name == "size" else [{"height", "width"}]
            return isinstance(value, dict) and set(value) in sides and all(_whole(side) for side in value.values())
        case "patch_size" | "max_num_patches":
            return _whole(value)
        case "resample":
            return type(value) is int and 0 <= value < len(RESAMPLING)
        case "rescale_factor":
            return isinstance(value, float | int) and value > 0
        case "image_mean" | "image_std":
            numbers = isinstance(value, list | tuple) and all(isinstance(one, float | int) for one in value)
            return numbers and len(value) == 3 and (name == "image_mean" or min(value) > 0)
        case _:
            return isinstance(value, bool)


def _whole(value: Any) -> bool:
    return type(value) is int and 0 < value <= 4096
