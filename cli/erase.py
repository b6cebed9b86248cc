"""`hookline workspace erase`: one workspace, whole and for good."""

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

from domain import erasure
from domain.erasure import Erased
from domain.tables import Workspace
from domain.unit import Domain


async def run(domain: Domain, workspace: Workspace) -> int:
    """Erase it, showing how far it is; returns how many rows are gone. Raises Unavailable."""
    columns = (TextColumn("{task.description:<14}"), BarColumn(), MofNCompleteColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        tasks = {}

        def tell(erased: Erased) -> None:
            if erased.table not in tasks:
                tasks[erased.table] = progress.add_task(erased.table)
            progress.update(tasks[erased.table], completed=erased.rows, total=erased.of)

        return await erasure.erase(domain, workspace, tell)
