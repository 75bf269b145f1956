"""Nothing in the code loads or runs what could be code: read from its syntax, and heard from Python itself at work."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from recordings import tone, write

ROOT = Path(__file__).parent.parent
PRODUCT = ("seehear", "modalities", "stores", "integrations")
UNSAFE = {
    "cloudpickle", "code", "codeop", "cffi", "ctypes", "dill", "imp", "joblib", "lxml", "marshal", "multiprocessing",
    "pickle", "pty", "runpy", "shelve", "xml", "yaml", "zipimport",
}  # fmt: skip
"""Modules that run code, or what they are given as such; of XML, any parser of the standard library's."""
NETWORK = {
    "aiohttp", "asyncio.streams", "ftplib", "http", "httpx", "huggingface_hub", "imaplib", "poplib", "requests",
    "smtplib", "socket", "socketserver", "ssl", "telnetlib", "urllib.request", "urllib3", "websockets", "xmlrpc",
}  # fmt: skip
"""Modules that reach other machines."""
CALLS = {
    "__import__", "builtins.compile", "builtins.eval", "builtins.exec", "compile", "eval", "exec", "os.popen",
    "os.system", "pandas.read_pickle", "shutil.unpack_archive", "subprocess.getoutput", "subprocess.getstatusoutput",
    "tempfile.mktemp", "torch.hub.load", "torch.jit.load", "torch.package.PackageImporter",
}  # fmt: skip
PROMISED = {"allow_pickle": False, "shell": False, "trust_remote_code": False, "weights_only": True}
"""Arguments that are these, wherever they are given."""
LOGS, LEVELS = ("log", "logger", "logging"), ("critical", "debug", "error", "exception", "info", "warning")
TABLE = "the names are those of a table in the code"
EXCEPTIONS = {
    ("cookbook/build_ears.py", "format that is no literal"): "puts words into frames, which are literals of its own",
    ("cookbook/damage_library.py", "import multiprocessing"): "a child of its own for each case, which may crash",
    ("cookbook/media_bombs.py", "import socket"): "a canary on this machine, which nobody must ask",
    ("cookbook/play_clip.py", "import http"): "serves a page to the browser of this machine",
    ("cookbook/measure_server.py", "import socket"): "asks for a free port of this machine, and waits for it",
    ("cookbook/measure_start.py", "importlib.import_module"): TABLE,
    ("cookbook/scripted_llama_index.py", "importlib.import_module"): TABLE,
    ("modalities/encoders/hub.py", "import huggingface_hub"): "fetches models that are named, as data, and says so",
    ("modalities/encoders/loading.py", "importlib.import_module"): TABLE,
    ("modalities/weights.py", "import huggingface_hub"): "fetches Whisper models that are named, and says so",
    ("modalities/weights.py", "import urllib.request"): "asks for the size of what openai-whisper is going to fetch",
    ("seehear/__init__.py", "importlib.import_module"): TABLE,
    ("seehear/confinement.py", "import ctypes"): "tells the kernel what a decoding process may do",
    ("seehear/ingest.py", "assert"): "of what it did itself, for the types",
    ("seehear/place.py", "import socket"): "the name of this machine, for the message about who holds the lock",
    ("seehear/registry.py", "importlib.import_module"): "a class of the user's own, named by the user as module:Class",
    ("seehear/testing.py", "assert"): "tests, for those who write plugins",
    ("seehear/together.py", "assert"): "of what it did itself, for the types",
    ("stores/chroma.py", "assert"): "of what it did itself, for the types",
}
"""What else is in the code, each with its reason."""


def faults(text: str, product: bool = True) -> Iterator[str]:
    """What is unsafe in a module, by its syntax; `assert` only in the product, which `python -O` runs without."""
    tree = ast.parse(text)
    names = _imported(tree)
    for node in ast.walk(tree):
        if isinstance(node, ast.Import | ast.ImportFrom):
            yield from _imports(node)
        elif isinstance(node, ast.Call):
            yield from _call(node, names)
        elif isinstance(node, ast.Assert) and product:
            yield "assert"
        elif isinstance(node, ast.BinOp) and isinstance(node.op, ast.Mod):
            # Of numbers it is a remainder: a tuple, a mapping or words on the right are for a format.
            words = isinstance(node.right, ast.Tuple | ast.Dict | ast.JoinedStr) or _literal(node.right)
            if words and not _literal(node.left):
                yield "format that is no literal"


