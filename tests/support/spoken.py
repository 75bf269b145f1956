"""Speech for tests, where no recording is at hand: eSpeak NG reads a text aloud, always with the same samples."""

from __future__ import annotations

import ctypes
from functools import cache
from typing import Any

import espeakng_loader
import numpy as np
from numpy.typing import NDArray

from seehear.types import Waveform

RETRIEVAL, UTF8, SPEED = 1, 1, 1  # constants of speak_lib.h
WORDS_A_MINUTE = 140


def spoken(text: str) -> Waveform:
    """A text in the voice `en-us`, at the 22,050 Hz of the synthesiser."""
    library, rate = synthesiser()
    parts: list[NDArray[np.int16]] = []

    @ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.c_void_p)
    def receive(samples: Any, count: int, _: Any) -> int:
        if samples and count:
            parts.append(np.ctypeslib.as_array(samples, (count,)).copy())
        return 0

    library.espeak_SetSynthCallback(receive)
    said = text.encode()
    library.espeak_Synth(said, len(said) + 1, 0, 0, 0, UTF8, None, None)
    library.espeak_Synchronize()
    return Waveform(np.concatenate(parts).astype(np.float32) / 32768, rate)


@cache
def synthesiser() -> tuple[Any, int]:
    """The library, once for the process, and its rate in Hz."""
    library = ctypes.CDLL(espeakng_loader.get_library_path())
    rate = library.espeak_Initialize(RETRIEVAL, 0, espeakng_loader.get_data_path().encode(), 0)
    library.espeak_SetVoiceByName(b"en-us")
    library.espeak_SetParameter(SPEED, WORDS_A_MINUTE, 0)
    return library, rate
