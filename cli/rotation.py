"""`hookline keys rotate`: seals everything with the newest key, and says when the old ones may go."""

from time import monotonic

from cli.output import Output
from domain import resealing
from domain.settings import Settings
from domain.vault import Vault

# How often progress is told.
EVERY_SECONDS = 1.0
# Of values that no key opens, so many are named.
MOST_NAMED = 20


async def rotate(settings: Settings, output: Output) -> bool:
    """Reseal, in a connected database; tells whether the old keys may go. Raises Unavailable."""
    vault = Vault(settings.secret_keys)
    left = await resealing.left(vault)
    if left == 0:
        output.say("Everything is sealed with the first key.")
        _say_what_may_go(vault, output)
        return True
    output.say(f"{left:,} values are sealed with another key than the first.")
    unopened = await _reseal_all(vault, left, output)
    left = await resealing.left(vault)
    if left == 0:
        output.say("All of them are sealed with the first key now.", "bold green")
        _say_what_may_go(vault, output)
        return True
    _say_why_not(left, unopened, output)
    return False


async def _reseal_all(vault: Vault, left: int, output: Output) -> list[resealing.Stale]:
    done, told = 0, monotonic()
    unopened: list[resealing.Stale] = []
    async for batch in resealing.batches(vault):
        done += batch.resealed
        unopened += batch.unopened
        if monotonic() - told > EVERY_SECONDS:
            told = monotonic()
            output.say(f"{done:,} sealed anew, {max(left - done, 0):,} left", "dim")
    output.say(f"{done:,} sealed anew.")
    return unopened


def _say_what_may_go(vault: Vault, output: Output) -> None:
    if vault.has_old_keys:
        output.say(
            "Once every process runs with the first key in front, the others may be removed from HOOKLINE_SECRET_KEYS."
        )
    else:
        output.say("There is no other key that could be removed.")


def _say_why_not(left: int, unopened: list[resealing.Stale], output: Output) -> None:
    if not unopened:
        output.fail(
            f"{left:,} values were sealed with an old key meanwhile: some process still has it in front. "
            "Keep the old keys, restart every process with the new one in front, and rotate again."
        )
        return
    output.fail(
        f"{len(unopened):,} values open with none of HOOKLINE_SECRET_KEYS. Keep the old keys; add the one lost."
    )
    for value in unopened[:MOST_NAMED]:
        output.fail(f"  {value}")
    if len(unopened) > MOST_NAMED:
        output.fail(f"  and {len(unopened) - MOST_NAMED:,} more")
