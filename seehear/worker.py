"""A decoding process: reads jobs from its standard input, and answers with segments on its standard output.

A message is four bytes of length and as many of JSON; pixels and samples follow as a message of their own. It runs as
`python -m seehear.worker`, is started by `seehear.pool`, gives up what it does not need (`seehear.confinement`), and
may die of any file.
"""

from __future__ import annotations

import base64
import faulthandler
import hashlib
import io
import json
import os
import signal
import struct
import sys
import time
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, replace
from io import BufferedRandom
from pathlib import Path
from typing import IO, Any, TypeVar

import numpy as np

from seehear.confinement import allow_time, confine
from seehear.contracts import Modality
from seehear.errors import MediaNote, MissingPart, SeehearError, UnsupportedMedia
from seehear.handle import Handle
from seehear.looking import looked
from seehear.media import VIDEO_TYPES, Limits, open_source, too_much_memory
from seehear.metadata import checked
from seehear.registry import load
from seehear.types import Content, Needs, Picture, Source, Text

T = TypeVar("T")

LATE = 1
"""Exit status with which `faulthandler` ends a process that took too long."""
ENCODING = 4
"""Times as much memory as to decode that it takes to write H.264 too, on many cores."""
BROKEN = 70
"""Exit status of a process that failed in any other way (EX_SOFTWARE of sysexits.h)."""


def serve(requests: IO[bytes], replies: IO[bytes], *, confined: bool = False) -> None:
    """Body of a decoding process: one file after another until the pipe closes.

    Once it is `confined`, this process can do little else.
    """
    setup = json.loads(receive(requests))
    limits = Limits(**setup["limits"])
    modalities = [load(name)(limits) for name in setup["modalities"]]
    needs = Needs(**setup["needs"])
    # What is written is opened before anything can be done wrong; then nothing can be opened for writing any more.
    out = open(bytes.fromhex(setup["out"]), "r+b") if "out" in setup else None  # noqa: PTH123, SIM115
    if confined:
        memory = int(limits.memory) * (1 if out is None else ENCODING)
        send(replies, {"event": "confined", "lacks": confine(memory, writes=out is not None)})
    while True:
        try:
            job = json.loads(receive(requests))
        except EOFError:
            return
        reply: dict[str, Any] = {"event": "finished", "error": None, "message": ""}
        if confined:
            allow_time(limits.duration)
        try:
            messages = _looked(job, limits, out) if "look" in job else _messages(job, modalities, needs, limits)
            for message, payload in _in_time(messages, limits.seconds):
                send(replies, message)
                if payload is not None:
                    send_bytes(replies, payload)
        except SeehearError as error:
            reply |= {"error": type(error).__name__, "message": str(error)}
        except MemoryError:
            reply |= {"error": "MediaTooLarge", "message": too_much_memory(limits)}
        except Exception as error:  # a modality's own bug costs the file, not the process
            reply |= {"error": "DamagedMedia", "message": f"it cannot be decoded ({type(error).__name__}: {error})"}
        send(replies, reply)


def _messages(
    job: dict[str, Any], modalities: list[Modality], needs: Needs, limits: Limits
) -> Iterator[tuple[dict[str, Any], memoryview | None]]:
    """What there is to say about one file: what it is, then its segments, the pixels or samples of each behind it."""
    with warnings.catch_warnings(record=True) as raised:
        warnings.simplefilter("ignore")
        warnings.simplefilter("always", MediaNote)
        with _source(job, limits, modalities) as source:
            modality = next((m for m in modalities if source.type in m.types), None)
            if modality is None:
                raise UnsupportedMedia(f"it is {source.type}, which no modality of this library reads")
            opened = {"modality": modality.name, "content": source.content, "size": source.size}
            yield {"event": "opened", **opened, "mtime_ns": source.mtime_ns, "settings": modality.settings}, None
            if source.content in job["unless"]:
                return
            for piece in modality.segments(source, needs):
                if isinstance(source.file, Handle):
                    source.file.check()  # whoever still writes to a long recording must not be listened to in vain
                if piece is None:
                    yield {"event": "alive"}, None
                    continue
                segment, content = piece
                message, payload = _packed(content)
                told = asdict(replace(segment, metadata=checked(segment.metadata)))
                told["thumbnail"] = base64.b64encode(segment.thumbnail).decode()
                yield {"event": "piece", "segment": told, **message}, payload
        for note in (one.message for one in raised):
            channels = note.channels if isinstance(note, MissingPart) else ()
            yield {"event": "note", "message": str(note), "channels": channels}, None


