"""Bringing networks of transformers into memory: with all their weights, on a device that is there, and quietly."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from importlib import import_module
from threading import Lock
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from seehear.errors import EncoderError

from .checkpoint import PACKAGES, Checkpoint
from .extras import extra
from .hub import AGAIN, panicked, read_json, spoken_for, why

if TYPE_CHECKING:
    import torch
    from numpy.typing import NDArray

    Array = NDArray[np.float32]

T = TypeVar("T")
QUIET = Lock()  # what `quiet` changes belongs to the whole process


def load_tokenizer(checkpoint: Checkpoint) -> Any:
    """The tokeniser, as transformers makes it of the checkpoint's files: EncoderError, MissingExtra."""
    from transformers import AutoTokenizer

    said = checkpoint.folder / "tokenizer_config.json"
    named = str(read_json(checkpoint.address, said).get("tokenizer_class")) if said.is_file() else ""
    needed = PACKAGES.get(named.removesuffix("Fast"), ())
    with extra("clip", *needed):
        for package in needed:
            import_module(package)
    with spoken_for(f"The tokeniser of {checkpoint.address.given} cannot be loaded"), quiet():
        tokenizer = AutoTokenizer.from_pretrained(checkpoint.folder, trust_remote_code=False, local_files_only=True)
    tokenizer.padding_side = tokenizer.truncation_side = "right"  # some classes pad on the left if no file says where
    return tokenizer


def load_model(checkpoint: Checkpoint, dtype: torch.dtype) -> Any:
    """The network with all its weights, from safetensors only: EncoderError. None is ever made up."""
    import transformers

    given = checkpoint.address.given
    try:
        with quiet():
            model, info = getattr(transformers, checkpoint.family.model).from_pretrained(
                checkpoint.folder,
                dtype=dtype,
                attn_implementation=checkpoint.family.attention,
                use_safetensors=True,
                trust_remote_code=False,
                local_files_only=True,
                ignore_mismatched_sizes=True,  # to be told about them
                output_loading_info=True,
            )
    except Exception as error:  # whatever a broken file makes of it
        raise EncoderError(f"The weights of {given} cannot be loaded ({why(error)}): {AGAIN}") from error
    for what in ("missing", "unexpected", "mismatched"):
        if names := sorted(name if isinstance(name, str) else name[0] for name in info[f"{what}_keys"]):
            raise EncoderError(
                f"The weights of {given} do not fit its config.json: {len(names)} {what}, such as {names[0]}. "
                "Get both files again from one place."
            )
    return model.eval()


def choose_device(given: str | None, needed: Sequence[str]) -> torch.device:
    """The device that was asked for (here or by SEEHEAR_DEVICE), or the fastest there is. Raises EncoderError.

    `needed` is the extra, and its packages: MissingExtra.
    """
    with extra(*needed):
        import torch

    there = ["cpu", *(f"cuda:{number}" for number in range(torch.cuda.device_count()))]
    there += ["mps"] if torch.backends.mps.is_available() else []
    asked = given or os.environ.get("SEEHEAR_DEVICE") or ("cuda" if "cuda:0" in there else there[-1])
    if (asked if asked != "cuda" else "cuda:0") not in there:
        raise EncoderError(
            f"There is no device {asked!r} here, only {', '.join(there)}: say one of them as device=..., or as "
            "SEEHEAR_DEVICE (for cuda, PyTorch must be installed with CUDA)."
        )
    return torch.device(asked)


def in_batches(
    every: Sequence[T], batch: int, embed: Callable[[Sequence[T]], Array], given: str, device: torch.device
) -> Array:
    """What `embed` makes of all, at most `batch` at once: rows, in order. Of `given`, on `device`.

    For how many the device has memory depends on who else uses it: where it has too little, half as many are tried.
    Raises EncoderError where there is not enough for one.
    """
    import torch

    rows, start = [], 0
    while start < len(every):
        batch = min(batch, len(every) - start)
        try:
            rows.append(embed(every[start : start + batch]))
            start += batch
        except torch.OutOfMemoryError as error:
            if batch == 1:
                raise full(given, device) from error
            batch = -(-batch // 2)
        except BaseException as error:  # tokens that the network does not know, or a rule that never ends
            if not isinstance(error, IndexError) and not panicked(error):
                raise
            raise EncoderError(f"{given} has a tokeniser that is no use to it ({why(error)}): {AGAIN}") from error
    return np.concatenate(rows)


def full(given: str, device: torch.device) -> EncoderError:
    """What to say where a device has too little memory for a model, or for what it makes of one content."""
    return EncoderError(
        f"{device} has no memory left for {given}: end what else runs there, or say another device, as device=... or "
        "as SEEHEAR_DEVICE (cpu is always there)."
    )


@contextmanager
def quiet() -> Iterator[None]:
    """Keep to ourselves what transformers logs and draws while it loads: what matters of it becomes an error."""
    logging: Any = import_module("transformers.utils.logging")
    with QUIET:
        level, drawn = logging.get_verbosity(), logging.is_progress_bar_enabled()
        logging.set_verbosity(50)
        logging.disable_progress_bar()
        try:
            yield
        finally:
            logging.set_verbosity(level)
            if drawn:
                logging.enable_progress_bar()
