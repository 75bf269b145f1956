"""Silero VAD v6 (https://github.com/snakers4/silero-vad, MIT): how likely somebody speaks, for each 32 milliseconds.

The weights are those that the package `faster-whisper` carries as data; they run in onnxruntime, many chunks at a time,
for a twentieth of what the same network costs chunk by chunk.
"""

from __future__ import annotations

import hashlib
import os
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from seehear.errors import EncoderError, MissingExtra

CHUNK = 512
"""Samples of one probability, at 16 kHz."""
CONTEXT = 64
"""Samples before a chunk that are looked at with it."""
STATE = (1, 1, 128)
"""Of the network's memory, of which there are two."""
FILE = "assets/silero_vad_v6.onnx"
SHA256 = "4cbf549b8326f60f80f2536d9eefeb450a9abe83365a098031c89719f1be17d2"
"""Of the file in faster-whisper 1.2.1."""
INSTALL = 'pip install "seehear[faster-whisper]"'


class Silero:
    """The network, with what it remembers of the sound so far."""

    def __init__(self) -> None:
        self._memory = np.zeros(STATE, np.float32), np.zeros(STATE, np.float32)

    def probabilities(self, chunks: NDArray[np.float32], before: NDArray[np.float32]) -> NDArray[np.float32]:
        """That somebody speaks in each of some chunks (n, CHUNK) that follow: (n,), 0 to 1.

        `before` (n, CONTEXT) is the end of what comes before each. Raises MissingExtra, EncoderError.
        """
        given = {"input": np.concatenate([before, chunks], axis=1), "h": self._memory[0], "c": self._memory[1]}
        found, *memory = session().run(None, given)
        self._memory = memory[0], memory[1]
        return np.asarray(found, np.float32).reshape(len(chunks))


@lru_cache(maxsize=1)
def session() -> Any:
    """The network's weights, loaded once in a process. Raises MissingExtra, EncoderError."""
    # From 1.29 on it tells its maker about models and machine, unless this is set before it is imported
    # (https://github.com/microsoft/onnxruntime/pull/27379).
    os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
    import onnxruntime

    package = find_spec("faster_whisper")  # found, not imported: only its data is wanted
    if package is None or not package.submodule_search_locations:
        raise MissingExtra(f"where somebody speaks is told by weights of faster-whisper, which is missing: {INSTALL}")
    path = Path(package.submodule_search_locations[0]) / FILE
    held = path.read_bytes() if path.is_file() else b""
    if hashlib.sha256(held).hexdigest() != SHA256:
        raise EncoderError(f"{path} is not that of faster-whisper 1.2.1: pip install faster-whisper==1.2.1")
    options = onnxruntime.SessionOptions()
    options.inter_op_num_threads = options.intra_op_num_threads = 1  # there are as many decoding processes as cores
    return onnxruntime.InferenceSession(held, options, providers=["CPUExecutionProvider"])
