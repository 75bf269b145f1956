"""The encoder `sentence`: passages and questions through a model of sentence-transformers.

Importing this module loads neither PyTorch nor sentence-transformers.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from seehear.errors import EncoderError
from seehear.types import Content, Kind, Needs, Role, Text

from .extras import extra
from .hub import AGAIN, panicked, why
from .loading import choose_device, full, in_batches, quiet
from .sentence_model import NEEDED, SentenceModel, address_of, fetch, find

if TYPE_CHECKING:
    import torch
    from numpy.typing import NDArray

    Array = NDArray[np.float32]

PRECISIONS = ("float32", "bfloat16", "float16")
UNLISTED = {"canine", "dpr", "embedding_gemma2_text", "longt5", "t5gemma2_encoder"}
"""Networks of words for which transformers has none of the tasks that others are known by."""


class Sentence:
    """Words in the space of a sentence-transformers model. May be used by several threads at once.

    A text is words, whatever it looks like: no path or address in it is ever opened.
    """

    takes: Final[frozenset[Kind]] = frozenset({"text"})

    def __init__(
        self,
        model: str | Path,
        *,
        device: str | None = None,
        precision: str | None = None,
        cache: Path | None = None,
    ) -> None:
        """Load nothing. Raises EncoderError for a name that cannot be one.

        `model` is a model id of the hub, with `@REVISION` if you like (without an organisation: of
        sentence-transformers), or a folder: a Path, or what begins with `/`, `.` or `~`. `device` (or SEEHEAR_DEVICE)
        is `cpu`, `cuda`, `cuda:1` or `mps`; the fastest there is if nothing is said. `precision` (or
        SEEHEAR_PRECISION) is float32, bfloat16 or float16; bfloat16 on a GPU that has it if nothing is said. `cache`
        is the hub's cache, if it is not where the hub's client has it.
        """
        self._address = address_of(model)
        self._device, self._precision, self._cache = device, precision, cache
        self._found: SentenceModel | None = None
        self._model: Any = None
        self._lock, self._running = Lock(), Lock()

    @property
    def name(self) -> str:
        """The model's own name, without organisation, revision or path."""
        return self._address.name.rpartition("/")[2]

    @property
    def dim(self) -> int:
        """Length of a vector, from the model's small files. Fetches a model that is not here: EncoderError."""
        return self._fetched().dim

    @property
    def needs(self) -> Needs:
        """The longest passage that it reads, less its prompt, and what to count with. Never fetches."""
        found = self._here()
        if found is None or found.tokens is None:
            return Needs(tokenizer=found.counts if found else None)
        # A prompt is read too; that half its letters are tokens is more than any has.
        prompt = (len(found.prompts["document"]) + 1) // 2
        return Needs(tokens=max(8, found.tokens - prompt), tokenizer=found.counts)

    @property
    def fingerprint(self) -> Mapping[str, str]:
        """What decides vectors, by name; empty while a model of the hub is not here. Never fetches.

        Device and precision are no part of it: they change a vector by less than what they make faster is worth.
        Raises EncoderError when the model is here and cannot be used.
        """
        found = self._here()
        return found.fingerprint if found else {}

    def embed(self, contents: Sequence[Content], role: Role) -> Array:
        """Embed texts, each behind the model's prompt for `role`: float32 (len(contents), dim), unit rows, in order.

        Of a text longer than `needs.tokens` only the beginning is read. The first call fetches and loads the model.
        Raises EncoderError when it cannot be had or loaded, when device or precision are not to be had, when the device
        has too little memory even for one text, or when half precision did not suffice; MissingExtra; TypeError for
        what is no text.
        """
        if others := sorted({content.kind for content in contents if not isinstance(content, Text)}):
            raise TypeError(f"{self.name} embeds text, not {', '.join(others)}.")
        texts = [content.text for content in contents if isinstance(content, Text)]
        rows = np.empty((len(texts), self.dim), np.float32)
        if not texts:
            return rows
        model = self._loaded()
        prompt, batch = self._fetched().prompts[role], 32 if str(model.device) == "cpu" else 128
        # Texts of like length go together, so that little is computed for padding.
        order = sorted(range(len(texts)), key=lambda place: len(texts[place]))
        encode = model.encode_query if role == "query" else model.encode_document

        def some(places: Sequence[int]) -> Array:
            given = [texts[place] for place in places]
            with self._running:  # its tokeniser is no two threads'; so a question waits for one batch, and no more
                found = encode(given, prompt=prompt, batch_size=batch, convert_to_tensor=True, show_progress_bar=False)
            return self._unit(found)

        rows[order] = in_batches(order, batch, some, self._address.given, model.device)
        return rows

    def _unit(self, rows: torch.Tensor) -> Array:
        rows = rows.float()
        length = rows.norm(dim=1, keepdim=True)
        if not bool(((length > 0) & length.isfinite()).all()):
            raise EncoderError(
                f"{self._address.given} gives vectors that hold no numbers: its weights are broken, or half precision "
                'does not suffice for it (then say precision="float32", or SEEHEAR_PRECISION=float32).'
            )
        unit: Array = (rows / length).cpu().numpy()
        return unit

    def _here(self) -> SentenceModel | None:
        with self._lock:
            self._found = self._found or find(self._address, self._cache)
            return self._found

    def _fetched(self) -> SentenceModel:
        with self._lock:
            self._found = self._found or fetch(self._address, self._cache)
            return self._found

    def _loaded(self) -> Any:
        if self._model is None:
            device = choose_device(self._device, NEEDED)  # said before a fetch of gigabytes, not after
            precision = choose_precision(self._precision, device)
            found = self._fetched()
            with self._lock:
                self._model = self._model or load(found, device, precision)
        return self._model