def _imported(tree: ast.AST) -> dict[str, str]:
    """What each name in a module stands for, by the modules that it imports."""
    names = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {one.asname: one.name for one in node.names if one.asname}
        elif isinstance(node, ast.ImportFrom) and not node.level:
            names |= {one.asname or one.name: f"{node.module}.{one.name}" for one in node.names}
    return names


def _imports(node: ast.Import | ast.ImportFrom) -> Iterator[str]:
    if isinstance(node, ast.Import):
        modules = [one.name for one in node.names]
    else:
        modules = [] if node.level else [f"{node.module}.{one.name}" for one in node.names]
    for module in modules:
        parts = module.split(".")
        above = {".".join(parts[:length]) for length in range(1, len(parts) + 1)}
        yield from (f"import {name}" for name in above & (UNSAFE | NETWORK))


def _call(node: ast.Call, names: dict[str, str]) -> Iterator[str]:
    given = {one.arg: one.value for one in node.keywords if one.arg}
    for name, promised in PROMISED.items():
        if name in given and not (isinstance(given[name], ast.Constant) and given[name].value is promised):  # type: ignore[attr-defined]
            yield name
    called = _dotted(node.func, names)
    if called in CALLS or called.startswith(("os.exec", "os.spawn", "os.posix_spawn")):
        yield called
    if called == "torch.load" and "weights_only" not in given:
        yield "torch.load"
    first = bool(node.args) and _literal(node.args[0])
    if called in ("importlib.import_module", "importlib.util.spec_from_file_location") and not first:
        yield called
    method = node.func.attr if isinstance(node.func, ast.Attribute) else ""
    if method == "extractall":
        yield method
    if method in ("format", "format_map") and isinstance(node.func, ast.Attribute):
        above = isinstance(node.func.value, ast.Call) and _dotted(node.func.value.func, names) == "super"
        if not _literal(node.func.value) and not above:  # what formats the lines of a log is of this name too
            yield "format that is no literal"
    if called.rpartition(".")[0] in LOGS and method in LEVELS and len(node.args) > 1 and not first:
        yield "format that is no literal"


def _dotted(node: ast.expr, names: dict[str, str]) -> str:
    """The full name of what is called, `np.load` as `numpy.load`; empty where it has none."""
    parts = []
    while isinstance(node, ast.Attribute):
        parts.append(node.attr)
        node = node.value
    if not isinstance(node, ast.Name):
        return ""
    return ".".join([names.get(node.id, node.id), *reversed(parts)])


def _literal(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and isinstance(node.value, str)


def test_nothing_in_the_code_is_unsafe_but_what_the_table_gives_a_reason_for() -> None:
    found = set()
    for folder in (*PRODUCT, "cookbook"):
        for path in sorted((ROOT / folder).rglob("*.py")):
            name = path.relative_to(ROOT).as_posix()
            found |= {(name, fault) for fault in faults(path.read_text(), folder in PRODUCT)}
    assert sorted(found - set(EXCEPTIONS)) == []
    gone = {one for one in set(EXCEPTIONS) - found if (ROOT / one[0]).exists()}
    assert sorted(gone) == [], "what the table allows is not there any more"


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("import pickle", "import pickle"),
        ("def f():\n    from marshal import loads", "import marshal"),
        ("import shelve as s", "import shelve"),
        ("import joblib", "import joblib"),
        ("import dill", "import dill"),
        ("import xml.etree.ElementTree as E", "import xml"),
        ("from xml.dom import minidom", "import xml"),
        ("import yaml", "import yaml"),
        ("import ctypes.util", "import ctypes"),
        ("import multiprocessing", "import multiprocessing"),
        ("import urllib.request", "import urllib.request"),
        ("from urllib import request", "import urllib.request"),
        ("import requests", "import requests"),
        ("import httpx", "import httpx"),
        ("import http.client", "import http"),
        ("from socket import create_connection", "import socket"),
        ("import torch\ntorch.load(path)", "torch.load"),
        ("import torch as t\nt.load(path, weights_only=False)", "weights_only"),
        ("from torch import load\nload(path, weights_only=safe)", "weights_only"),
        ("import torch\ntorch.jit.load(path)", "torch.jit.load"),
        ("import torch\ntorch.hub.load(path)", "torch.hub.load"),
        ("import numpy as np\nnp.load(path, allow_pickle=True)", "allow_pickle"),
        ("Model.from_pretrained(name, trust_remote_code=True)", "trust_remote_code"),
        ("Model.from_pretrained(name, trust_remote_code=given)", "trust_remote_code"),
        ("eval(text)", "eval"),
        ("exec(text)", "exec"),
        ("compile(text, '', 'exec')", "compile"),
        ("__import__(name)", "__import__"),
        ("import importlib\nimportlib.import_module(name)", "importlib.import_module"),
        ("from importlib import import_module as load\nload(name)", "importlib.import_module"),
        ("import os\nos.system(text)", "os.system"),
        ("from os import popen\npopen(text)", "os.popen"),
        ("import os\nos.execv(path, [])", "os.execv"),
        ("import subprocess\nsubprocess.run(text, shell=True)", "shell"),
        ("import subprocess\nsubprocess.getoutput(text)", "subprocess.getoutput"),
        ("import tempfile\ntempfile.mktemp()", "tempfile.mktemp"),
        ("archive.extractall(path)", "extractall"),
        ("import shutil\nshutil.unpack_archive(path)", "shutil.unpack_archive"),
        ("assert given > 0", "assert"),
        ("words.format(name=name)", "format that is no literal"),
        ("words % (name,)", "format that is no literal"),
        ("words % {'name': name}", "format that is no literal"),
        ("log.warning(words, name)", "format that is no literal"),
    ],
)
def test_each_of_these_is_found(text: str, fault: str) -> None:
    assert fault in list(faults(text))


