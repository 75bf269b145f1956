"""The encoder `dual`: words and pictures through the two towers of any CLIP, SigLIP or SigLIP 2 checkpoint.

`families` says what differs between them, `checkpoint` finds the files. Both towers run in PyTorch, through the
classes of transformers; importing this module loads neither.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from seehear.errors import EncoderError
from seehear.types import Content, Kind, Needs, Picture, Role, Text

from .checkpoint import AGAIN, NEEDED, PACKAGES, Address, Checkpoint, fetch, find, read_json, why
from .extras import extra
from .families import Unusable, middle, needs, precision_for

if TYPE_CHECKING:
    import torch
    from numpy.typing import NDArray

    Array = NDArray[np.float32]

QUIET = Lock()  # what `quiet` changes belongs to the whole process
UNKNOWN = 1024  # short side to decode to before the checkpoint is here: twice the largest that is published


class Dual:
    """Words and pictures in the space of a two-tower checkpoint. May be used by several threads at once."""

    takes: Final[frozenset[Kind]] = frozenset({"text", "image"})

    def __init__(
        self,
        checkpoint: str | Path,
        *,
        device: str | None = None,
        precision: str | None = None,
        cache: Path | None = None,
    ) -> None:
        """Load nothing. Raises EncoderError for a name that cannot be one.

        `checkpoint` is a model id of the hub, with `@REVISION` if you like, or a folder: a Path, or what begins with
        `/`, `.` or `~`. `device` (or SEEHEAR_DEVICE) is `cpu`, `cuda`, `cuda:1` or `mps`; the fastest there is if
        nothing is said. `precision` (or SEEHEAR_PRECISION) is float32, float16 or bfloat16; half of it on CUDA if
        nothing is said. `cache` is the hub's cache, if it is not where the hub's client has it.
        """
        self._address = Address.parse(checkpoint)
        self._device, self._precision, self._cache = device, precision, cache
        self._checkpoint: Checkpoint | None = None
        self._towers: Towers | None = None
        self._lock = Lock()

    @property
    def name(self) -> str:
        """The checkpoint's own name, without organisation, revision or path."""
        return self._address.name.rpartition("/")[2]

    @property
    def dim(self) -> int:
        """Length of a vector, from config.json. Fetches a checkpoint that is not here: EncoderError."""
        return self._fetched().dim

    @property
    def precision(self) -> str:
        """What it computes in: `float32`, `float16` or `bfloat16`. Loads the checkpoint: EncoderError, MissingExtra."""
        return self._loaded().precision

    @property
    def needs(self) -> Needs:
        """The size at which a decoded picture gives the same vector as a whole one.

        Never fetches: of a checkpoint that is not here yet, it is more than any that is published needs.
        """
        found = self._here()
        return needs(found.preprocessing) if found else Needs(UNKNOWN)

    @property
    def fingerprint(self) -> Mapping[str, str]:
        """What decides vectors, by name; empty while a checkpoint of the hub is not here. Never fetches.

        Device and precision are no part of it: they change a vector by less than what they make faster is worth.
        Raises EncoderError when the checkpoint is here and cannot be used.
        """
        found = self._here()
        return found.fingerprint if found else {}

    def embed(self, contents: Sequence[Content], role: Role) -> Array:  # noqa: ARG002 - one vector serves both roles
        """Embed words and pictures, mixed or not: float32 (len(contents), dim), unit rows, in order.

        The first call fetches and loads the checkpoint. Raises EncoderError when it cannot be had or loaded, when
        device or precision are not to be had, or when half precision did not suffice; MissingExtra; TypeError for a
        picture that is not uint8 (height, width, 3).
        """
        texts = {place: content.text for place, content in enumerate(contents) if isinstance(content, Text)}
        pictures = {place: content.pixels for place, content in enumerate(contents) if isinstance(content, Picture)}
        if len(texts) + len(pictures) < len(contents):
            kinds = sorted({content.kind for content in contents} - self.takes)
            raise TypeError(f"{self.name} embeds text and image, not {', '.join(kinds)}.")
        if not contents:
            return np.empty((0, self.dim), np.float32)
        towers = self._loaded()
        rows = np.empty((len(contents), towers.dim), np.float32)
        if texts:
            rows[list(texts)] = towers.read(list(texts.values()))
        if pictures:
            rows[list(pictures)] = towers.see(list(pictures.values()))
        return rows

    def _here(self) -> Checkpoint | None:
        with self._lock:
            self._checkpoint = self._checkpoint or find(self._address, self._cache)
            return self._checkpoint

    def _fetched(self) -> Checkpoint:
        with self._lock:
            self._checkpoint = self._checkpoint or fetch(self._address, self._cache)
            return self._checkpoint

    def _loaded(self) -> Towers:
        if self._towers is None:
            device = choose_device(self._device)  # what is not there shall not be said after a fetch of gigabytes
            checkpoint = self._fetched()
            with self._lock:
                self._towers = self._towers or Towers(checkpoint, device, self._precision)
        return self._towers


