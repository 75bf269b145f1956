"""Where the files of a Whisper model are: at a path, in a cache of its backend, or at the place it is fetched from.

Nothing here loads a model, and nothing is fetched before its size was said.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path, PureWindowsPath
from typing import Any

from seehear.errors import EncoderError, InputError

from .encoders.extras import extra
from .encoders.pinned import digest

FASTER = ("faster-whisper", "faster_whisper", "ctranslate2", "huggingface_hub", "tokenizers")
"""The extra, and its packages."""
OPENAI = ("whisper", "whisper", "torch", "tiktoken", "numba", "more_itertools", "tqdm")
"""The extra, and its packages."""
NEEDED = ("config.json", "model.bin", "tokenizer.json")
TAKEN = (*NEEDED, "preprocessor_config.json", "vocabulary.*")
SAVED = (b"PK", b"\x80")  # how a file begins that PyTorch wrote: a ZIP archive, or, long ago, a pickle
PATIENCE = 20.0  # seconds to wait for a server that is asked for a size

log = logging.getLogger("seehear")


def installed(name: str, *packages: str) -> None:
    """Look for the packages of an extra without importing any, which takes seconds. Raises MissingExtra."""
    with extra(name, *packages):
        for package in packages:
            if find_spec(package) is None:
                raise ModuleNotFoundError(f"No module named {package!r}", name=package)


def path_of(model: str | Path) -> Path | None:
    """The path that a user wrote: a Path, or what begins with `/`, `.` or `~`; None for a name."""
    text = str(model)
    absolute = Path(text).is_absolute() or PureWindowsPath(text).is_absolute()
    if isinstance(model, Path) or absolute or text.startswith((".", "~")):
        return Path(os.path.expanduser(text)).resolve()  # noqa: PTH111 - the other way fails where nobody has that home
    return None


class Converted:
    """A model in CTranslate2's format: a folder. It holds numbers and a vocabulary, nothing that could run."""

    def __init__(self, model: str | Path) -> None:
        self.given, self.path = str(model), path_of(model)

    def here(self) -> Path | None:
        """The folder; None for a name whose files have not been fetched (wholly).

        Raises InputError for a name that is unknown, EncoderError for a path that is no use, MissingExtra.
        """
        if self.path:
            if self.path.is_file():
                raise EncoderError(
                    f"{self.given} is a file and faster-whisper loads folders: try whisper:{self.given}."
                )
            if not self.path.is_dir():
                raise EncoderError(f"There is no folder {self.given}; write a model's name without a path.")
            if lacking := _lacking(self.path):
                raise EncoderError(f"{self.given} is no Whisper model of CTranslate2: it has no {lacking}.")
            return self.path
        repository = self._repository()
        with extra(*FASTER):
            from huggingface_hub import try_to_load_from_cache
        found = try_to_load_from_cache(repository, "model.bin", _hub_cache())
        folder = Path(found).parent if isinstance(found, str) else None
        return folder if folder and not _lacking(folder) else None

    def fetched(self) -> Path:
        """The folder; what is not here comes from the hub, and its size is said. Raises as `here`, or EncoderError."""
        if folder := self.here():
            return folder
        repository = self._repository()
        with extra(*FASTER):
            from huggingface_hub import HfApi, constants, snapshot_download
        try:
            if constants.is_offline_mode():
                raise ConnectionError("HF_HUB_OFFLINE is set")
            files = HfApi().model_info(repository, files_metadata=True).siblings or []
            size = sum(file.size or 0 for file in files if any(Path(file.rfilename).match(name) for name in TAKEN))
            log.warning("Fetching %s: %.0f MB from %s. That happens once.", repository, size / 1e6, constants.ENDPOINT)
            folder = Path(snapshot_download(repository, allow_patterns=list(TAKEN), cache_dir=_hub_cache()))
        except Exception as error:  # of the HTTP library that the client of the day is built on, or of the system
            raise EncoderError(
                f"{self.given} is not on this computer and cannot be fetched ({_why(error)}). Where there is a "
                f"network: `hf download {repository} --local-dir FOLDER`; then name it here, as "
                "faster-whisper:./FOLDER."
            ) from error
        if lacking := _lacking(folder):
            raise EncoderError(f"{repository} has no {lacking}: it cannot be used.")
        return folder

    def digest(self) -> str | None:
        """One SHA-256 of all files that decide the text; None while they are not here. Raises as `here`."""
        installed(*FASTER)
        folder = self.here()
        if folder is None:
            return None
        files = sorted({file for name in TAKEN for file in folder.glob(name)})
        return hashlib.sha256(json.dumps({file.name: digest(file) for file in files}).encode()).hexdigest()

    def _repository(self) -> str:
        with extra(*FASTER):
            from faster_whisper import utils
        if self.given not in utils.available_models():
            raise _unknown("faster-whisper", self.given, "folder", utils.available_models())
        return str(vars(utils)["_MODELS"][self.given])  # what lists the names does not tell where they lead


