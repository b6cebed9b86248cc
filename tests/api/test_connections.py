"""How many connections there may be, and that nothing is left of a closed one."""

from dataclasses import dataclass, replace

from api.connections import RESTARTING, Connections
from domain.settings import Settings
from domain.tables import Token, Workspace
from domain.unit import Actor
from domain.vocabulary import Role


@dataclass(eq=False)
class Open:
    """A connection that does as it is told."""

    actor: Actor | None
    code: int | None = None

    def has_stalled(self, now: float) -> bool:
        return False

    def close(self, code: int, reason: str) -> None:
        self.code = code


def opened(connections: Connections, actor: Actor) -> Open | None:
    """Open one more, unless the token has too many."""
    if not connections.claim(actor):
        return None
    connection = Open(actor)
    connections.add(connection)
    return connection


def test_a_connection_that_goes_gives_its_place_to_the_next(settings: Settings) -> None:
    connections = Connections(replace(settings, sockets_per_token=2, sockets_per_process=3))
    one, other = (Actor(Workspace(id=1), Token(id=number), Role.ADMIN) for number in (1, 2))
    first, second = opened(connections, one), opened(connections, one)
    assert first
    assert second
    assert opened(connections, one) is None
    assert not connections.full
    third = opened(connections, other)
    assert third
    assert connections.full
    connections.remove(first)
    assert not connections.full
    assert opened(connections, one)
    for connection in tuple(connections._open):
        connections.remove(connection)
    # Tokens whose connections are all closed are forgotten.
    assert (len(connections), dict(connections._by_token)) == (0, {})


def test_a_process_that_goes_takes_no_more(settings: Settings) -> None:
    connections = Connections(settings)
    last = opened(connections, Actor(Workspace(id=1), Token(id=1), Role.ADMIN))
    assert last
    connections.stop()
    assert (last.code, connections.full) == (RESTARTING, True)
