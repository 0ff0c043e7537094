"""Tests the page of a generator in headless Chromium: its networks, and every control."""

import base64
import io
import json
import os
import re
import shutil
import time

import keras
import numpy as np
import pytest
from PIL import Image

import train
from conftest import QUICK
from gan import __main__ as program
from gan import build_generator
from gan.data import load
from gan.exports import make_page
from gan.images import to_float
from gan.metrics import load_classifier
from gan.sampling import load_trained_generator

LARGEST = 2_000_000  # bytes
DIGITS = [str(digit) for digit in range(10)]
WAIT = 60  # seconds, for slow machines
pytestmark = pytest.mark.usefixtures("somewhere")


@pytest.fixture(scope="module")
def browser():
    """Starts headless Chromium. Skips the tests without it, except in CI."""
    programs = [shutil.which("chromium"), shutil.which("chromedriver")]
    if None in programs and "GAN_NEEDS_BROWSER" not in os.environ:
        pytest.skip("needs chromium and chromedriver (in Debian: apt install chromium chromium-driver)")
    webdriver = pytest.importorskip("selenium.webdriver")
    options = webdriver.ChromeOptions()
    options.binary_location = programs[0]
    for flag in ("--headless=new", "--no-sandbox", "--disable-dev-shm-usage", "--lang=en-US"):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver = webdriver.Chrome(options, webdriver.ChromeService(programs[1]))
    driver.set_script_timeout(WAIT)
    yield driver
    driver.quit()


@pytest.fixture
def open_page(browser, somewhere):
    """Returns a function that opens a page, waits for its wall, and returns the browser."""

    def opened(path):
        browser.get(f"file://{path.resolve()}")
        wait_until(browser, "return waiting.size === 0 && walls === 1 && !plane.isBusy")
        return browser

    yield opened
    assert [line for line in browser.get_log("browser") if line["level"] != "INFO"] == []


def wait_until(browser, script):
    end = time.monotonic() + WAIT
    while not browser.execute_script(script):
        assert time.monotonic() < end, f"still false: {script}"
        time.sleep(0.05)


def round_weights(network):
    """Rounds the weights to float16, as the page has them. It has batch norm in float32."""
    for layer in network.layers:
        if not isinstance(layer, keras.layers.BatchNormalization):
            layer.set_weights([weight.astype(np.float16) for weight in layer.get_weights()])


def pixels_of(browser, canvas):
    """Returns the pixels of a canvas, uint8 (height, width, 4)."""
    script = "const c = element(arguments[0]); return [c.height, c.width, c.toDataURL('image/png')]"
    height, width, address = browser.execute_script(script, canvas)
    with Image.open(io.BytesIO(base64.b64decode(address.partition(",")[2]))) as file:
        return np.asarray(file.convert("RGBA")).reshape(height, width, 4)


def click(browser, identity):
    browser.execute_script("element(arguments[0]).scrollIntoView({block: 'center'})", identity)
    browser.find_element("id", identity).click()


def compute(browser, latents, labels=None):
    """Returns the pixels that the page's own code draws, float (count, values)."""
    script = """
    const [latents, labels, done] = arguments;
    Promise.all(latents.map((one, at) => generate(one, labels && labels[at])))
        .then((all) => done(all.map((pixels) => Array.from(pixels))));
    """
    return np.array(browser.execute_async_script(script, latents.tolist(), labels))


GENERATORS = {
    "in the package": (load_trained_generator, DIGITS),
    "without labels": (lambda: build_generator((28, 28, 1), 20), None),
    "in color": (lambda: build_generator((32, 32, 3), 20, 3), ["red <b>", "</script>", "ção"]),
    "cropped, deep": (lambda: build_generator((30, 26, 3), 20, 2, base_filters=4, depth=2), ["a", "b"]),
    "64 pixels": (lambda: build_generator((64, 64, 3), 20, base_filters=16), None),
}


@pytest.mark.parametrize("make, names", GENERATORS.values(), ids=GENERATORS)
def test_the_page_draws_what_keras_draws(make, names, open_page, somewhere):
    generator = make()
    count, numbers = 100, np.random.default_rng(0)
    if generator.name != "sampler":  # gives each batch norm its own statistics
        for weight in generator.weights:
            weight.assign(weight + numbers.uniform(0, 0.1, weight.shape))
    round_weights(generator)
    (somewhere / "page.html").write_text(make_page("Test", generator, names), "utf-8")
    latents = numbers.standard_normal((count, generator.inputs[0].shape[1]), np.float32)
    labels = None if names is None else (np.arange(count) % len(names)).tolist()
    drawn = compute(open_page(somewhere / "page.html"), latents, labels)
    inputs = latents if names is None else [latents, np.array(labels)]
    expected = generator.predict(inputs, verbose=0).reshape(count, -1)
    assert np.abs(drawn - expected).max() < 1e-3
    assert np.ptp(expected) > 0.1


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    path = tmp_path_factory.mktemp("page") / "page.html"
    assert program.main(["page", "--output", str(path)]) == 0
    return path