class Original:
    """A model as OpenAI published it: one file, `.pt`. That is a pickle, so only numbers are ever read from it."""

    def __init__(self, model: str | Path) -> None:
        self.given, self.path = str(model), path_of(model)

    def fetched(self) -> str:
        """What `whisper.load_model` takes: a path, or a name, of whose file it checks the SHA-256.

        The size of what it is going to fetch is said. Raises InputError for a name that is unknown, EncoderError for a
        path that is no use, MissingExtra.
        """
        if self.path:
            if self.path.is_dir():
                raise EncoderError(
                    f"{self.given} is a folder and whisper loads files: try faster-whisper:{self.given}."
                )
            if not self.path.is_file():
                raise EncoderError(f"There is no file {self.given}; write a model's name without a path.")
            with self.path.open("rb") as file:
                if not file.read(2).startswith(SAVED):
                    raise EncoderError(f"{self.given} is no checkpoint of openai-whisper: PyTorch did not write it.")
            return str(self.path)
        url = self._url()
        kept = _whisper_cache() / Path(url).name
        if not kept.is_file() or digest(kept) != self.digest():  # else it would be fetched anew without a word
            try:
                size = _size(url)
            except Exception as error:  # of the network, or of whatever guards it
                raise self.failed(error) from error
            log.warning("Fetching whisper %s: %.0f MB from %s. That happens once.", self.given, size / 1e6, url)
        return self.given

    def failed(self, error: Exception) -> EncoderError:
        """What to say when loading did not work."""
        if self.path:
            return EncoderError(f"{self.given} cannot be loaded as a checkpoint of openai-whisper ({_why(error)}).")
        return EncoderError(
            f"{self.given} is not on this computer and cannot be fetched ({_why(error)}). Where there is a network, "
            f"download {self._url()} and put it into {_whisper_cache()}."
        )

    def digest(self) -> str | None:
        """SHA-256 of the file: that which a name stands for is known without having it. Raises as `fetched`."""
        installed(*OPENAI)
        if self.path:
            return digest(Path(self.fetched()))
        return self._url().split("/")[-2]

    def _url(self) -> str:
        with extra(*OPENAI):
            import whisper
        if self.given not in whisper.available_models():
            raise _unknown("whisper", self.given, "file.pt", whisper.available_models())
        return str(vars(whisper)["_MODELS"][self.given])  # what lists the names does not tell where they lead


def _unknown(backend: str, given: str, path: str, known: Sequence[str]) -> InputError:
    return InputError(f"{backend} has no model {given!r}; known are {', '.join(known)}; write ./{path} for a path.")


def _lacking(folder: Path) -> str:
    """The first file that a folder lacks. Of a missing tokenizer.json, faster-whisper would silently fetch another."""
    lacking = [name for name in NEEDED if not (folder / name).is_file()]
    return lacking[0] if lacking else "" if any(folder.glob("vocabulary.*")) else "vocabulary.txt"


def _hub_cache() -> str | None:
    given = os.environ.get("HF_HUB_CACHE")  # read now: the client looks at it only when it is imported
    return str(Path(given).expanduser()) if given else None


def _whisper_cache() -> Path:
    return Path(os.environ.get("XDG_CACHE_HOME") or Path("~/.cache").expanduser(), "whisper")


def _size(url: str) -> int:
    """Bytes that a server says a file has."""
    from urllib.request import Request, urlopen

    request: Any = Request(url, method="HEAD")  # noqa: S310 - one of whisper's own addresses, all https
    with urlopen(request, timeout=PATIENCE) as answer:  # noqa: S310
        return int(answer.headers.get("Content-Length") or 0)


def _why(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0].rstrip(".:")
