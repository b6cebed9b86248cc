"""Who is asking."""

import strawberry

from domain.errors import Unauthenticated
from schema.context import Info
from schema.tokens import Token, Workspace


@strawberry.type(description="Whoever sent this request.")
class Viewer:
    workspace: Workspace = strawberry.field(description="The workspace that the token opens.")
    token: Token = strawberry.field(description="The token that came with the request.")


@strawberry.type
class ViewerQuery:
    @strawberry.field(description="Whoever sent this request: the token and the workspace that it opens.")
    def viewer(self, info: Info) -> Viewer:
        actor = info.context.actor
        if actor.token is None:
            raise Unauthenticated
        return Viewer(workspace=Workspace.of(actor.workspace), token=Token.of(actor.token))
