"""Who is asking, and the cursor from which they can watch."""

import strawberry
from redis.exceptions import RedisError

from domain.errors import Unauthenticated
from domain.live import LiveAway
from schema.context import Info
from schema.tokens import Token, Workspace


@strawberry.type(description="The sender of this request.")
class Viewer:
    workspace: Workspace = strawberry.field(description="The workspace that the token opens.")
    token: Token = strawberry.field(description="The token that came with the request.")


@strawberry.type
class ViewerQuery:
    @strawberry.field(description="The sender of this request: the token and the workspace that it opens.")
    def viewer(self, info: Info) -> Viewer:
        actor = info.context.actor
        if actor.token is None:
            raise Unauthenticated
        return Viewer(workspace=Workspace.of(actor.workspace), token=Token.of(actor.token))

    @strawberry.field(
        description=(
            "Where the workspace's live changes stand now: a cursor for `after` of a subscription. Read it before you "
            "read a list, and subscribe from it: no change falls between the two."
        )
    )
    async def live_cursor(self, info: Info) -> str:
        live = info.context.domain.hub.live
        try:
            return await live.open(info.context.workspace_id)
        except (RedisError, OSError) as error:
            raise LiveAway from error