def test_the_page_is_small_and_needs_no_network(page):
    text = page.read_text("utf-8")
    assert len(text.encode()) < LARGEST
    assert not re.search(r"(src|href|url|import|fetch)\W{1,4}(https?:)?//", text)


def test_the_controls_of_the_drawing(page, open_page):
    browser = open_page(page)
    for digit in (7, 2):
        browser.find_elements("css selector", "#classes button")[digit].click()
        wait_until(browser, "return waiting.size === 0 && !plane.isBusy")
        drawn = pixels_of(browser, "picture")[np.newaxis, :, :, :1]
        assert load_classifier("mnist")(to_float(drawn.astype(np.float32))).numpy().argmax() == digit
        assert browser.find_element("id", "caption").text == f"A sample of the class {digit}"
    before = pixels_of(browser, "picture")
    for slider in ("across", "down"):
        browser.find_element("id", slider).send_keys("\ue014" * 30)  # the right arrow key
        wait_until(browser, "return waiting.size === 0 && !plane.isBusy")
        moved = pixels_of(browser, "picture")
        assert not np.array_equal(moved, before)
        before = moved
    click(browser, "plane")  # in its center
    wait_until(browser, "return waiting.size === 0 && !plane.isBusy")
    assert 0.45 < browser.execute_script("return plane.across") < 0.55
    drag(browser, "plane", [(0.5, 0.5), (0.7, 0.3), (0.9, 0.2)])
    wait_until(browser, "return waiting.size === 0 && !plane.isBusy")
    assert browser.execute_script("return [plane.across, plane.down]") == pytest.approx(
        [0.98, 0.14], abs=0.02
    )
    click(browser, "new-latents")
    wait_until(browser, "return waiting.size === 0 && !plane.isBusy")
    assert not np.array_equal(pixels_of(browser, "picture"), before)


def test_the_wall_shows_ten_of_each_class(page, open_page):
    browser = open_page(page)
    first = pixels_of(browser, "wall")
    click(browser, "new-wall")
    wait_until(browser, "return walls === 2 && waiting.size === 0")
    wall = pixels_of(browser, "wall")
    assert not np.array_equal(wall, first)
    tiles = wall[..., :1].reshape(10, 28, 10, 28, 1).swapaxes(1, 2).reshape(100, 28, 28, 1)
    read = load_classifier("mnist")(to_float(tiles.astype(np.float32))).numpy().argmax(1)
    assert (read == np.arange(10).repeat(10)).mean() > 0.95


def test_both_languages(page, open_page):
    browser = open_page(page)
    for language, word in {"pt": "Desenhar", "en": "Draw"}.items():
        browser.find_element("css selector", f"[data-language={language}]").click()
        assert browser.find_element("id", "draw-title").text == word
        assert browser.execute_script("return document.documentElement.lang") == language
    words = browser.execute_script("return [WORDS.en, WORDS.pt].map((one) => Object.keys(one).sort())")
    assert words[0] == words[1]


def test_every_control_has_a_name_and_takes_the_focus(page, open_page):
    browser = open_page(page)
    for one in browser.find_elements("css selector", "button, input, canvas[tabindex], meter, [role=img]"):
        assert not one.is_displayed() or one.accessible_name, one.get_attribute("outerHTML")
    reached, body = set(), browser.find_element("tag name", "body")
    for _ in range(60):
        (browser.switch_to.active_element or body).send_keys("\t")
        reached.add(browser.execute_script("const a = document.activeElement; return a.id || a.textContent"))
    expected = {"across", "down", "new-latents", "new-wall", "pad", "clear", "English", "Português", *DIGITS}
    assert expected <= reached


def drag(browser, identity, points, kind="mouse"):
    """Drags the mouse or a finger through points in 0..1 of an element."""
    from selenium.webdriver import ActionChains
    from selenium.webdriver.common.actions.pointer_input import PointerInput

    one = browser.find_element("id", identity)
    browser.execute_script("arguments[0].scrollIntoView({block: 'center'})", one)
    places = [(int((x - 0.5) * one.size["width"]), int((y - 0.5) * one.size["height"])) for x, y in points]
    actions = ActionChains(browser, duration=20, devices=[PointerInput(kind, kind)])
    actions.move_to_element_with_offset(one, *places[0]).click_and_hold()
    for place in places[1:]:
        actions.move_to_element_with_offset(one, *place)
    actions.release().perform()


