"""The page of `python main.py explore`: what it computes, and the page itself in a browser."""

import asyncio
import base64
import contextlib
import http.client
import io
import json
import signal
import subprocess
import sys
from pathlib import Path
from urllib.parse import urlsplit

import numpy as np
import pytest
from PIL import Image

from config import Config, UserError
from data.images import BadImageError, to_uint8
from data.user_images import read_images
from evaluate.inversion import explore_server
from evaluate.inversion.explore import Explorer, decibels, to_png
from evaluate.trained_run import TrainedRun
from tests.conftest import SMALLEST, TINY, merge, write_run

ROOT = Path(__file__).parent.parent
SRC = "elements => elements.map(element => element.src)"


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A run folder; the tests add to it, but change nothing in it."""
    config = Config.model_validate(merge(TINY, SMALLEST))
    path = tmp_path_factory.mktemp("explore") / "run"
    write_run(config, path)
    return path


@pytest.fixture(scope="module")
def explorer(run):
    return Explorer(TrainedRun(run))


@pytest.fixture(scope="module")
def photo(tmp_path_factory):
    """A sideways photo with an EXIF orientation: TensorFlow alone does not turn it upright."""
    path = tmp_path_factory.mktemp("photo") / "photo.jpg"
    exif = Image.Exif()
    exif[0x0112] = 6
    ramp = np.add.outer(np.arange(0, 200, 10), np.arange(30)).astype(np.uint8)
    Image.fromarray(np.stack([ramp, ramp // 2, 255 - ramp], axis=-1)).save(path, exif=exif)
    return path


def pixels(content):
    return np.asarray(Image.open(io.BytesIO(content)))


def test_recovers_what_reconstruct_recovers(explorer, photo):
    image, latent = explorer.recover(photo.read_bytes())

    _, images, _ = read_images([photo], explorer.trained.config.data)
    np.testing.assert_array_equal(image, images[0])
    np.testing.assert_array_equal(latent, explorer.trained.encode(images)[0])


def test_bad_image_is_reported_in_one_line(explorer, photo):
    for content, problem in (
        (b"", "empty file"),
        (b"nothing", "not a JPEG, PNG, WebP or BMP image"),
        (photo.read_bytes()[:-100], "truncated or damaged"),
    ):
        with pytest.raises(BadImageError, match=f"^{problem}[^\n]*$"):
            explorer.recover(content)


def test_slider_changes_its_element_alone(explorer):
    latent = explorer.sample(3)
    before = latent.copy()
    moved = explorer.move(latent, {4: 1.5})

    np.testing.assert_array_equal(moved[[0, 1, 2, 3, 5]], before[[0, 1, 2, 3, 5]])
    assert moved[4] == 1.5
    np.testing.assert_array_equal(latent, before)
    np.testing.assert_array_equal(explorer.move(latent, {}), before)


def test_picture_is_what_the_run_generates(explorer):
    latent = explorer.move(explorer.sample(3), {0: -2.0})
    picture = explorer.generate(latent)

    expected = explorer.trained.generate(latent[None])[0]
    np.testing.assert_array_equal(picture, expected)
    np.testing.assert_array_equal(pixels(to_png(picture)), to_uint8(expected))
    assert decibels(picture, np.clip(picture + 0.02, -1, 1)) > 30


def test_elements_are_the_most_important_ones(explorer, monkeypatch):
    variances = np.tile([1.0, 5.0, 2.0, 4.0, 3.0, 6.0], (5, 1))
    monkeypatch.setattr(explorer.trained, "variance_window", variances)
    assert Explorer(explorer.trained).elements == [5, 1, 3, 4, 2, 0]


def test_limits_hold_the_recovered_value(explorer):
    latent = np.array([0.5, 2.345, -3.001, 0, 0, 0], np.float32)
    limits = [explorer.limits(latent, element) for element in range(3)]
    np.testing.assert_allclose(limits, [(-2, 2), (-2, 2.35), (-3.01, 2)])


def test_save_never_writes_over_anything(explorer):
    latent = explorer.sample(5)
    first, second = explorer.save(latent, "a"), explorer.save(latent + 1, "b")

    assert first != second
    found = np.load(first / "latents.npz")
    np.testing.assert_array_equal(found["latents"], latent[None])
    assert found["names"].tolist() == ["a"]
    expected = to_uint8(explorer.generate(latent))
    np.testing.assert_array_equal(np.asarray(Image.open(first / "picture.png")), expected)


def test_port_in_use_is_reported_and_passed_over():
    with explore_server.listen() as taken:
        host, port = taken.getsockname()
        assert host == "127.0.0.1"
        with pytest.raises(UserError, match=f"^port {port}: address already in use; [^\n]*$"):
            explore_server.listen(port)
        with explore_server.listen() as other:
            assert other.getsockname()[1] > port


def test_absent_library_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "streamlit", None)
    with pytest.raises(UserError, match=r"^explore needs Streamlit: pip install -r \S+ [^\n]*$"):
        explore_server.require_library()


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({b"host": b"127.0.0.1:8501"}, 200),
        ({b"host": b"localhost:8501", b"origin": b"http://localhost:8501"}, 200),
        ({b"host": b"localhost:8501", b"origin": b"http://127.0.0.1:8501"}, 403),
        ({b"host": b"127.0.0.1:8501", b"origin": b"http://127.0.0.1:8502"}, 403),
        ({b"host": b"127.0.0.1:8501", b"origin": b"http://127.0.0.1"}, 403),
        ({b"host": b"127.0.0.1:8501", b"origin": b"https://127.0.0.1:8501"}, 403),
        ({b"host": b"127.0.0.1:8502", b"origin": b"http://127.0.0.1:8502"}, 403),
        ({b"host": b"site.example:8501"}, 403),
        ({b"host": b"127.0.0.1:8501", b"origin": b"https://site.example"}, 403),
        ({b"host": b"127.0.0.1:8501", b"origin": b"null"}, 403),
        ({b"host": b"[", b"origin": b"["}, 403),
        ({}, 403),
    ],
)
def test_other_sites_and_ports_are_refused(headers, status):
    sent = []

    async def answer(scope, receive, send):
        await send({"type": "http.response.start", "status": 200})

    async def note(message):
        sent.append(message)

    scope = {"type": "http", "headers": list(headers.items())}
    asyncio.run(explore_server.refuse_other_sites(answer, 8501)(scope, None, note))
    assert sent[0]["status"] == status
    assert_unframable({name.decode(): value.decode() for name, value in sent[0]["headers"]}, 8501)


def assert_unframable(headers, port):
    assert headers["x-frame-options"] == "DENY"
    assert headers["content-security-policy"] == (
        "default-src 'self' data: blob: 'unsafe-inline' 'unsafe-eval'; connect-src 'self' data: "
        f"blob: ws://127.0.0.1:{port} ws://localhost:{port}; frame-ancestors 'none'"
    )


def request(address, path, method="GET", **headers):
    """(status, headers, body) of an answer of the real server."""
    connection = http.client.HTTPConnection(urlsplit(address).netloc, timeout=20)
    with contextlib.closing(connection):
        connection.request(method, path, headers=headers)
        answer = connection.getresponse()
        found = {name.lower(): value for name, value in answer.getheaders()}
        return answer.status, found, b"" if answer.status == 101 else answer.read()


def handshake(address, origin):
    """The status that the real server answers when a page of `origin` opens a websocket."""
    headers = {
        "Origin": origin,
        "Connection": "Upgrade",
        "Upgrade": "websocket",
        "Sec-WebSocket-Version": "13",
        "Sec-WebSocket-Key": base64.b64encode(bytes(16)).decode(),
        "Sec-WebSocket-Protocol": "streamlit",
    }
    return request(address, "/_stcore/stream", **headers)[0]


@pytest.fixture(scope="module")
def address(run):
    """The address of the page that the real command serves.

    Afterwards, checks that Ctrl-C ends the command with one line.
    """
    pytest.importorskip("streamlit", reason="pip install -r requirements-optional.txt")
    command = [sys.executable, "main.py", "explore", str(run)]
    streams = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    with subprocess.Popen(command, cwd=ROOT, **streams) as process:
        try:
            lines = iter(process.stdout.readline, "")
            yield next(line.split()[0] for line in lines if line.startswith("http://"))
            process.send_signal(signal.SIGINT)
            _, errors = process.communicate(timeout=20)
        finally:
            process.kill()
    assert process.returncode == 130
    assert errors.splitlines()[-1].startswith("stopped (SIGINT); to go on: python main.py explore")
    assert "Traceback" not in errors


@pytest.mark.long
def test_server_answers_its_own_page_alone(address):
    port = urlsplit(address).port
    for path in ("/", "/_stcore/host-config", "/nothing/here"):
        _, headers, _ = request(address, path)
        assert_unframable(headers, port)
    status, _, body = request(address, "/_stcore/host-config", Origin=address)
    assert (status, json.loads(body)["allowedOrigins"]) == (200, [])

    strangers = ("http://localhost:1", "http://127.0.0.1:1", f"http://localhost:{port}")
    for origin in (*strangers, "https://mine.streamlit.app"):
        assert handshake(address, origin) == 403
        upload = "/_stcore/upload_file/session/file"
        status, headers, body = request(address, upload, "PUT", Origin=origin)
        assert (status, body) == (403, b"for this machine only")
        assert_unframable(headers, port)
    assert handshake(address, address) == 101


@pytest.fixture
def page(browser):
    """A page in a headless Chromium; `page.asked` are the addresses that it requests."""
    from playwright.sync_api import expect

    page = browser.new_page()
    page.set_default_timeout(20_000)
    page.asked, page.expect = [], expect
    page.on("request", lambda request: page.asked.append(request.url))
    page.on("websocket", lambda websocket: page.asked.append(websocket.url))
    return page


def shown(page, count):
    """The pixels of the images on the page, once there are `count` of them."""
    images = page.locator(".pictures img")
    page.locator(f".pictures figure:nth-child({count})").wait_for()
    return [pixels(base64.b64decode(s.split(",")[1])) for s in images.evaluate_all(SRC)]


def shown_next(page, previous):
    """The pixels of two images on the page, once the second is no longer the PNG `previous`."""
    source = f"data:image/png;base64,{base64.b64encode(previous).decode()}"
    page.locator(f'.pictures figure:nth-child(2) img:not([src="{source}"])').wait_for()
    return shown(page, 2)


@pytest.mark.long
def test_page(address, run, photo, explorer, page):
    before = set(run.glob("explore*"))
    image, latent = explorer.recover(photo.read_bytes())
    reconstruction = explorer.generate(latent)
    page.goto(address)
    assert shown(page, 1)[0].shape == (8, 8, 3)

    page.set_input_files("input[type=file]", photo)
    given, again = shown(page, 2)
    np.testing.assert_array_equal(given, to_uint8(image))
    np.testing.assert_array_equal(again, to_uint8(reconstruction))

    first = explorer.trained.elements_by_importance[0]
    label = page.get_by_text(f"rank 1: element {first}")
    page.expect(label).to_have_count(1)  # the old one is gone
    page.get_by_role("slider").first.press("End")
    _, moved = shown_next(page, to_png(reconstruction))
    latent = explorer.move(latent, {first: explorer.limits(latent, first)[1]})
    np.testing.assert_array_equal(moved, to_uint8(explorer.generate(latent)))

    page.get_by_role("button", name="Save").click()
    page.get_by_text("picture.png and latents.npz are in").wait_for()
    (folder,) = set(run.glob("explore*")) - before
    np.testing.assert_array_equal(np.asarray(Image.open(folder / "picture.png")), moved)
    np.testing.assert_array_equal(np.load(folder / "latents.npz")["latents"], latent[None])

    bad = {"name": "bad.png", "mimeType": "image/png", "buffer": b"nothing"}
    page.set_input_files("input[type=file]", bad)
    page.get_by_text("bad.png: not a JPEG, PNG, WebP or BMP image").wait_for()
    page.get_by_role("button", name="Another sample").click()
    page.get_by_text("random sample").wait_for()
    assert len(shown(page, 1)) == 1
    assert {urlsplit(url).hostname for url in page.asked if not url.startswith("data:")} == {
        "127.0.0.1"
    }
