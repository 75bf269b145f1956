"""A Whisper model of CTranslate2 as a checkpoint that openai-whisper loads, so that both run on the same weights.

For tests and measuring only. It reads `model.bin` of format 6 (WhisperSpec, revision 3) with float weights.
"""

from __future__ import annotations

import re
import struct
from pathlib import Path
from typing import IO, Any

import numpy as np
import torch
from numpy.typing import NDArray

TYPES = {0: np.float32, 1: np.int8, 2: np.int16, 3: np.int32, 4: np.float16}
NAMES = {
    "self_attention/layer_norm": "attn_ln",
    "self_attention/linear_1": "attn.out",
    "attention/layer_norm": "cross_attn_ln",
    "attention/linear_0": "cross_attn.query",
    "attention/linear_2": "cross_attn.out",
    "ffn/layer_norm": "mlp_ln",
    "ffn/linear_0": "mlp.0",
    "ffn/linear_1": "mlp.2",
    "embeddings/weight": "token_embedding.weight",
    "position_encodings/encodings": "positional_embedding",
    "gamma": "weight",
    "beta": "bias",
}
FUSED = {
    "self_attention/linear_0": ("attn.query", "attn.key", "attn.value"),
    "attention/linear_1": ("cross_attn.key", "cross_attn.value"),
}


def convert(folder: Path, target: Path) -> Path:
    """Write the model of a folder to a `.pt` of openai-whisper: {"dims", "model_state_dict"}, float32."""
    with (folder / "model.bin").open("rb") as file:
        found = variables(file)
    state: dict[str, torch.Tensor] = {}
    for name, values in found.items():
        if values.ndim:
            state |= {to: torch.from_numpy(part.astype(np.float32)) for to, part in renamed(name, values).items()}
    torch.save({"dims": dimensions(found), "model_state_dict": state}, target)
    return target


def variables(file: IO[bytes]) -> dict[str, NDArray[Any]]:
    """Every variable of a model.bin, by name; what is only another name of one is left out."""

    def number(kind: str) -> int:
        (value,) = struct.unpack(f"<{kind}", file.read(struct.calcsize(kind)))
        return int(value)

    def text() -> str:
        return file.read(number("H")).rstrip(b"\0").decode()

    version, spec, revision = number("I"), text(), number("I")
    if (version, spec, revision) != (6, "WhisperSpec", 3):
        raise ValueError(f"{spec} revision {revision} in format {version} is not known here")
    found = {}
    for _ in range(number("I")):
        name = text()
        shape = [number("I") for _ in range(number("B"))]
        kind, size = TYPES[number("B")], number("I")
        found[name] = np.frombuffer(file.read(size), kind).reshape(shape)
    return found


def renamed(name: str, values: NDArray[Any]) -> dict[str, NDArray[Any]]:
    """The same numbers under the names of openai-whisper; what CTranslate2 has joined is parted."""
    name = re.sub(r"layer_(\d)", r"blocks.\1", name)
    tower, _, rest = name.partition("/")
    rest = re.sub(r"^layer_norm/", "ln_post/" if tower == "encoder" else "ln/", rest)
    for joined, parts in FUSED.items():
        if re.search(rf"(?:^|/){joined}/", rest):
            names = [rest.replace(joined, part) for part in parts]
            pieces = np.split(values, len(parts))
            # A key has no bias in Whisper; CTranslate2 stores zeros.
            return {
                spelled(tower, to): piece
                for to, piece in zip(names, pieces, strict=True)
                if not to.endswith("key/bias")
            }
    for old, new in NAMES.items():
        rest = re.sub(rf"(^|/){old}(?=/|$)", rf"\g<1>{new}", rest)
    return {spelled(tower, rest): values}


def spelled(tower: str, rest: str) -> str:
    return f"{tower}/{rest}".replace("/", ".")


def dimensions(found: dict[str, NDArray[Any]]) -> dict[str, int]:
    """What openai-whisper calls a model's dimensions, from the shapes of its variables."""

    def layers(tower: str) -> int:
        return len({name.split("/")[1] for name in found if re.match(rf"{tower}/layer_\d", name)})

    n_vocab, text_state = found["decoder/embeddings/weight"].shape
    audio_ctx, audio_state = found["encoder/position_encodings/encodings"].shape
    return {
        "n_mels": found["encoder/conv1/weight"].shape[1],
        "n_audio_ctx": audio_ctx,
        "n_audio_state": audio_state,
        "n_audio_head": int(found["encoder/num_heads"]),
        "n_audio_layer": layers("encoder"),
        "n_vocab": n_vocab,
        "n_text_ctx": found["decoder/position_encodings/encodings"].shape[0],
        "n_text_state": text_state,
        "n_text_head": int(found["decoder/num_heads"]),
        "n_text_layer": layers("decoder"),
    }
