"""The page of `python main.py explore`: what it computes, and the page itself in a browser."""

import asyncio
import base64
import contextlib
import http.client
import importlib.metadata
import io
import re
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
from evaluate.inversion.editing import Direction
from evaluate.inversion.explore import Explorer, decibels, to_png
from evaluate.inversion.explore_view import DIRECTION, View, read_query, write_query
from evaluate.trained_run import TrainedRun
from tests.conftest import SMALLEST, TINY, assert_user_error, merge, write_folder, write_run

ROOT = Path(__file__).parent.parent
SOCKET = "/_nicegui_ws/socket.io/?EIO=4"


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


def view_of(seed=3, image=None, moved=(), count=8):
    return View(None if image else seed, image, dict(moved), count)


def test_recovers_what_reconstruct_recovers(explorer, photo):
    key = explorer.recover("photo.jpg", photo.read_bytes())
    name, latent, picture, image = explorer.origin(view_of(image=key))

    _, images, _ = read_images([photo], explorer.trained.config.data)
    latents = explorer.trained.encode(images)
    assert name == "photo.jpg"
    np.testing.assert_array_equal(image, images[0])
    np.testing.assert_array_equal(latent, latents[0])
    np.testing.assert_array_equal(picture, explorer.trained.generate(latents)[0])


def test_oldest_images_are_forgotten(explorer, photo, monkeypatch):
    monkeypatch.setattr("evaluate.inversion.explore._IMAGES_KEPT", 2)
    contents = [photo.read_bytes() + bytes([number]) for number in (1, 2, 1, 3)]
    keys = [explorer.recover("photo.jpg", content) for content in contents]
    assert list(explorer.images) == [keys[2], keys[3]]
    with pytest.raises(UserError, match=r"^the image of this address is no longer here: choose it"):
        explorer.origin(view_of(image=keys[1]))


def test_bad_image_is_reported_in_one_line(explorer, photo):
    for content, problem in (
        (b"", "empty file"),
        (b"nothing", "not a JPEG, PNG, WebP or BMP image"),
        (photo.read_bytes()[:-100], "truncated or damaged"),
    ):
        with pytest.raises(BadImageError, match=f"^{problem}[^\n]*$"):
            explorer.recover("a.jpg", content)


def test_slider_changes_its_element_alone(explorer):
    origin = explorer.origin(view_of())
    before = origin.latent.copy()
    moved = explorer.edit(origin, view_of().move(4, 1.5))

    np.testing.assert_array_equal(moved[[0, 1, 2, 3, 5]], before[[0, 1, 2, 3, 5]])
    assert moved[4] == 1.5
    np.testing.assert_array_equal(origin.latent, before)
    view = view_of().move(4, 1.5).move(4, 1.2).move(1, 0.5).reset(4)
    assert view == view_of(moved={1: 0.5})
    np.testing.assert_array_equal(explorer.edit(origin, view.reset(1)), before)


def test_direction_is_a_slider_that_moves_as_edit_does(explorer):
    direction = Direction(np.float32([0.6, 0.8, 0, 0, 0, 0]), gap=2.0, accuracy=1.0)
    directed = Explorer(explorer.trained, direction, "from b to a")
    view = view_of(moved={DIRECTION: 0.5, 1: 0.25}, count=1)
    origin = directed.origin(view)
    latent = directed.edit(origin, view)

    expected = origin.latent.copy()
    expected[0] += 0.6 / explorer.trained.scale[0]
    expected[1] = 0.25
    np.testing.assert_allclose(latent, expected, rtol=1e-6)
    first = directed.elements[0]
    assert directed.keys(view) == [DIRECTION, first]
    assert explorer.keys(view) == [first]
    assert directed.label(DIRECTION) == "from b to a"
    assert directed.label(first) == f"rank 1: element {first}"
    assert directed.value(view, latent, DIRECTION) == 0.5
    assert directed.value(view_of(), latent, DIRECTION) == 0
    assert directed.value(view, latent, 0) == latent[0]  # moved along
    assert directed.limits(DIRECTION, 0.5) == (-2, 2)


def test_picture_is_what_the_run_generates(explorer):
    view = view_of(moved={0: -2.0})
    latent = explorer.edit(explorer.origin(view), view)
    picture = explorer.generate(latent)

    expected = explorer.trained.generate(latent[None])[0]
    np.testing.assert_array_equal(picture, expected)
    np.testing.assert_array_equal(pixels(to_png(picture)), to_uint8(expected))
    assert decibels(picture, np.clip(picture + 0.02, -1, 1)) > 30


