"""`hookline keys rotate`: seals everything with the newest key, and says when the old ones may go."""

import json
from dataclasses import dataclass, field
from time import monotonic

from cli.output import Output
from domain import resealing
from domain.settings import Settings
from domain.vault import Vault

# How often progress is shown.
EVERY_SECONDS = 1.0
# How many of the values that no key opens are named.
MOST_NAMED = 20


@dataclass
class Rotation:
    """The progress: `left` values are still sealed with a key other than the first."""

    vault: Vault
    left: int
    resealed: int = 0
    unopened: list[resealing.Sealed] = field(default_factory=list)

    @property
    def done(self) -> bool:
        """Whether nothing needs the old keys any more."""
        return self.left == 0


async def rotate(settings: Settings, output: Output, *, as_json: bool) -> bool:
    """Reseal, in a connected database; returns whether the old keys may go. Raises Unavailable."""
    vault = Vault(settings.secret_keys)
    rotation = Rotation(vault, await resealing.left(vault))
    tell = _tell_programs if as_json else _tell_people
    if rotation.left:
        if not as_json:
            output.say(f"{rotation.left:,} values are sealed with another key than the first.")
        told = monotonic()
        async for batch in resealing.batches(vault):
            rotation.resealed += batch.resealed
            rotation.left = max(rotation.left - batch.resealed, 0)
            rotation.unopened += batch.unopened
            if monotonic() - told > EVERY_SECONDS:
                told = monotonic()
                tell(rotation, output, finished=False)
        rotation.left = await resealing.left(vault)
    tell(rotation, output, finished=True)
    return rotation.done


def _tell_programs(rotation: Rotation, output: Output, *, finished: bool) -> None:
    fields = {
        "resealed": rotation.resealed,
        "left": rotation.left,
        "unopened": [str(value) for value in rotation.unopened],
        "finished": finished,
        "old_keys_may_go": finished and rotation.done and rotation.vault.has_old_keys,
    }
    output.say(json.dumps(fields))


def _tell_people(rotation: Rotation, output: Output, *, finished: bool) -> None:
    if not finished:
        output.say(f"{rotation.resealed:,} sealed again, {rotation.left:,} left", "dim")
        return
    if rotation.resealed or rotation.left:
        output.say(f"{rotation.resealed:,} sealed again.")
    if not rotation.done:
        _say_why_not(rotation, output)
        return
    if rotation.resealed:
        output.say("All of them are sealed with the first key now.", "bold green")
    else:
        output.say("Everything is sealed with the first key.")
    _say_what_may_go(rotation.vault, output)


def _say_what_may_go(vault: Vault, output: Output) -> None:
    if vault.has_old_keys:
        output.say(
            "Once every process runs with the first key in front, the others may be removed from HOOKLINE_SECRET_KEYS."
        )
    else:
        output.say("There is no other key to remove.")


def _say_why_not(rotation: Rotation, output: Output) -> None:
    unopened = rotation.unopened
    if not unopened:
        output.fail(
            f"{rotation.left:,} values were sealed with an old key meanwhile: some process still has it in front. "
            "Keep the old keys, restart every process with the new one in front, and rotate again."
        )
        return
    output.fail(
        f"{len(unopened):,} values open with none of HOOKLINE_SECRET_KEYS. Keep the old keys, and add the missing one."
    )
    for value in unopened[:MOST_NAMED]:
        output.fail(f"  {value}")
    if len(unopened) > MOST_NAMED:
        output.fail(f"  and {len(unopened) - MOST_NAMED:,} more")