def draw_digit(browser, points, kind="mouse"):
    drag(browser, "pad", points, kind)
    wait_until(browser, "return waiting.size === 0")


HAND = {
    0: [(0.5 + 0.22 * np.sin(angle), 0.5 - 0.3 * np.cos(angle)) for angle in np.linspace(0, 2 * np.pi, 15)],
    1: [(0.5, 0.2), (0.5, 0.8)],
    7: [(0.3, 0.25), (0.7, 0.25), (0.45, 0.8)],
}


def test_handwriting_is_read_collected_and_trains(page, open_page, somewhere, capsys):
    browser = open_page(page)
    folder = {"behavior": "allow", "downloadPath": str(somewhere)}
    browser.execute_cdp_cmd("Page.setDownloadBehavior", folder)
    for digit, points in HAND.items():
        draw_digit(browser, points)
        assert browser.find_element("id", "reading").text.startswith(f"It reads {digit}, and is ")
        browser.find_elements("css selector", "#keep button")[digit].click()
        assert browser.find_element("id", "reading").text == "Nothing is drawn yet."
    draw_digit(browser, HAND[1])
    browser.find_elements("css selector", "#keep button")[3].click()  # a mistake, so undo it
    click(browser, "undo")
    assert browser.find_element("id", "collected").text == "Collected: 0: 1 · 1: 1 · 7: 1"
    for _ in range(6):
        draw_digit(browser, HAND[7])
        browser.find_elements("css selector", "#keep button")[7].click()
    click(browser, "download")
    end = time.monotonic() + WAIT
    while not (somewhere / "mine.npz").is_file() and time.monotonic() < end:
        time.sleep(0.1)
    with np.load("mine.npz") as arrays:
        assert arrays["y_train"].tolist() == [0, 1, 7] + [7] * 6
        assert arrays["x_train"].shape == (9, 28, 28) and arrays["x_train"].dtype == np.uint8
        for digit in arrays["x_train"]:
            sides = [np.ptp(places) + 1 for places in np.nonzero(digit)]
            assert digit.max() > 200 and max(sides) == 20
    assert load("mine.npz").image_shape == (28, 28, 1)
    short = [*QUICK, "--steps-per-epoch", "10", "--epochs", "1", "--batch-size", "8"]
    assert train.main([*(word.replace("digits", "mine.npz") for word in short)]) == 0


def test_a_finger_draws_too(page, open_page):
    browser = open_page(page)
    draw_digit(browser, HAND[7], "touch")
    assert browser.find_element("id", "reading").text.startswith("It reads 7, and is ")


def test_a_mouse_button_that_was_pressed_outside_draws_nothing(page, open_page):
    browser = open_page(page)
    draw_digit(browser, [(-0.03, 0.5), (0.5, 0.5), (0.4, 0.6)])
    assert browser.find_element("id", "reading").text == "Nothing is drawn yet."
    assert pixels_of(browser, "pad")[..., :3].max() == 0


def test_the_keyboard_draws_too(page, open_page):
    browser = open_page(page)
    pad = browser.find_element("id", "pad")
    keys = "\ue013" * 8 + " " + "\ue015" * 16 + " "  # up, pen down, down, pen up
    pad.send_keys(keys)
    wait_until(browser, "return waiting.size === 0")
    assert browser.find_element("id", "reading").text.startswith("It reads 1, and is ")
    click(browser, "clear")
    assert browser.find_element("id", "reading").text == "Nothing is drawn yet."


def test_the_numbers_are_centered_as_in_mnist(page, open_page, mnist_path):
    """A test image, enlarged on the pad, is read back almost unchanged."""
    browser = open_page(page)
    images = load(str(mnist_path)).test_images[:20, :, :, 0]
    script = """
    const image = new ImageData(28, 28);
    arguments[0].forEach((pixel, at) => image.data.set([pixel, pixel, pixel, 255], 4 * at));
    const small = document.createElement("canvas");
    small.width = small.height = 28;
    small.getContext("2d").putImageData(image, 0, 0);
    const context = element("pad").getContext("2d", readable);
    context.imageSmoothingEnabled = false;
    context.drawImage(small, 0, 0, 280, 280);
    return Array.from(readPad());
    """
    read = np.array([browser.execute_script(script, image.ravel().tolist()) for image in images])
    difference = np.abs(read.reshape(images.shape) - images.astype(float)).mean((1, 2))
    assert np.median(difference) < 3  # of 255


