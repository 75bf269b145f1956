"""A checkpoint of openai-whisper whose weights are chance: small, for tests of everything but what is heard."""

from __future__ import annotations

from pathlib import Path

import torch
from whisper.model import ModelDimensions, Whisper

ENGLISH, MANY = 51_864, 51_865
"""Sizes of the vocabularies, by which the package tells whether a model knows one language or the first 99."""


def untrained(target: Path, vocabulary: int) -> Path:
    """Write a model with the layers and heads of tiny, but a few numbers wide."""
    torch.manual_seed(0)
    sizes = {"n_audio_state": 12, "n_audio_head": 6, "n_audio_layer": 1, "n_text_state": 12, "n_text_head": 6}
    dims = {"n_mels": 80, "n_audio_ctx": 1500, "n_vocab": vocabulary, "n_text_ctx": 448, "n_text_layer": 4, **sizes}
    torch.save({"dims": dims, "model_state_dict": dict(Whisper(ModelDimensions(**dims)).state_dict())}, target)
    return target
