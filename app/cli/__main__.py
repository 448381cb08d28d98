"""`python -m app.cli` is `leima`."""

from app.cli import main

main(prog_name="leima")