@pytest.mark.parametrize(
    "text",
    [
        "import re\nre.compile(words)",
        "model.eval()",
        "from urllib.parse import quote",
        "import torch\ntorch.load(path, weights_only=True)",
        "import numpy as np\nnp.load(path, allow_pickle=False)",
        "from importlib import import_module\nimport_module('json')",
        "'{}'.format(name)",
        "count % 2",
        "log.warning('%s is gone', name)",
        "import subprocess\nsubprocess.run([command])",
    ],
)
def test_none_of_these_is(text: str) -> None:
    assert list(faults(text)) == []


WORK = """
import sys
from pathlib import Path

heard = []
WATCHED = {
    "marshal.load", "marshal.loads", "pickle.find_class", "os.exec", "os.fork", "os.forkpty", "os.posix_spawn",
    "os.spawn", "os.system", "pty.spawn", "shutil.unpack_archive", "subprocess.Popen", "webbrowser.open",
    "ctypes.dlopen", "socket.bind", "socket.connect", "socket.getaddrinfo", "socket.gethostbyname", "socket.sendto",
}
BELOW = ("contextlib", "ctypes", "subprocess")

def hook(event, arguments):
    if event not in WATCHED:
        return
    frame = sys._getframe(1)
    while frame.f_back and frame.f_globals.get("__name__") in BELOW:
        frame = frame.f_back
    if frame.f_code.co_filename.startswith("<frozen importlib"):  # imports read their own compiled files so
        return
    what = arguments[1][1:] if event == "subprocess.Popen" else arguments[:1] if event == "ctypes.dlopen" else ()
    heard.append("\\t".join([event, str(frame.f_globals.get("__name__")), *map(str, what)]))

sys.addaudithook(hook)
from seehear import Library, Query
folder = Path(sys.argv[1])
with Library.open(folder / "library", models="mini") as library:
    report = library.add(folder / "media")
    assert len(report.added) == 3, report
    assert library.retrieve("a dog barks", min_score=0)
    library.retrieve(Query(image=folder / "media" / "red.png"), min_score=0)
print(*sorted(set(heard)), sep="\\n")
"""


def test_adding_and_asking_unpickles_nothing_and_starts_nothing_but_our_decoders(tmp_path: Path, photos: Path) -> None:
    (tmp_path / "media").mkdir()
    (photos / "red.png").rename(tmp_path / "media" / "red.png")
    write(tmp_path / "media" / "tone.wav", tone(2.0, 16_000))
    (tmp_path / "media" / "dog.txt").write_text("A dog barks in the yard.")
    command = [sys.executable, "-c", WORK, str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    unexpected = [line for line in done.stdout.splitlines() if not _expected(line.split("\t"))]
    assert unexpected == []
    assert "-m\tseehear.worker" in done.stdout  # it heard what there is to hear


def _expected(heard: list[str]) -> bool:
    event, who, *what = heard
    who = who.partition(".")[0]
    if event == "subprocess.Popen":
        return who == "seehear" and what[-2:] == ["-m", "seehear.worker"]
    # Of libraries that are in memory already, or lie in the package that loads them.
    return event == "ctypes.dlopen" and who in ("ctypes", "importlib", "numpy", "seehear", "threadpoolctl", "torch")
