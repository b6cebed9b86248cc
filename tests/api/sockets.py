"""Where sockets are opened, and what is asked on them."""

from tests.api.conftest import Api

NAME = "{ viewer { workspace { name } } }"
WATCH = "subscription { deliveryStatusChanged { cursor status } }"


def ws(api: Api) -> str:
    """Where to open sockets."""
    return api.graphql.replace("http", "ws", 1)
