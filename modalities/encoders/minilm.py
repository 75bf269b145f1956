"""all-MiniLM-L6-v2 in NumPy: words -> unit vectors, without the seconds that importing torch costs a single question.

The network is BERT (Devlin et al. 2018, arXiv 1810.04805) with six layers; a text is the mean of its tokens' last
states, scaled to unit length, as the model's sentence-transformers configuration says.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array = NDArray[np.float32]

DIM = 384
LAYERS = 6
HEADS = 12
TOKENS = 256  # of a text, the two special ones included; what follows is cut off
BATCH = 32  # texts: keeps the widest intermediate, (BATCH, TOKENS, 1536) float32, at 50 MB
FEW = 512  # tokens, padding included, from which on more threads are worth their waiting for each other
EPSILON = 1e-12  # of every layer normalisation


TURN = Lock()
"""How many threads BLAS has is the process's own, whoever of us changes it."""


class MiniLM:
    """The tokeniser and the weights; calling it embeds texts, from several threads if need be."""

    def __init__(self, folder: Path) -> None:
        """Load `tokenizer.json` and `model.safetensors` of a folder: ModuleNotFoundError without the three packages."""
        from safetensors.numpy import load_file
        from threadpoolctl import ThreadpoolController
        from tokenizers import Tokenizer

        self._weights: Mapping[str, Array] = load_file(folder / "model.safetensors")
        self._tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
        self._tokenizer.enable_truncation(TOKENS)
        self._tokenizer.no_padding()
        self._threads = ThreadpoolController()

    def __call__(self, texts: Sequence[str]) -> Array:
        """Embed texts: float32 (len(texts), 384), unit rows, in order."""
        tokens = [encoding.ids for encoding in self._tokenizer.encode_batch(list(texts))]
        # Texts of like length go together, so that little is computed for padding.
        order = sorted(range(len(tokens)), key=lambda place: len(tokens[place]))
        rows = np.empty((len(tokens), DIM), np.float32)
        for start in range(0, len(order), BATCH):
            places = order[start : start + BATCH]
            rows[places] = self._embed([tokens[place] for place in places])
        return rows

    def _embed(self, tokens: Sequence[Sequence[int]]) -> Array:
        longest = max(len(ids) for ids in tokens)
        padded = np.zeros((len(tokens), longest), np.int64)
        mask = np.zeros((len(tokens), longest), np.float32)
        for row, ids in enumerate(tokens):
            padded[row, : len(ids)] = ids
            mask[row, : len(ids)] = 1
        with self._one_thread() if padded.size <= FEW else nullcontext():
            states = self._states(padded, mask)
        vectors: Array = (states * mask[:, :, None]).sum(1)
        vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
        return vectors

    @contextmanager
    def _one_thread(self) -> Iterator[None]:
        """Let BLAS use one thread.

        Its threads wait for each other at every product, without sleeping: on a machine that has other work, a question
        that takes 6 ms now and then takes 200. One thread costs 1 ms more on an idle machine, and never that. The
        setting is the process's, so whoever makes it takes it back before the next one makes it.
        """
        with TURN, self._threads.limit(limits=1, user_api="blas"):
            yield

    def _states(self, ids: NDArray[np.int64], mask: Array) -> Array:
        """Last states (n, length, 384) of token ids (n, length), of which `mask` is 1 where there is a token."""
        embeddings, (count, length) = self._weights, ids.shape
        x: Array = embeddings["embeddings.word_embeddings.weight"][ids]
        x = x + embeddings["embeddings.position_embeddings.weight"][:length]
        x = x + embeddings["embeddings.token_type_embeddings.weight"][0]
        x = self._normalised(x, "embeddings.LayerNorm")
        unseen = (mask[:, None, None, :] - 1) * np.float32(1e9)  # added to attention: no weight on padding
        for layer in range(LAYERS):
            name = f"encoder.layer.{layer}"
            query, key, value = (
                self._linear(x, f"{name}.attention.self.{part}").reshape(count, length, HEADS, -1).transpose(0, 2, 1, 3)
                for part in ("query", "key", "value")
            )
            attention = query @ key.transpose(0, 1, 3, 2) * np.float32((DIM / HEADS) ** -0.5) + unseen
            attention -= attention.max(-1, keepdims=True)
            np.exp(attention, out=attention)
            attention /= attention.sum(-1, keepdims=True)
            mixed = (attention @ value).transpose(0, 2, 1, 3).reshape(count, length, DIM)
            x = self._normalised(
                x + self._linear(mixed, f"{name}.attention.output.dense"), f"{name}.attention.output.LayerNorm"
            )
            wide = gelu(self._linear(x, f"{name}.intermediate.dense"))
            x = self._normalised(x + self._linear(wide, f"{name}.output.dense"), f"{name}.output.LayerNorm")
        return x

    def _linear(self, x: Array, name: str) -> Array:
        # One large product instead of one for each text: NumPy does not join them by itself.
        flat = x.reshape(-1, x.shape[-1]) @ self._weights[f"{name}.weight"].T
        flat += self._weights[f"{name}.bias"]
        return flat.reshape(*x.shape[:-1], -1)

    def _normalised(self, x: Array, name: str) -> Array:
        x = x - x.mean(-1, keepdims=True)
        x /= np.sqrt((x * x).mean(-1, keepdims=True) + np.float32(EPSILON))
        return x * self._weights[f"{name}.weight"] + self._weights[f"{name}.bias"]


def gelu(x: Array) -> Array:
    """x * Phi(x), Phi the normal distribution: formula 7.1.26 of Abramowitz and Stegun, whose error is below 1.5e-7."""
    z = np.abs(x) * np.float32(0.5**0.5)
    t = 1 / (1 + np.float32(0.3275911) * z)
    tail = t * np.float32(1.061405429) - np.float32(1.453152027)
    for coefficient in (1.421413741, -0.284496736, 0.254829592):
        tail *= t
        tail += np.float32(coefficient)
    tail *= t
    tail *= np.exp(-z * z)  # = 1 - erf(z)
    tail *= np.float32(0.5)
    return x * np.where(x < 0, tail, 1 - tail)
