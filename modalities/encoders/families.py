"""What differs between the families of two-tower models, as rows of data; `checkpoint` and `towers` branch on no name.

A row is found by `model_type` in a checkpoint's config.json. What a row says of defaults is what transformers does
where a checkpoint's file says nothing; a test compares the two. `pictures` and `sounds` say what happens to each.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    pass

RESAMPLING = ("nearest", "lanczos", "bilinear", "bicubic", "box", "hamming")
"""Pillow's filters, each at the place of its number in a checkpoint's file."""


@dataclass(frozen=True, slots=True)
class Family:
    """How checkpoints of one architecture are fed."""

    name: str
    """`model_type` in config.json."""
    model: str
    """The class in transformers that holds both towers."""
    kind: Literal["image", "audio"]
    """What it embeds beside words."""
    processor: str
    """The class in transformers that prepares pictures (with Pillow; files name it without `Pil`) or sounds."""
    preprocessing: Mapping[str, Any]
    """Everything that a file may say about pictures or sounds, and what holds where it says nothing."""
    dim: tuple[tuple[str, ...], ...]
    """Where config.json has the length of a vector; the first place that holds a number counts."""
    default_dim: int
    """The length where config.json says nothing."""
    padding: Literal["longest", "max_length"]
    """`longest` only where what follows the end of a text cannot change its vector."""
    masked: bool
    """Whether the network must be told what is padding."""
    tokens: int
    """Longest text where `max_position_embeddings` says nothing, special tokens included."""
    skipped: int
    """How many of the `max_position_embeddings` no token can have."""
    attention: Literal["sdpa", "eager"]
    """The faster way to compute attention that its class has; named, so that no config names code to be fetched."""
    lower_case: bool
    """Whether texts must be lower-cased because the tokeniser of some checkpoints forgets to."""
    halves: tuple[str, ...]
    """Other precisions than float32 that it may run in; the first, or float32 named first, is the default on a GPU."""


CLIP = Family(
    name="clip",
    model="CLIPModel",
    kind="image",
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
    masked=False,  # the end token does not see what follows it
    tokens=77,
    skipped=0,
    attention="sdpa",
    lower_case=False,  # its tokeniser does
    halves=("float16", "bfloat16"),  # OpenAI trained and published it in float16
)
"""Radford et al. 2021, arXiv 2103.00020; also OpenCLIP's checkpoints in the format of transformers."""

SIGLIP = Family(
    name="siglip",
    model="SiglipModel",
    kind="image",
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
    masked=False,
    tokens=64,
    skipped=0,
    attention="sdpa",
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
    kind="image",
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
    masked=False,
    tokens=64,
    skipped=0,
    attention="sdpa",
    lower_case=True,
    halves=("bfloat16",),
)
"""SigLIP 2 NaFlex, which keeps the proportions of a picture: Tschannen et al. 2025, arXiv 2502.14786."""

CLAP = Family(
    name="clap",
    model="ClapModel",
    kind="audio",
    processor="ClapFeatureExtractor",
    preprocessing=MappingProxyType(
        {
            "feature_size": 64,
            "sampling_rate": 48_000,
            "hop_length": 480,
            "max_length_s": 10,
            "fft_window_size": 1024,
            "frequency_min": 0,
            "frequency_max": 14_000,
            "truncation": "fusion",
            "padding": "repeatpad",
        }
    ),
    dim=(("projection_dim",),),
    default_dim=512,
    padding="longest",
    masked=True,  # RoBERTa looks both ways
    tokens=514,
    skipped=2,  # RoBERTa counts its places from two
    attention="eager",
    lower_case=False,
    halves=("float32", "bfloat16", "float16"),  # half of it saves little: its network for sounds is small
)
"""Wu et al. 2023, arXiv 2211.06687: LAION's CLAP, fused or not."""

FAMILIES = MappingProxyType({family.name: family for family in (CLIP, SIGLIP, SIGLIP2, CLAP)})


class Unusable(ValueError):
    """A checkpoint's file says something that cannot be; the message is half a sentence about it."""


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
    if "sampling_rate" in found:
        return (
            f"windows of {found['max_length_s']} s at {found['sampling_rate']} Hz, {found['padding']}, averaged; "
            f"{found['feature_size']} mel bands of {found['frequency_min']}-{found['frequency_max']} Hz every "
            f"{found['hop_length']} of {found['fft_window_size']}, {found['truncation']}"
        )
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


def precision_for(family: Family, asked: str | None, on_gpu: bool, bfloat16: bool) -> str:
    """The precision to run in: what was asked for, or the family's half on a GPU that has it. Raises Unusable."""
    if not asked:
        return family.halves[0] if on_gpu and (bfloat16 or family.halves[0] != "bfloat16") else "float32"
    if asked not in ("float32", *family.halves):
        known = " or ".join(dict.fromkeys(("float32", *family.halves)))
        raise Unusable(
            f"cannot run in {asked!r}: say {known}, as precision=... or as SEEHEAR_PRECISION; "
            f"the family {family.name} takes no other"
        )
    return asked
