"""What differs between the families of two-tower models, as rows of data; `checkpoint` and `dual` branch on no name.

A row is found by `model_type` in a checkpoint's config.json. What a row says of defaults is what transformers does
where a checkpoint's file says nothing; a test compares the two. A family for sound (CLAP) would be one more row, with
what its recordings need beside `processor`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Literal

from seehear.types import Needs

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

RESAMPLING = ("nearest", "lanczos", "bilinear", "bicubic", "box", "hamming")
"""Pillow's filters, each at the place of its number in a checkpoint's file."""


@dataclass(frozen=True, slots=True)
class Family:
    """How checkpoints of one architecture are fed."""

    name: str
    """`model_type` in config.json."""
    model: str
    """The class in transformers that holds both towers."""
    processor: str
    """The class in transformers that brings pictures to size, with Pillow; files name it without `Pil`."""
    preprocessing: Mapping[str, Any]
    """Everything that a file may say about pictures, and what holds where it says nothing."""
    dim: tuple[tuple[str, ...], ...]
    """Where config.json has the length of a vector; the first place that holds a number counts."""
    default_dim: int
    """The length where config.json says nothing."""
    padding: Literal["longest", "max_length"]
    """`longest` only where what follows the end of a text cannot change its vector."""
    tokens: int
    """Longest text where `max_position_embeddings` says nothing, end token included."""
    lower_case: bool
    """Whether texts must be lower-cased because the tokeniser of some checkpoints forgets to."""
    halves: tuple[str, ...]
    """Half precisions that it may run in; the first is the default on a GPU."""


CLIP = Family(
    name="clip",
    model="CLIPModel",
    processor="CLIPImageProcessor",
    preprocessing=MappingProxyType(
        {
            "do_resize": True,
            "size": {"shortest_edge": 224},
            "resample": 3,
            "do_center_crop": True,
            "crop_size": {"height": 224, "width": 224},
            "do_rescale": True,
            "rescale_factor": 1 / 255,
            "do_normalize": True,
            "image_mean": (0.48145466, 0.4578275, 0.40821073),
            "image_std": (0.26862954, 0.26130258, 0.27577711),
        }
    ),
    dim=(("projection_dim",),),
    default_dim=512,
    # Attention is causal and the vector is read at the end token, so what follows it may be dropped, exactly.
    padding="longest",
    tokens=77,
    lower_case=False,  # its tokeniser does
    halves=("float16", "bfloat16"),  # OpenAI trained and published it in float16
)
"""Radford et al. 2021, arXiv 2103.00020; also OpenCLIP's checkpoints in the format of transformers."""

SIGLIP = Family(
    name="siglip",
    model="SiglipModel",
    processor="SiglipImageProcessor",
    preprocessing=MappingProxyType(
        {
            "do_resize": True,
            "size": {"height": 224, "width": 224},
            "resample": 3,
            "do_rescale": True,
            "rescale_factor": 1 / 255,
            "do_normalize": True,
            "image_mean": (0.5, 0.5, 0.5),
            "image_std": (0.5, 0.5, 0.5),
        }
    ),
    dim=(("text_config", "projection_size"), ("text_config", "hidden_size")),
    default_dim=768,
    # Attention looks both ways, padding included, and the vector is read at the last place: as it was trained.
    padding="max_length",
    tokens=64,
    # SigLIP 2 was trained on lower case, but its checkpoints name a tokeniser (Gemma's) that keeps capitals:
    # https://huggingface.co/google/siglip2-base-patch16-224/discussions/22
    lower_case=True,
    # Trained in bfloat16; picture towers descended from it are known to leave the range of float16.
    halves=("bfloat16",),
)
"""Zhai et al. 2023, arXiv 2303.15343; also the checkpoints of SigLIP 2 that have a fixed resolution."""

SIGLIP2 = Family(
    name="siglip2",
    model="Siglip2Model",
    processor="Siglip2ImageProcessor",
    preprocessing=MappingProxyType(
        {
            "do_resize": True,
            "resample": 2,
            "do_rescale": True,
            "rescale_factor": 1 / 255,
            "do_normalize": True,
            "image_mean": (0.5, 0.5, 0.5),
            "image_std": (0.5, 0.5, 0.5),
            "patch_size": 16,
            "max_num_patches": 256,
        }
    ),
    dim=SIGLIP.dim,
    default_dim=768,
    padding="max_length",
    tokens=64,
    lower_case=True,
    halves=("bfloat16",),
)
"""SigLIP 2 NaFlex, which keeps the proportions of a picture: Tschannen et al. 2025, arXiv 2502.14786."""

FAMILIES = MappingProxyType({family.name: family for family in (CLIP, SIGLIP, SIGLIP2)})


AMPLE = 448
"""Pixels of a short side that lose nothing that a small network could see."""
STRIP = 8
"""Most that a picture's long side counts of its short one, where only the middle is looked at."""


class Unusable(ValueError):
    """A checkpoint's file says something that cannot be; the message is half a sentence about it."""


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


def number(config: Mapping[str, Any], places: tuple[tuple[str, ...], ...], default: int) -> int:
    """A size that config.json holds at one of several places, or the default. Raises Unusable."""
    for place in places:
        value: Any = config
        for name in place:
            value = value.get(name) if isinstance(value, dict) else None
        if value is not None:
            if type(value) is not int or not 0 < value <= 65536:
                raise Unusable(f"says {'.'.join(place)} = {value!r}, which makes no sense")
            return value
    return default


def describe(found: Mapping[str, Any]) -> str:
    """Preprocessing in words, such as `resize shortest 224 bicubic, crop 224x224, scale 1/255, mean ..., std ...`."""
    size, parts = found.get("size", {}), []
    if found["do_resize"]:
        to = (
            f"shortest {size['shortest_edge']}"
            if "shortest_edge" in size
            else f"{size.get('height')}x{size.get('width')}"
        )
        if "max_num_patches" in found:
            to = f"whole patches of {found['patch_size']}, at most {found['max_num_patches']}"
        parts.append(f"resize {to} {RESAMPLING[found['resample']]}")
    if found.get("do_center_crop"):
        parts.append(f"crop {found['crop_size']['height']}x{found['crop_size']['width']}")
    if found["do_rescale"]:
        factor = found["rescale_factor"]
        parts.append("scale 1/255" if math.isclose(factor, 1 / 255) else f"scale {factor:.8g}")
    if found["do_normalize"]:
        parts += [f"{name} " + "/".join(f"{v:.6g}" for v in found[f"image_{name}"]) for name in ("mean", "std")]
    return ", ".join(parts)


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


def precision_for(family: Family, asked: str | None, on_gpu: bool, bfloat16: bool) -> str:
    """The precision to run in: what was asked for, or the family's half on a GPU that has it. Raises Unusable."""
    if not asked:
        return family.halves[0] if on_gpu and (bfloat16 or family.halves[0] != "bfloat16") else "float32"
    if asked not in ("float32", *family.halves):
        raise Unusable(
            f"cannot run in {asked!r}: say float32 or {' or '.join(family.halves)}, as precision=... or as "
            f"SEEHEAR_PRECISION; the family {family.name} takes no other"
        )
    return asked


def middle(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """A picture without the ends of a strip: only its middle is looked at, and to enlarge it all may take gigabytes."""
    height, width, _ = pixels.shape
    top, left = max(0, height - STRIP * width) // 2, max(0, width - STRIP * height) // 2
    return pixels[top : height - top, left : width - left]


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
