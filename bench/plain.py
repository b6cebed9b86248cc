"""What the API is measured against: plain Starlette, serving the same JSON and sending the same text.

`python -m bench.plain PORT` answers POST /json with the JSON that was PUT there, and sends what is POSTed to /send to
every websocket at /ws.
"""

import sys

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocket, WebSocketDisconnect


class Plain:
    """The state of the server."""

    def __init__(self) -> None:
        self.document: object = None
        self.sockets: list[WebSocket] = []

    async def json(self, request: Request) -> JSONResponse:
        """Keep a document, or serve it."""
        if request.method == "PUT":
            self.document = await request.json()
        return JSONResponse(self.document)

    async def send(self, request: Request) -> JSONResponse:
        """Send a text to every socket."""
        text = (await request.body()).decode()
        for socket in self.sockets:
            await socket.send_text(text)
        return JSONResponse(len(self.sockets))

    async def socket(self, socket: WebSocket) -> None:
        """Hold a socket open."""
        await socket.accept()
        self.sockets.append(socket)
        try:
            while True:
                await socket.receive_text()
        except WebSocketDisconnect:
            self.sockets.remove(socket)


def main(port: int) -> None:
    """Serve until a signal comes."""
    plain = Plain()
    routes = [
        Route("/json", plain.json, methods=["PUT", "POST"]),
        Route("/send", plain.send, methods=["POST"]),
        WebSocketRoute("/ws", plain.socket),
    ]
    uvicorn.run(
        Starlette(routes=routes), host="127.0.0.1", port=port, http="httptools", loop="asyncio",
        ws_per_message_deflate=False, log_level="warning", access_log=False, backlog=4096,
    )  # fmt: skip


if __name__ == "__main__":
    main(int(sys.argv[1]))