def test_elements_are_the_most_important_ones(explorer, monkeypatch):
    variances = np.tile([1.0, 5.0, 2.0, 4.0, 3.0, 6.0], (5, 1))
    monkeypatch.setattr(explorer.trained, "variance_window", variances)
    assert Explorer(explorer.trained).keys(view_of(count=4)) == [5, 1, 3, 4]


def test_limits_hold_the_recovered_value(explorer):
    limits = [explorer.limits(2, value) for value in (0.5, 2.345, -3.001)]
    np.testing.assert_allclose(limits, [(-2, 2), (-2, 2.35), (-3.01, 2)])


@pytest.mark.parametrize(
    ("query", "view"),
    [
        ("seed=7", view_of(seed=7)),
        ("seed=0&element=4=1.5&element=0=-0.25", view_of(seed=0, moved={4: 1.5, 0: -0.25})),
        ("image=3f2a&direction=0.5&sliders=6", view_of(None, "3f2a", {DIRECTION: 0.5}, 6)),
    ],
)
def test_address_says_what_the_page_shows(explorer, query, view):
    assert write_query(view) == query
    assert read_query(query, explorer.trained, has_direction=True) == view


def test_address_without_a_query_is_a_random_sample(explorer):
    first, second = (read_query("", explorer.trained, has_direction=False) for _ in range(2))
    assert first == view_of(first.seed)
    assert first.seed != second.seed


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ("seed=-1", "a seed is a whole number from 0 to 2147483647. Received: -1"),
        ("seed=", "a seed is a whole number from 0 to 2147483647. Received: "),
        ("sliders=7", "the number of sliders is a whole number from 1 to 6. Received: 7"),
        ("element=6=1", "there is no element 6: use 0 to 5"),
        ("element=1=1&element=1=2", "element 1 is set twice: to 1 and to 2"),
        (
            "element=1=nan",
            "a change is given as ELEMENT=VALUE, such as 3=1.5, with a value from -1000 to 1000. "
            "Received: 1=nan",
        ),
        ("direction=inf", "direction is a number from -1000 to 1000. Received: inf"),
        (
            "seed=1&seed=2",
            "the address takes seed, image, element, direction, sliders, and only element more "
            "than once. Received: seed",
        ),
        (
            "color=red",
            "the address takes seed, image, element, direction, sliders, and only element more "
            "than once. Received: color",
        ),
    ],
)
def test_wrong_address_is_explained(explorer, query, message):
    with pytest.raises(UserError) as caught:
        read_query(query, explorer.trained, has_direction=True)
    assert str(caught.value) == message


def test_direction_takes_examples(command, run, tmp_path, explorer):
    code, _, errors = command("explore", run, "--with", tmp_path)
    assert_user_error(code, errors, "--with and --without go together")
    nowhere = tmp_path / "nowhere"
    code, _, errors = command("explore", run, "--with", tmp_path, "--without", nowhere)
    assert_user_error(code, errors, f"no such file or folder: {nowhere}")
    with pytest.raises(UserError) as caught:
        read_query("direction=1", explorer.trained, has_direction=False)
    assert str(caught.value) == (
        "there is a direction only if explore was started with --with and --without"
    )


def test_save_never_writes_over_anything(explorer):
    latent = explorer.trained.sample_latents(1, 5)[0]
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
    monkeypatch.setitem(sys.modules, "nicegui", None)
    with pytest.raises(UserError, match=r"^explore needs NiceGUI: pip install -r \S+ [^\n]*$"):
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
    }
    return request(address, f"{SOCKET}&transport=websocket", **headers)[0]


@pytest.fixture(scope="module")
def examples(tmp_path_factory):
    """Folders of ten bright and ten dark images."""
    folders = {name: tmp_path_factory.mktemp("examples") / name for name in ("bright", "dark")}
    for folder, least in zip(folders.values(), (150, 0), strict=True):
        noise = np.random.default_rng(0).integers(least, least + 100, (10, 8, 8, 3), np.uint8)
        write_folder(folder, {f"{i}.png": to_png(x / 127.5 - 1) for i, x in enumerate(noise)})
    return folders


