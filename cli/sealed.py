"""Whether the keys open what is sealed in the database: doctor shows it, `hookline up` does not start if none opens."""

from datetime import timedelta

from cli.output import Output
from domain import resealing
from domain.errors import HooklineError
from domain.resealing import Looked
from domain.vault import Vault

# Enough to open some hundred thousand values.
LOOK_FOR = timedelta(seconds=5)
REMEDY = (
    "Put the key that was used back into HOOKLINE_SECRET_KEYS, behind the first one; without it what it sealed must be "
    "made again."
)


class KeysLostError(HooklineError):
    """Nothing that is sealed in the database opens."""


async def look(vault: Vault) -> Looked:
    """Try the keys on the sealed values, for a few seconds at most. Raises Unavailable."""
    return await resealing.look(vault, LOOK_FOR)


async def require(vault: Vault, output: Output) -> None:
    """Say how many values do not open. Raises KeysLostError if none does."""
    looked = await look(vault)
    if looked.unopened and not looked.opened:
        raise KeysLostError(
            "None of the keys opens what is sealed in the database: other keys sealed it. Put those back, as "
            "secret.key in the data folder or in HOOKLINE_SECRET_KEYS, or name another database."
        )
    if looked.unopened:
        output.note(f"{unopened(looked)}. {REMEDY}")


def unopened(looked: Looked) -> str:
    """How many values do not open, and the first of them."""
    return f"sealed values that open with none of the keys: {len(looked.unopened):,}, the first is {looked.unopened[0]}"
