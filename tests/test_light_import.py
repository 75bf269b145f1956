"""`import seehear` must stay cheap: whoever imports it may never look at a picture."""

import subprocess
import sys

import pytest

HEAVY = (
    "torch",
    "transformers",
    "tokenizers",
    "chromadb",
    "cv2",
    "numpy",
    "PIL",
    "rich",
    "langchain_core",
    "llama_index",
    "mcp",
)


@pytest.mark.parametrize(
    ("code", "allowed"),
    [
        ("import seehear", set()),
        ("import seehear.cli", set()),
        ("from seehear import Library", {"numpy", "PIL"}),
        ("import seehear.worker", {"numpy", "PIL"}),
        ("import seehear.modalities.encoders.mini", {"numpy", "PIL"}),
        ("import seehear.modalities.encoders.dual", {"numpy", "PIL"}),
    ],
)
def test_importing_loads_nothing_heavy(code: str, allowed: set[str]) -> None:
    probe = f"import sys\n{code}\nprint(*[name for name in {HEAVY} if name in sys.modules])"
    loaded = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True, check=True).stdout.split()
    assert set(loaded) <= allowed