@contextmanager
def _source(job: dict[str, Any], limits: Limits, modalities: list[Modality]) -> Iterator[Source]:
    """The file of a job, or the text that it brings along."""
    path = _path(job)
    if job["text"] is None:
        with open_source(path, job["key"], limits, within=job["within"]) as source:
            yield _told_by_streams(source, modalities, limits)
    else:
        data = job["text"].encode("utf-8", "surrogatepass")
        content = hashlib.sha256(data).hexdigest()
        yield Source(job["key"], path, "text/plain", content, len(data), 0, io.BytesIO(data))


def _told_by_streams(source: Source, modalities: list[Modality], limits: Limits) -> Source:
    """A container of videos that holds no pictures, or at whose pictures nobody looks, is a recording of sound."""
    if source.type not in VIDEO_TYPES:
        return source
    from seehear.frames import has_pictures

    looked_at = any(source.type in modality.types for modality in modalities) and has_pictures(source, limits)
    return source if looked_at else replace(source, type=source.type.replace("video/", "audio/"))


def _looked(
    job: dict[str, Any], limits: Limits, out: BufferedRandom | None
) -> Iterator[tuple[dict[str, Any], memoryview | None]]:
    """Pictures for `seehear.viewing`."""
    told = time.monotonic()

    def alive() -> None:
        nonlocal told
        if time.monotonic() > told + 1:
            told = time.monotonic()
            faulthandler.dump_traceback_later(limits.seconds, exit=True)

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for picture in looked(_path(job), job, limits, out, alive):
            message, payload = _packed(picture)
            yield {"event": "picture", **message}, payload


def _path(job: dict[str, Any]) -> Path:
    return Path(os.fsdecode(bytes.fromhex(job["path"])))


def _packed(content: Content) -> tuple[dict[str, Any], memoryview | None]:
    if isinstance(content, Text):
        return {"text": content.text}, None
    if isinstance(content, Picture):
        pixels = np.ascontiguousarray(content.pixels)
        return {"shape": pixels.shape}, pixels.data.cast("B")
    samples = np.ascontiguousarray(content.samples, np.float32)
    return {"rate": content.rate}, samples.view(np.uint8).data


def _in_time(pieces: Iterator[T], seconds: float) -> Iterator[T]:
    """Pass pieces on; end the process when one takes too long, even inside a C library that holds the interpreter."""
    while True:
        faulthandler.dump_traceback_later(seconds, exit=True)
        piece = next(pieces, None)
        faulthandler.cancel_dump_traceback_later()
        if piece is None:
            return
        yield piece


def send(pipe: IO[bytes], message: Mapping[str, Any]) -> None:
    send_bytes(pipe, json.dumps(message).encode())


def send_bytes(pipe: IO[bytes], payload: bytes | memoryview) -> None:
    pipe.write(struct.pack(">I", len(payload)))
    pipe.write(payload)
    pipe.flush()


def receive(pipe: IO[bytes]) -> bytes:
    (length,) = struct.unpack(">I", _exactly(pipe, 4))
    return _exactly(pipe, length)


def _exactly(pipe: IO[bytes], length: int) -> bytes:
    payload = pipe.read(length)
    if len(payload) < length:
        raise EOFError("its pipe closed")
    return payload


if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # whoever started us says when it is over: his pipe closes
    # A library that prints must not garble the replies: they get a descriptor of their own.
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    try:
        serve(sys.stdin.buffer, answers, confined=True)
    except BaseException:
        sys.exit(BROKEN)
