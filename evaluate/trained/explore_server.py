"""The server of `python main.py explore`: Streamlit, for this machine only. See `serve`."""

import gc
import logging
import re
import socket
from pathlib import Path

from config import UserError, reason

HOST = "127.0.0.1"
FIRST_PORT, PORTS = 8501, 100
_LOCAL = rb"(127\.0\.0\.1|localhost)(:\d+)?"
_SETTINGS = {
    "browser.gatherUsageStats": False,
    "client.showErrorDetails": "none",
    "client.toolbarMode": "minimal",
    "global.developmentMode": False,
    "logger.level": "critical",
    "server.baseUrlPath": "",
    "server.enableCORS": True,
    "server.enableXsrfProtection": True,
    "server.fileWatcherType": "none",
}
_POLICY = (  # the browser asks nobody but this server, whatever Streamlit's page has in mind
    b"default-src 'self' data: blob: 'unsafe-inline' 'unsafe-eval'; "
    b"connect-src 'self' data: blob: ws://127.0.0.1:* ws://localhost:*"
)

explorer = None  # what explore_page.py shows: Streamlit runs a file, and hands it nothing


def require_library():
    """Raise UserError where Streamlit is absent, or too old."""
    try:
        import streamlit.starlette  # noqa: F401
        import uvicorn  # noqa: F401
    except ImportError as error:
        raise UserError(
            f"explore needs Streamlit: pip install -r requirements-optional.txt ({error})"
        ) from error


def listening(port=None):
    """A socket of this machine's own address that listens on a port, or on the first free one.

    Raises UserError if there is none.
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


def serve(what, listener):
    """Show an `Explorer` to browsers until a signal comes."""
    import uvicorn
    from streamlit.starlette import App
    from streamlit.web.bootstrap import load_config_options

    from data.images import MAX_BYTES

    global explorer
    explorer = what
    app = App(Path(__file__).with_name("explore_page.py"))
    settings = _SETTINGS | {"server.maxUploadSize": MAX_BYTES >> 20}
    load_config_options(settings)  # they go before the user's own files of settings
    logging.getLogger("uvicorn").setLevel(logging.CRITICAL)
    gc.collect()
    gc.freeze()  # Streamlit collects garbage after each change: not among all of TensorFlow
    guarded = local_only(app)
    quiet = {"log_config": None, "access_log": False}
    server = uvicorn.Server(uvicorn.Config(guarded, timeout_graceful_shutdown=1, **quiet))
    server.run(sockets=[listener])


def local_only(app):
    """The ASGI application, closed to other sites' pages, and its own page closed to other sites.

    Streamlit refuses the former too, but asks a server on the internet for its own address first.
    """

    async def guarded(scope, receive, send):
        async def send_with_policy(message):
            if message["type"] == "http.response.start":
                policy = (b"content-security-policy", _POLICY)
                message = message | {"headers": [*message.get("headers", []), policy]}
            await send(message)

        if scope["type"] == "lifespan" or _is_local(dict(scope["headers"])):
            await app(scope, receive, send_with_policy)
        elif scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008})
        else:
            await send({"type": "http.response.start", "status": 403, "headers": []})
            await send({"type": "http.response.body", "body": b"for this machine only"})

    return guarded


def _is_local(headers):
    """Whether a request is addressed to this machine by name, and comes from no other site."""
    host, origin = headers.get(b"host", b""), headers.get(b"origin")
    return bool(
        re.fullmatch(_LOCAL, host) and (origin is None or re.fullmatch(b"http://" + _LOCAL, origin))
    )