@pytest.fixture(scope="module")
def address(run, examples):
    """The address of the page that the real command serves.

    Afterwards, checks that Ctrl-C ends the command with one line.
    """
    pytest.importorskip("nicegui", reason="pip install -r requirements-optional.txt")
    command = [sys.executable, "main.py", "explore", str(run)]
    command += ["--with", str(examples["bright"]), "--without", str(examples["dark"])]
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
    static = f"/_nicegui/{importlib.metadata.version('nicegui')}/static"
    for path, expected in (
        ("/", 200),
        (f"{static}/nicegui.js", 200),
        (f"{static}/", 404),  # no listing of files
        (f"{static}/..%2fserver.py", 404),
        ("/docs", 404),
        ("/openapi.json", 404),
        ("/nothing/here", 404),
    ):
        status, headers, _ = request(address, path)
        assert status == expected, path
        assert_unframable(headers, port)

    strangers = ("http://localhost:1", "http://127.0.0.1:1", f"http://localhost:{port}")
    for origin in (*strangers, "https://site.example"):
        assert handshake(address, origin) == 403
        for path in (f"{SOCKET}&transport=polling", "/_nicegui/client/client/upload/1"):
            status, headers, body = request(address, path, "POST", Origin=origin)
            assert (status, body) == (403, b"for this machine only")
            assert_unframable(headers, port)
    assert handshake(address, address) == 101


class Page:
    """The page in a browser; `asked` are the addresses that it requests."""

    def __init__(self, browser, address, **options):
        from playwright.sync_api import expect

        self.browsed, self.expect, self.asked = browser.new_page(**options), expect, []
        self.browsed.set_default_timeout(20_000)
        self.expect.set_options(timeout=20_000)
        self.browsed.on("request", lambda request: self.asked.append(request.url))
        self.browsed.on("websocket", lambda websocket: self.asked.append(websocket.url))
        self.browsed.goto(address)

    def image(self, name):
        return self.browsed.get_by_alt_text(name, exact=True)

    def pixels(self, name):
        """The pixels of a picture."""
        return pixels(base64.b64decode(self.image(name).get_attribute("src").split(",")[1]))

    def expect_pixels(self, name, image):
        """Wait until a picture is an image (height, width, 3) in [-1, 1]."""
        source = f"data:image/png;base64,{base64.b64encode(to_png(image)).decode()}"
        self.expect(self.image(name)).to_have_attribute("src", source)

    def expect_captions(self, *captions):
        self.expect(self.browsed.locator("figcaption:visible")).to_have_text(captions)

    def expect_message(self, text):
        self.expect(self.browsed.get_by_role("status")).to_have_text(text)

    def expect_query(self, query):
        self.expect(self.browsed).to_have_url(re.compile(re.escape(f"/?{query}") + "$"))

    def slider(self, label):
        return self.browsed.get_by_role("slider", name=label)

    def click(self, name):
        self.browsed.get_by_role("button", name=name).click()

    def upload(self, photo):
        self.browsed.set_input_files("input[type=file]", photo)

    def type(self, label, text):
        self.browsed.get_by_label(label).fill(text)
        self.browsed.keyboard.press("Enter")


@pytest.mark.long
def test_page_of_an_image(address, run, photo, explorer, browser):
    before = set(run.glob("explore*"))
    origin = explorer.origin(view_of(image=explorer.recover("photo.jpg", photo.read_bytes())))
    page = Page(browser, address)
    page.upload(photo)
    page.expect_pixels("original", origin.image)
    page.expect_pixels("reconstruction", origin.picture)
    page.expect_pixels("edited", origin.picture)
    psnr = decibels(origin.image, origin.picture)
    reconstruction = f"reconstructionfrom its latent, PSNR {psnr:.1f} dB"
    page.expect_captions("originalphoto.jpg", reconstruction, "editednothing moved yet")

    first = explorer.elements[0]
    page.slider(f"rank 1: element {first}").press("End")
    end = explorer.limits(first, origin.latent[first])[1]
    latent = explorer.edit(origin, view_of(moved={first: end}))
    page.expect_pixels("edited", explorer.generate(latent))
    page.expect_pixels("reconstruction", origin.picture)
    page.expect_captions("originalphoto.jpg", reconstruction, "edited1 slider moved")

    page.click("Save")
    page.expect_message(re.compile("^Saved: picture.png and latents.npz are in "))
    (folder,) = set(run.glob("explore*")) - before
    saved = np.asarray(Image.open(folder / "picture.png"))
    np.testing.assert_array_equal(saved, page.pixels("edited"))
    np.testing.assert_allclose(np.load(folder / "latents.npz")["latents"], latent[None])
    page.slider("from dark to bright").press("ArrowRight")
    page.expect_message("")
    page.expect_captions("originalphoto.jpg", reconstruction, "edited2 sliders moved")

    page.browsed.reload()
    page.expect_pixels("original", origin.image)
    page.expect_captions("originalphoto.jpg", reconstruction, "edited2 sliders moved")
    page.upload({"name": "bad.png", "mimeType": "image/png", "buffer": b"nothing"})
    page.expect_message("bad.png: not a JPEG, PNG, WebP or BMP image")
    page.click("Another sample")
    page.expect(page.image("original")).to_be_hidden()
    page.expect_message("")
    asked = {url for url in page.asked if not url.startswith(("data:", "blob:"))}
    assert {urlsplit(url).hostname for url in asked} == {"127.0.0.1"}


