"""Checkpoints of every family that weigh some hundred kilobytes: random, but the same for the same seed.

Their tokenisers are real ones with a vocabulary of letters, so every text has vectors of its own; their weights are
wide enough that a picture prepared wrongly is far from the same picture prepared rightly.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import string
from pathlib import Path
from typing import Any

FAMILIES = ("clip", "siglip", "siglip2")
"""Those of pictures; for sounds there are `clap` and `clap-fused`."""
SIDE = 64
"""Pixels, both ways, that the tiny networks of `clip` and `siglip` take; `siglip2` takes 256 patches of 16."""
DIM = 24
"""Length of the vectors of `clip`; the others have vectors as long as their layers are wide, 32."""

Parts = dict[str, Any]

os.environ.setdefault("HF_HUB_OFFLINE", "1")  # the hub's client reads it only when it is imported


def tiny(family: str, folder: Path, seed: int = 0, side: int = SIDE) -> Path:
    """Make a checkpoint of a family (see FAMILIES) in a folder, and return the folder.

    The files are those of the hub: config.json, model.safetensors, tokenizer.json, tokenizer_config.json and
    preprocessor_config.json. As there, `siglip` has Gemma's tokeniser, which keeps capitals. `side` is that of the
    pictures that the network takes (`clip` and `siglip` only).
    """
    import torch
    from transformers.utils import logging

    logging.set_verbosity_error()
    logging.disable_progress_bar()
    folder.mkdir(parents=True, exist_ok=True)
    made = {"clip": _clip, "siglip": _siglip, "siglip2": _siglip2, "clap": _clap, "clap-fused": _fused}
    tokenizer, processor, model = made[family](side)
    random = torch.Generator().manual_seed(seed)
    gain = 3 if family.startswith("clap") else 1.5
    with torch.no_grad():
        for name, weight in model.named_parameters():
            weight.normal_(generator=random)
            if "norm" in name.lower() and name.endswith("weight"):
                weight.mul_(0.1).add_(1)
            elif weight.ndim < 2:
                weight.mul_(0.1)
            elif "embedding" not in name or weight.ndim == 4:
                weight.mul_(gain * (weight[0].numel()) ** -0.5)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    processor.save_pretrained(folder)
    return folder


def as_hub(folder: Path, cache: Path, name: str, commit: str, ref: str = "main") -> Path:
    """Lay the files of a folder out as the hub's client caches them; return the snapshot.

    `name` is the model id, `commit` 40 hexadecimal digits, `ref` the branch (or `refs/pr/N`) that points to it.
    """
    home = cache / f"models--{name.replace('/', '--')}"
    snapshot = home / "snapshots" / commit
    for part in (home / "blobs", snapshot, (home / "refs" / ref).parent):
        part.mkdir(parents=True, exist_ok=True)
    (home / "refs" / ref).write_text(commit)
    for path in (path for path in folder.rglob("*") if path.is_file()):
        blob, link = home / "blobs" / hashlib.sha256(path.read_bytes()).hexdigest(), snapshot / path.relative_to(folder)
        blob.write_bytes(path.read_bytes())
        link.parent.mkdir(parents=True, exist_ok=True)
        link.symlink_to(blob)
    return snapshot


def change(path: Path, **values: Any) -> None:
    """Set entries of a JSON file; a value of None removes one."""
    found = json.loads(path.read_text()) | values
    path.write_text(json.dumps({name: value for name, value in found.items() if value is not None}))


def _clip(side: int) -> tuple[Any, Any, Any]:
    from transformers import CLIPConfig, CLIPImageProcessorPil, CLIPModel, CLIPTokenizer

    letters = string.ascii_lowercase + string.digits + ",.!?'-"
    pieces = [*letters, *(f"{letter}</w>" for letter in letters), "<|startoftext|>", "<|endoftext|>"]
    tokenizer = CLIPTokenizer(
        vocab={piece: number for number, piece in enumerate(pieces)}, merges=[], model_max_length=77
    )
    ids = {"bos_token_id": len(pieces) - 2, "eos_token_id": len(pieces) - 1, "pad_token_id": len(pieces) - 1}
    layers = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4}
    config = CLIPConfig(
        text_config={**layers, **ids, "vocab_size": len(pieces)},
        vision_config={**layers, "image_size": side, "patch_size": 16},
        projection_dim=DIM,
    )
    size = {"size": {"shortest_edge": side}, "crop_size": {"height": side, "width": side}}
    return tokenizer, CLIPImageProcessorPil(**size), CLIPModel(config)


def _siglip(side: int) -> tuple[Any, Any, Any]:
    from transformers import SiglipConfig, SiglipImageProcessorPil, SiglipModel

    tokenizer, text, vision = _gemma()
    config = SiglipConfig(text_config=text, vision_config={**vision, "image_size": side})
    return tokenizer, SiglipImageProcessorPil(size={"height": side, "width": side}), SiglipModel(config)


def _siglip2(_: int) -> tuple[Any, Any, Any]:
    from transformers import Siglip2Config, Siglip2ImageProcessorPil, Siglip2Model

    tokenizer, text, vision = _gemma()
    config = Siglip2Config(text_config=text, vision_config={**vision, "num_patches": 16})
    return tokenizer, Siglip2ImageProcessorPil(), Siglip2Model(config)


def _clap(_: int, fused: bool = False) -> tuple[Any, Any, Any]:
    from tokenizers import Tokenizer, models, pre_tokenizers, processors
    from transformers import ClapConfig, ClapFeatureExtractor, ClapModel, RobertaTokenizerFast

    pieces = ["<s>", "<pad>", "</s>", "<unk>", "<mask>", *string.printable[:94], "\u0120"]
    letters = Tokenizer(models.BPE({piece: number for number, piece in enumerate(pieces)}, []))
    letters.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    letters.post_processor = processors.RobertaProcessing(("</s>", 2), ("<s>", 0))
    layers = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4}
    config = ClapConfig(
        text_config={**layers, "vocab_size": len(pieces), "max_position_embeddings": 66},
        audio_config={
            "spec_size": 256, "num_mel_bins": 64, "patch_embeds_hidden_size": 8, "hidden_size": 32,
            "depths": [1, 1, 1], "num_attention_heads": [2, 2, 2], "window_size": 8, "num_hidden_layers": 3,
            "enable_fusion": fused, "aff_block_r": 2,
        },
        projection_dim=DIM,
    )  # fmt: skip
    tokenizer = RobertaTokenizerFast(tokenizer_object=letters, model_max_length=64)
    extractor = ClapFeatureExtractor(truncation="fusion" if fused else "rand_trunc", frequency_min=50)
    model = ClapModel(config)
    model.audio_model.audio_encoder.batch_norm.running_mean.fill_(-30)  # decibels, as those of recordings are
    model.audio_model.audio_encoder.batch_norm.running_var.fill_(400)
    return tokenizer, extractor, model


def _fused(side: int) -> tuple[Any, Any, Any]:
    return _clap(side, fused=True)


def _gemma() -> tuple[Any, Parts, Parts]:
    from transformers import GemmaTokenizer

    special = ["<pad>", "<eos>", "<bos>", "<unk>", "<mask>", "\u2581"]
    bytes_ = [f"<0x{number:02X}>" for number in range(256)]
    pieces = [*special, *bytes_, *string.ascii_letters, *string.digits, *",.!?'-"]
    tokenizer = GemmaTokenizer(
        vocab={piece: number for number, piece in enumerate(pieces)},
        merges=[],
        add_bos_token=False,
        add_eos_token=True,
        padding_side="right",
        model_max_length=64,
    )
    layers = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4}
    ids = {"bos_token_id": 2, "eos_token_id": 1, "pad_token_id": 0}
    return tokenizer, {**layers, **ids, "vocab_size": len(pieces)}, {**layers, "patch_size": 16}


def tiny_sentence(folder: Path, seed: int = 0, dense: int | None = None, prompts: Parts | None = None) -> Path:
    """Make a sentence-transformers model (BERT, the mean of its tokens, vectors of 32 or `dense`) in a folder."""
    import torch
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer.modules import Dense, Normalize, Pooling, Transformer
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
    from transformers import BertConfig, BertModel, BertTokenizerFast
    from transformers.utils import logging

    logging.set_verbosity_error()
    logging.disable_progress_bar()
    letters = string.printable[:94]
    pieces = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *letters, *(f"##{letter}" for letter in letters)]
    words = Tokenizer(models.WordPiece({piece: number for number, piece in enumerate(pieces)}, unk_token="[UNK]"))  # noqa: S106 - no password
    words.normalizer, words.pre_tokenizer = normalizers.BertNormalizer(), pre_tokenizers.BertPreTokenizer()
    words.post_processor = processors.BertProcessing(("[SEP]", 3), ("[CLS]", 2))
    tokenizer = BertTokenizerFast(tokenizer_object=words, model_max_length=64)
    layers = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4}
    torch.manual_seed(seed)
    network = BertModel(BertConfig(**layers, vocab_size=len(pieces), max_position_embeddings=64, initializer_range=0.5))
    network.save_pretrained(folder / "bert")
    tokenizer.save_pretrained(folder / "bert")
    modules = [
        Transformer(str(folder / "bert")),
        Pooling(32, "mean"),
        *([Dense(32, dense)] if dense else []),
        Normalize(),
    ]
    model = SentenceTransformer(modules=modules, prompts=prompts, device="cpu")
    model.save_pretrained(str(folder), create_model_card=False)
    shutil.rmtree(folder / "bert")
    return folder
