import pytest

from seehear.stores.memory import MemoryStore
from seehear.testing import StoreContract


class TestMemoryStore(StoreContract):
    @pytest.fixture
    def store(self) -> MemoryStore:
        return MemoryStore()
