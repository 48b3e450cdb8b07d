"""The server of `python main.py explore`: NiceGUI, for this machine only. See `serve`.

This module imports neither TensorFlow nor NiceGUI: the command line uses it.
"""

import importlib
import logging
import socket
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from config import UserError, reason

if TYPE_CHECKING:
    from evaluate.inversion.explore import Explorer

HOST = "127.0.0.1"
FIRST_PORT, PORTS = 8501, 100
_LIBRARIES = ("nicegui", "uvicorn")
_PAGE_OPTIONS = {
    "dark": None,  # as the browser says
    "language": "en-US",
    "message_history_length": 0,  # pictures: after a lost connection the page loads again
    "show_welcome_message": False,
    "tailwind": False,
}
Scope = dict[str, Any]  # these types are ASGI's
Message = dict[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
AsgiApp = Callable[[Scope, Receive, Send], Awaitable[None]]


def require_library() -> None:
    """Raise UserError if NiceGUI is absent."""
    try:
        for name in _LIBRARIES:
            importlib.import_module(name)
    except ImportError as error:
        raise UserError(
            f"explore needs NiceGUI: pip install -r requirements-optional.txt ({error})"
        ) from error


def listen(port: int | None = None) -> socket.socket:
    """Open a socket that listens on a port of this machine's own address, or on the first free one.

    Raises UserError if the port, or each of those tried, is in use.
    """
    ports = [port] if port else range(FIRST_PORT, FIRST_PORT + PORTS)
    for candidate in ports:
        listener = socket.socket()
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((HOST, candidate))
            listener.listen()
        except OSError as error:
            listener.close()
            problem = reason(error)
        else:
            return listener
    where = f"port {port}" if port else f"ports {ports[0]} to {ports[-1]}"
    raise UserError(f"{where}: {problem}; choose another --port")


def serve(explorer: "Explorer", listener: socket.socket) -> None:
    """Show an `Explorer` to browsers until a signal comes."""
    import uvicorn
    from fastapi import FastAPI, Request
    from nicegui import app, ui

    from evaluate.inversion.explore_page import ExplorePage

    @ui.page("/", title=f"explore {explorer.trained.name}")
    def show(request: Request) -> None:
        ExplorePage(explorer, request.url.query)

    app.config.quasar_config["loadingBar"]["skipHijack"] = True  # it has no accessible name
    server_app = FastAPI(openapi_url=None)
    ui.run_with(server_app, **_PAGE_OPTIONS)
    logging.getLogger("uvicorn").setLevel(logging.CRITICAL)
    logging.getLogger("nicegui").setLevel(logging.ERROR)  # not each address that is not there
    guarded = refuse_other_sites(server_app, listener.getsockname()[1])
    quiet = {"log_config": None, "access_log": False}
    server = uvicorn.Server(uvicorn.Config(guarded, timeout_graceful_shutdown=1, **quiet))
    server.run(sockets=[listener])


def refuse_other_sites(app: AsgiApp, port: int) -> AsgiApp:
    """Wrap an ASGI application that listens on `port` of this machine.

    Pages of other sites and other ports cannot reach or frame it; its page reaches no other site.
    NiceGUI itself answers any of them.
    """
    suffix = "" if port == 80 else f":{port}"  # as browsers write it
    hosts = [f"{name}{suffix}".encode() for name in (HOST, "localhost")]
    policy = _policy_headers(hosts)

    async def guarded(scope: Scope, receive: Receive, send: Send) -> None:
        async def send_with_policy(message: Message) -> None:
            if message["type"] == "http.response.start":
                message = message | {"headers": [*message.get("headers", []), *policy]}
            await send(message)

        if scope["type"] == "lifespan" or _is_own(dict(scope["headers"]), hosts):
            await app(scope, receive, send_with_policy)
        elif scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008})
        else:
            await send_with_policy({"type": "http.response.start", "status": 403})
            await send({"type": "http.response.body", "body": b"for this machine only"})

    return guarded


def _policy_headers(hosts: Sequence[bytes]) -> list[tuple[bytes, bytes]]:
    """Headers for the browser: ask `hosts` alone, whatever else NiceGUI's page wants to load.

    No page may hold this one in a frame, where it could lead the user's clicks astray.
    """
    sockets = b" ".join(b"ws://" + host for host in hosts)
    policy = (
        b"default-src 'self' data: blob: 'unsafe-inline' 'unsafe-eval'; "
        b"connect-src 'self' data: blob: " + sockets + b"; frame-ancestors 'none'"
    )
    return [(b"content-security-policy", policy), (b"x-frame-options", b"DENY")]


def _is_own(headers: Mapping[bytes, bytes], hosts: Sequence[bytes]) -> bool:
    """Whether a request is to one of `hosts` and comes from no page but this server's own."""
    host, origin = headers.get(b"host"), headers.get(b"origin")
    return host in hosts and origin in (None, b"http://" + host)
