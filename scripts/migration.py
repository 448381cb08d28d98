"""Writes a migration from what the models have and a freshly migrated database has not."""

import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from app import embedded
from app.db import migrate
from app.db.engine import make_engine

if len(sys.argv) != 2 or not sys.argv[1].strip():
    sys.exit('Say what it is for: make migration MESSAGE="..."')
with tempfile.TemporaryDirectory() as folder, embedded.start(Path(folder), durable=False) as engines:
    engine = make_engine(engines.database_url)
    migrate.upgrade(engine)
    migrate.write_revision(engine, sys.argv[1])
    engine.dispose()