@pytest.mark.long
def test_page_of_a_sample(address, explorer, browser):
    page = Page(browser, f"{address}/?seed=7")
    page.expect_captions("sampleseed 7", "editednothing moved yet")
    first, second = explorer.elements[:2]
    page.slider("rank 1:").fill("0.5")
    page.expect_query(f"seed=7&element={first}=0.5")
    page.slider("rank 2:").fill("-1.25")
    moved = {first: 0.5, second: -1.25}
    page.expect_query(f"seed=7&element={first}=0.5&element={second}=-1.25")
    origin = explorer.origin(view_of(7))
    edited = explorer.generate(explorer.edit(origin, view_of(7, moved=moved)))
    page.expect_pixels("edited", edited)

    page.browsed.reload()
    page.expect_pixels("edited", edited)
    page.expect(page.slider("rank 1:")).to_have_value("0.5")
    with page.browsed.expect_download() as download:
        page.click("Download")
    assert download.value.suggested_filename == "picture.png"
    np.testing.assert_array_equal(pixels(download.value.path().read_bytes()), to_uint8(edited))

    page.click("reset rank 1:")
    page.expect_query(f"seed=7&element={second}=-1.25")
    page.type("elements, of 6", "3")
    page.expect(page.browsed.get_by_role("slider")).to_have_count(4)
    page.type("seed", "9")
    page.expect_query("seed=9&sliders=3")
    page.expect_pixels("sample", explorer.origin(view_of(9)).picture)
    for query in (
        f"seed=7&element={second}=-1.25&sliders=3",
        f"seed=7&element={second}=-1.25",
        f"seed=7&element={first}=0.5&element={second}=-1.25",
    ):
        page.click("Undo")
        page.expect_query(query)
    page.expect_pixels("edited", edited)
    page.expect(page.slider("rank 1:")).to_have_value("0.5")
    page.expect(page.browsed.get_by_role("button", name="Undo")).to_be_disabled()
    page.type("seed", "1.5")
    page.expect_message("a seed is a whole number from 0 to 2147483647. Received: 1.5")

    page.browsed.goto(f"{address}/?image=3f2a")
    page.expect_message("the image of this address is no longer here: choose it again")


@pytest.mark.long
def test_picture_follows_the_drag_and_stays_in_view_on_a_phone(address, browser):
    page = Page(browser, f"{address}/?seed=7", viewport={"width": 390, "height": 600})
    page.slider("rank 6:").scroll_into_view_if_needed()
    box = page.slider("rank 6:").bounding_box()
    image = page.image("edited").bounding_box()
    assert image["y"] >= 0
    assert image["y"] + image["height"] < box["y"]
    middle = box["y"] + box["height"] / 2
    page.browsed.mouse.move(box["x"] + 10, middle)
    page.browsed.mouse.down()
    for share in (0.2, 0.4, 0.6, 0.8, 0.9, 0.1):
        source = page.image("edited").get_attribute("src")
        page.browsed.mouse.move(box["x"] + share * box["width"], middle)
        page.expect(page.image("edited")).not_to_have_attribute("src", source)
    assert "element" not in page.browsed.url  # the slider is still in use
    page.browsed.mouse.up()
    page.expect(page.browsed).to_have_url(re.compile("element=.*=-"))


@pytest.mark.long
@pytest.mark.parametrize(("width", "scheme"), [(390, "light"), (390, "dark"), (1400, "dark")])
def test_page_is_accessible(address, photo, browser, width, scheme):
    axe = pytest.importorskip("axe_playwright_python.sync_playwright")
    viewport = {"width": width, "height": 800}
    page = Page(browser, address, viewport=viewport, color_scheme=scheme)
    page.upload({"name": "bad.png", "mimeType": "image/png", "buffer": b"nothing"})
    page.expect_message("bad.png: not a JPEG, PNG, WebP or BMP image")
    page.slider("rank 1:").press("Home")
    page.upload(photo)
    page.expect(page.image("original")).to_be_visible()
    page.slider("rank 1:").press("Home")
    found = axe.Axe().run(page.browsed).response
    assert [violation["help"] for violation in found["violations"]] == []
    assert page.browsed.evaluate("document.documentElement.scrollWidth") == width
