"""Replays: one page of each open one, as a step of the database loop."""

from domain import replays
from domain.unit import Domain

REPLAYS_AT_ONCE = 20


async def copy_pages(domain: Domain) -> None:
    """Copy the next page of each open replay, and send the copies on their way."""
    for replay_id in await replays.open_replays(REPLAYS_AT_ONCE):
        page = await replays.copy_page(replay_id)
        domain.outlet.announce(page.changes)
        domain.outlet.deliver(page.owed)