class Towers:
    """A loaded checkpoint: its tokeniser, what prepares its pictures, and its network."""

    def __init__(self, checkpoint: Checkpoint, device: torch.device, precision: str | None) -> None:
        """Load: EncoderError, MissingExtra."""
        with extra(*NEEDED):
            import torch
            import transformers
        self._family, self._tokens = checkpoint.family, checkpoint.tokens
        self.device, self.dim = device, checkpoint.dim
        asked, on_gpu = precision or os.environ.get("SEEHEAR_PRECISION"), device.type == "cuda"
        try:
            self.precision = precision_for(self._family, asked, on_gpu, on_gpu and torch.cuda.is_bf16_supported(False))
        except Unusable as error:
            raise EncoderError(f"{checkpoint.address.given} {error}.") from error
        self._given = checkpoint.address.given
        self._batch = 16 if self.device.type == "cpu" else 64  # larger ones are no faster, and take memory
        self._tokenizer = load_tokenizer(checkpoint)
        self._tokenizer_lock = Lock()  # the first call sets truncation and padding, which another may be using
        self._model = load_model(checkpoint, getattr(torch, self.precision)).to(self.device)
        # Scaling and normalising are left to the device: on a CPU it costs a quarter of what NumPy takes.
        said = checkpoint.preprocessing
        sized = {**said, "do_rescale": False, "do_normalize": False, "do_convert_rgb": False}
        self._processor = getattr(transformers, f"{self._family.processor}Pil")(**sized)
        self._crops = bool(said.get("do_center_crop"))
        scale = said["rescale_factor"] if said["do_rescale"] else 1.0
        mean, std = (said["image_mean"], said["image_std"]) if said["do_normalize"] else ((0.0,) * 3, (1.0,) * 3)
        both = [scale / one for one in std], [one / of for one, of in zip(mean, std, strict=True)]
        self._colours = torch.tensor(both, device=self.device)

    def read(self, texts: Sequence[str]) -> Array:
        """Embed texts: float32 (len(texts), dim), unit rows, in order. What exceeds the longest text is cut off."""
        import torch

        # Texts of like length go together, so that little is computed for padding.
        order = sorted(range(len(texts)), key=lambda place: len(texts[place]))
        rows = np.empty((len(texts), self.dim), np.float32)
        for start in range(0, len(order), 4 * self._batch):
            places = order[start : start + 4 * self._batch]
            ids = torch.from_numpy(self.tokenize([texts[place] for place in places])).to(self.device)
            with torch.inference_mode():
                # No mask: CLIP's end token does not see what follows it, and SigLIP was trained to see its padding.
                rows[places] = self._unit(self._model.get_text_features(input_ids=ids).pooler_output)
        return rows

    def tokenize(self, texts: Sequence[str]) -> NDArray[np.int64]:
        """Token ids (len(texts), longest), as the family wants its texts."""
        given = [text.lower() for text in texts] if self._family.lower_case else list(texts)
        with self._tokenizer_lock:
            ids = self._tokenizer(given, padding=self._family.padding, max_length=self._tokens, truncation=True)
        return np.asarray(ids["input_ids"], np.int64)

    def see(self, pictures: Sequence[NDArray[np.uint8]]) -> Array:
        """Embed pictures (height, width, 3): float32 (len(pictures), dim), unit rows, in order."""
        import torch

        parts = []
        for start in range(0, len(pictures), self._batch):
            inputs = self.prepare(pictures[start : start + self._batch])
            inputs["pixel_values"] = inputs["pixel_values"].to(getattr(torch, self.precision))
            with torch.inference_mode():
                parts.append(self._unit(self._model.get_image_features(**inputs).pooler_output))
        return np.concatenate(parts)

    def prepare(self, pictures: Sequence[NDArray[np.uint8]]) -> dict[str, torch.Tensor]:
        """What the network takes, on its device: `pixel_values` float32, and what else the family wants."""
        for one in pictures:
            if one.dtype != np.uint8 or one.ndim != 3 or one.shape[2] != 3 or not one.size:
                raise TypeError(f"A picture is uint8 (height, width, 3), not {one.dtype} {one.shape}.")
        given = [middle(one) if self._crops else one for one in pictures]
        sized = self._processor(given, input_data_format="channels_last", return_tensors="pt")
        inputs = {name: value.to(self.device) for name, value in sized.items()}
        values = inputs["pixel_values"]  # (n, 3, height, width), or (n, patches, height * width * 3)
        planes = values.ndim == 4
        scale, shift = (one.view(3, 1, 1) if planes else one.repeat(values.shape[-1] // 3) for one in self._colours)
        return inputs | {"pixel_values": values * scale - shift}

    def _unit(self, rows: torch.Tensor) -> Array:
        if rows.shape[1] != self.dim:
            raise EncoderError(f"The towers of {self._given} give vectors of {self.dim} and {rows.shape[1]} numbers.")
        rows = rows.float()
        length = rows.norm(dim=1, keepdim=True)
        if not bool(((length > 0) & length.isfinite()).all()):
            cure = 'half precision does not suffice for it: say precision="float32", or SEEHEAR_PRECISION=float32.'
            cure = cure if self.precision != "float32" else f"its weights are broken: {AGAIN}"
            raise EncoderError(f"In {self.precision}, {self._given} gives vectors that hold no numbers; {cure}")
        unit: Array = (rows / length).cpu().numpy()
        return unit


def load_tokenizer(checkpoint: Checkpoint) -> Any:
    """The tokeniser, as transformers makes it of the checkpoint's files: EncoderError, MissingExtra."""
    from transformers import AutoTokenizer

    said = checkpoint.folder / "tokenizer_config.json"
    named = str(read_json(checkpoint.address, said).get("tokenizer_class")) if said.is_file() else ""
    needed = PACKAGES.get(named.removesuffix("Fast"), ())
    with extra("clip", *needed):
        for package in needed:
            import_module(package)
    try:
        with quiet():
            tokenizer = AutoTokenizer.from_pretrained(checkpoint.folder, trust_remote_code=False, local_files_only=True)
    except Exception as error:  # whatever a broken file makes of it
        raise EncoderError(f"The tokeniser of {checkpoint.address.given} cannot be loaded ({why(error)}).") from error
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
                attn_implementation="sdpa",  # so that no config names one that is code to be fetched
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


def choose_device(given: str | None) -> torch.device:
    """The device that was asked for (here or by SEEHEAR_DEVICE), or the fastest there is. Raises EncoderError."""
    with extra(*NEEDED):
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