def test_a_run_has_its_film(open_page, somewhere):
    arguments = [*QUICK, "--steps-per-epoch", "1", "--epochs", "2", "--quiet"]
    assert train.main([*arguments, "--name", "one"]) == program.main(["page", "runs/one"]) == 0
    browser = open_page(somewhere / "runs" / "one" / "page.html")
    assert browser.find_element("id", "film-epoch").text == "Epoch 2"
    browser.find_element("id", "film-position").send_keys("\ue012")  # the left arrow key
    assert browser.find_element("id", "film").get_attribute("alt") == "Samples after epoch 1"
    width = "return element('film').naturalWidth"
    wait_until(browser, f"{width} > 0")
    click(browser, "play")
    wait_until(browser, "return element('film-epoch').textContent === 'Epoch 0'")
    click(browser, "play")
    assert browser.find_element("id", "play").get_attribute("aria-pressed") == "false"
    reduced = {"features": [{"name": "prefers-reduced-motion", "value": "reduce"}]}
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", reduced)
    try:
        before = browser.find_element("id", "film-epoch").text
        click(browser, "play")
        time.sleep(0.8)  # without reduced motion, two pictures
        assert browser.find_element("id", "film-epoch").text == before
        wait_until(browser, f"return element('film-epoch').textContent !== '{before}'")
        click(browser, "play")
    finally:
        browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": []})


def test_other_pictures_have_no_hand(open_page, somewhere):
    (somewhere / "page.html").write_text(make_page("Test", build_generator((8, 8, 3), 4)), "utf-8")
    browser = open_page(somewhere / "page.html")
    assert not browser.find_element("id", "hand-section").is_displayed()
    assert not browser.find_element("id", "film-section").is_displayed()
    assert not browser.find_element("id", "classes").is_displayed()


@pytest.mark.parametrize("width, scheme", [(360, "light"), (1200, "dark")])
def test_a_phone_and_the_dark(page, open_page, width, scheme):
    browser = open_page(page)
    size = {"width": width, "height": 800, "deviceScaleFactor": 1, "mobile": width < 500}
    media = {"features": [{"name": "prefers-color-scheme", "value": scheme}]}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", media)
    try:
        assert browser.execute_script("return document.documentElement.scrollWidth") <= width
        back = browser.execute_script("return getComputedStyle(document.body).backgroundColor")
        assert (max(map(int, re.findall(r"\d+", back))) < 80) == (scheme == "dark")
    finally:
        browser.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
        browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": []})


def build_with(layer):
    latents = keras.Input((4,))
    return keras.Model(latents, keras.layers.Reshape((4, 4, 1))(layer(keras.layers.Dense(16)(latents))))


UNSUPPORTED = {
    "a layer": (
        keras.layers.LayerNormalization(name="norm"),
        r"The layer norm \(LayerNormalization\) cannot",
    ),
    "an activation": (keras.layers.Activation("gelu", name="bent"), "The activation gelu of the layer bent"),
    "a limit": (keras.layers.ReLU(6, name="relu6"), "The layer relu6 has a threshold or a limit"),
}


def build_with_operation():
    latents = keras.Input((16,))
    return keras.Model(latents, keras.layers.Reshape((4, 4, 1))(keras.ops.tanh(latents)))


def build_with_one_layer_twice():
    latents, dense = keras.Input((16,)), keras.layers.Dense(16, name="twice")
    return keras.Model(latents, keras.layers.Reshape((4, 4, 1), name="last")(dense(dense(latents))))


class Subclassed(keras.Model):
    def __init__(self):
        super().__init__(name="mine")
        self.dense, self.reshape = keras.layers.Dense(16), keras.layers.Reshape((4, 4, 1))

    def call(self, latents):
        return self.reshape(self.dense(latents))


def build_subclassed():
    network = Subclassed()
    network(np.zeros((1, 4), np.float32))
    return network


UNLIKE = {
    "an operation": (build_with_operation, "The operation tanh"),
    "a layer twice": (build_with_one_layer_twice, "uses twice: use each layer once"),
    "a subclass": (build_subclassed, r"The network mine \(Subclassed\) cannot be exported"),
}


@pytest.mark.parametrize("build, message", UNLIKE.values(), ids=UNLIKE)
def test_networks_of_other_structures_get_one_line(build, message):
    with pytest.raises(ValueError, match=message) as caught:
        make_page("Test", build())
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("layer, message", UNSUPPORTED.values(), ids=UNSUPPORTED)
def test_what_the_page_cannot_draw_gets_one_line(layer, message):
    with pytest.raises(ValueError, match=message) as caught:
        make_page("Test", build_with(layer))
    assert "\n" not in str(caught.value)


def test_data_cannot_leave_their_script():
    generator = build_generator((8, 8, 1), 4, 2, base_filters=2)
    text = make_page("<b>", generator, ["</script>", "<!--"])
    assert text.count("</script>") == 3 and "<!--" not in text and "<b>" not in text
    assert json.loads(re.search(r'id="data">(.*?)</script>', text)[1])["classes"] == ["</script>", "<!--"]