def choose_precision(given: str | None, device: torch.device) -> str:
    """What was asked for (here or by SEEHEAR_PRECISION), or bfloat16 on a GPU that has it. Raises EncoderError."""
    import torch

    asked = given or os.environ.get("SEEHEAR_PRECISION")
    if not asked:
        return "bfloat16" if device.type == "cuda" and torch.cuda.is_bf16_supported(False) else "float32"
    if asked not in PRECISIONS:
        raise EncoderError(f"{asked!r} is no precision: say {' or '.join(PRECISIONS)}, or nothing.")
    return asked


def load(found: SentenceModel, device: torch.device, precision: str) -> Any:
    """The model in memory, with all its weights: EncoderError, MissingExtra. Nothing comes from the network."""
    with extra(*NEEDED):
        import sentence_transformers
        import torch
        from transformers.models.auto import modeling_auto as auto

    given = found.address.given
    words = {*auto.MODEL_FOR_MASKED_LM_MAPPING_NAMES, *auto.MODEL_FOR_CAUSAL_LM_MAPPING_NAMES}
    if found.config.get("model_type") not in {*words, *auto.MODEL_FOR_TEXT_ENCODING_MAPPING_NAMES, *UNLISTED}:
        # Of some of the others, transformers would ask the hub for a part, whatever we say of local files.
        raise EncoderError(f"{given} is of the type {found.config.get('model_type')!r}, which is no network of words.")
    try:
        with quiet():
            model = sentence_transformers.SentenceTransformer(
                str(found.folder),
                device=str(device),
                trust_remote_code=False,
                local_files_only=True,
                model_kwargs={"use_safetensors": True, "dtype": getattr(torch, precision)},
            )
    except torch.OutOfMemoryError as error:
        raise full(given, device) from error
    except BaseException as error:  # whatever a broken file makes of it
        if not isinstance(error, Exception) and not panicked(error):
            raise
        raise EncoderError(f"{given} cannot be loaded ({why(error)}): {AGAIN}") from error
    if set(model.modalities) - {"text", "message"}:
        raise EncoderError(f"{given} takes {', '.join(map(str, model.modalities))}; `sentence` is for words alone.")
    if model.get_embedding_dimension() != found.dim:
        raise EncoderError(
            f"{given} gives vectors of {model.get_embedding_dimension()} numbers, and says {found.dim}: {AGAIN}"
        )
    if missing := made_up(model, found):
        raise EncoderError(
            f"The weights of {given} do not fit its config.json: {len(missing)} missing, such as {missing[0]}. "
            "Get both files again from one place."
        )
    if found.tokens is not None:
        model.max_seq_length = found.tokens
    return model.eval()


def made_up(model: Any, found: SentenceModel) -> list[str]:
    """Weights that no file holds: the library makes up what it does not find. A pooler's are never used."""
    from safetensors import safe_open

    held = set()
    for path in found.weights:
        with safe_open(path, framework="np") as file:
            held |= {name.replace(".gamma", ".weight").replace(".beta", ".bias") for name in file.keys()}  # noqa: SIM118
    # What a file was saved from may have had one more level of names around it, or one less.
    ends = {name[at:] for name in held for at in (0, *(place + 1 for place, one in enumerate(name) if one == "."))}
    wanted = [name for name, _ in model[0].auto_model.named_parameters() if not name.startswith("pooler.")]
    return sorted(name for name in wanted if name not in ends and name.partition(".")[2] not in held)
