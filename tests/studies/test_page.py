"""Pages: whole without a network, harmless whatever is put in, and readable by everyone."""

from __future__ import annotations

import base64
import errno
import hashlib
import io
import json
import os
import re
import shutil
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
from PIL import Image

from terrapatch.errors import OutputError
from terrapatch.studies import figures
from terrapatch.studies._figure_canvas import INK, RIGHT, WRONG
from terrapatch.studies._figure_matrix import word_ink
from terrapatch.studies._page_parts import escaped, shown
from terrapatch.studies._page_style import SCRIPT, STYLE
from terrapatch.studies.page import Page

NASTY = '<script>alert("1")</script>\'><img src=x onerror=alert(1)>&lt;'
NODE = shutil.which("node")

EVIL = b"""<?xml version="1.0"?>
<!DOCTYPE svg PUBLIC "-//W3C//DTD SVG 1.1//EN" "http://www.w3.org/Graphics/SVG/1.1/DTD/svg11.dtd">
<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink"
  width="100" height="50" onload="alert(1)">
<style>@import url(http://evil.example/a.css); * { fill: red }</style>
<script>alert(1)</script>
<foreignObject><body xmlns="http://www.w3.org/1999/xhtml"><iframe src="x"/></body></foreignObject>
<a xlink:href="javascript:alert(1)"><text>link</text></a>
<image xlink:href="http://evil.example/pixel.png" width="1" height="1"/>
<image href="data:image/svg+xml;base64,PHN2Zy8+" width="1" height="1"/>
<use xlink:href="http://evil.example/a.svg#b"/>
<animate attributeName="href" values="javascript:alert(1)"/>
<rect id="a" class="skip" width="10" height="10" onclick="alert(1)"
  style="fill: url(http://evil.example/x); stroke: #1f2328"/>
<rect width="9" height="10" style="fill: u\\72l(http://evil.example/y)"/>
<rect width="8" height="10" fill="url(//evil.example/z"/>
<defs><linearGradient id="g"><stop offset="0" stop-color="#123456"/></linearGradient></defs>
<rect width="7" height="10" fill="url(#g)"/>
<text x="1" y="9">kept &lt;b&gt; words</text>
</svg>"""


def noise(height: int = 40, width: int = 60, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3)).astype(np.uint8)


def png(image: np.ndarray) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(image).save(stream, format="png")
    return stream.getvalue()


def full_page(word: str = "forest") -> Page:
    """Return a page with one of everything."""
    confusion = figures.confusion_figure(np.array([[9, 1], [2, 8]]), [word, "river"])
    return (
        Page(f"About {word}", f"What {word} is.")
        .facts([(word, 0.98312), ("samples", 2100)])
        .section(f"Accuracy of {word}")
        .text(f"One {word}.\n\nTwo.")
        .note(f"Beware of {word}.")
        .note("More.", warning=True)
        .table(["class", word], [[word, 97.25], ["river", None]], f"Scores of {word}")
        .section("Pictures")
        .subsection(f"Of {word}")
        .figure(confusion, f"Confusion of {word}", f"Who is {word}")
        .figure(confusion, "The same again")
        .figure(png(noise()), f"Noise of {word}", "A picture")
        .gallery([(noise(), word, "wrong"), (noise(seed=1), "b", "right")], f"Of {word}")
        .section("Recipe")
        .recipe({word: [1, word]})
    )


def parsed(page: Page) -> ElementTree.Element:
    """Return the page as XML, which it is as well: so every element is closed, nested well."""
    text = page.html()
    assert text.startswith("<!doctype html>\n")
    return ElementTree.fromstring(text.removeprefix("<!doctype html>\n"))


def words(element: ElementTree.Element) -> str:
    return "".join(element.itertext())


class Seen(HTMLParser):
    """The elements as an HTML parser, not an XML one, sees them."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))


def seen(page: Page) -> list[tuple[str, dict[str, str | None]]]:
    parser = Seen()
    parser.feed(page.html())
    return parser.tags


def assert_safe(page: Page) -> None:
    """Nothing is loaded, the page's own script is the only one, and no attribute is one."""
    for tag, attributes in seen(page):
        assert tag not in ("iframe", "object", "embed", "base", "foreignobject", "animate"), tag
        for name, value in attributes.items():
            assert not name.startswith("on"), (tag, name)
            if name in ("src", "href", "srcset", "action", "data", "xlink:href"):
                assert re.match(r"#|data:(image/(png|jpeg);base64,|,\Z)", value), (tag, value)
            if "url" in (value or "") and tag not in ("meta",):
                assert re.fullmatch(r"[^(]*url\(#[^)]*\)[^(]*", value), (tag, value)
    assert [tag for tag, _ in seen(page)].count("script") == 1
    assert [words(e) for e in parsed(page).iter("script")] == [SCRIPT]


def test_a_page_needs_no_network():
    page = full_page()
    assert_safe(page)
    assert not re.search(r"https?:|url\(|@import", STYLE + SCRIPT)
    assert "http" not in page.html().replace("http-equiv", "")


def test_the_policy_allows_the_own_script_and_pictures_alone():
    policy = next(e.get("content") for e in parsed(full_page()).iter("meta") if e.get("http-equiv"))
    digest = base64.b64encode(hashlib.sha256(SCRIPT.encode()).digest()).decode()
    rules = dict(rule.split(" ", 1) for rule in policy.split("; "))
    assert rules == {
        "default-src": "'none'",
        "img-src": "data:",
        "style-src": "'unsafe-inline'",
        "script-src": f"'sha256-{digest}'",
        "base-uri": "'none'",
        "form-action": "'none'",
    }


def test_whatever_is_put_in_is_shown_and_harmless():
    page = full_page(NASTY)
    assert_safe(page)
    root = parsed(page)
    assert words(root.find(".//h1")) == f"About {NASTY}"
    assert NASTY in [words(cell) for cell in root.iter("th")]
    assert NASTY in [words(name) for name in root.iter("dt")]
    assert json.loads(words(root.find(".//pre"))) == {NASTY: [1, NASTY]}
    alts = [image.get("alt") for image in root.iter("img")]
    assert alts == [f"Noise of {NASTY}", NASTY, "b"]
    assert next(s.get("aria-label") for s in root.iter("svg")) == f"Confusion of {NASTY}"


def test_characters_no_page_may_hold_are_replaced():
    page = Page("a\x00b\x1b\x85\ud800\ufffe", "c\tö").text("\udcff").recipe({"k": "\x07\udc80"})
    root = parsed(page)
    assert words(root.find(".//h1")) == "a�b����"
    assert words(root.find(".//p")) == "c\tö"
    assert escaped("\udcff") == "�"
    page.html().encode("utf-8")


def test_the_page_is_built_for_everyone():
    root = parsed(full_page())
    assert root.get("lang") == "en"
    ranks = [int(e.tag[1]) for e in root.iter() if re.fullmatch("h[1-6]", e.tag)]
    assert ranks == [1, 2, 2, 3, 2]
    assert all(image.get("alt", "").strip() for image in root.iter("img"))
    assert all(s.get("role") == "img" and s.get("aria-label") for s in root.iter("svg"))
    for table in root.iter("table"):
        assert words(table.find("caption")).strip()
        assert {cell.get("scope") for cell in table.findall("thead//th")} == {"col"}
        assert {cell.get("scope") for cell in table.findall("tbody//th")} == {"row"}
    ids = [e.get("id") for e in root.iter() if e.get("id")]
    assert len(ids) == len(set(ids))
    targets = [e.get("href")[1:] for e in root.iter() if e.get("href", "").startswith("#")]
    assert {"content", "section-1", "section-2", "section-3"} <= set(targets)
    assert set(targets) <= set(ids)
    assert "prefers-color-scheme: dark" in STYLE
    assert "@media print" in STYLE
    scrolled = [e for e in root.iter("div") if "scroll" in e.get("class", "")]
    assert scrolled
    assert all(e.get("tabindex") == "0" for e in scrolled)


def contrast(one: str, other: str) -> float:
    """Return the contrast of two colours (WCAG 2.2)."""
    light = []
    for colour in (one, other):
        share = np.array([int(colour[i : i + 2], 16) for i in (1, 3, 5)]) / 255
        linear = np.where(share <= 0.04045, share / 12.92, ((share + 0.055) / 1.055) ** 2.4)
        light.append(float(linear @ [0.2126, 0.7152, 0.0722]) + 0.05)
    return max(light) / min(light)


def day_and_night() -> list[dict[str, str]]:
    rules = re.findall(r":root \{([^}]*)\}", STYLE)
    return [dict(re.findall(r"--(\w+): (#[0-9a-f]{6})", rule)) for rule in rules]


def mixed(colour: str, paper: str, strength: float) -> str:
    pairs = ((int(colour[i : i + 2], 16), int(paper[i : i + 2], 16)) for i in (1, 3, 5))
    return "#" + "".join(f"{round(strength * c + (1 - strength) * p):02x}" for c, p in pairs)


@pytest.mark.parametrize("colour", [RIGHT, WRONG])
def test_counts_stand_out_on_every_shade_by_day_and_by_night(colour):
    day, night = day_and_night()
    assert day["ink"] == INK
    for inks in (day, night):
        for strength in np.linspace(0, 1, 51):
            word = word_ink(strength).replace(INK, inks["ink"])
            assert contrast(word, mixed(colour, inks["paper"], strength)) > 3.5, strength


def test_letters_stand_out_by_day_and_by_night():
    for inks in day_and_night():
        for paper in (inks["paper"], inks["tint"]):
            for name in ("ink", "soft", "accent", "good", "bad"):
                assert contrast(inks[name], paper) >= 4.5, (name, paper)


def test_contents_stand_before_three_sections():
    assert parsed(full_page()).find(".//nav") is not None
    assert parsed(Page("a").section("b").section("c")).find(".//nav") is None
    with pytest.raises(ValueError, match="begin a section first"):
        Page("a").subsection("b")
    with pytest.raises(ValueError, match="needs a title"):
        Page(" ")


def test_the_same_page_is_the_same_bytes(tmp_path):
    one = full_page().save(tmp_path / "a.html")
    other = full_page().save(tmp_path / "new" / "b.html")
    assert one.read_bytes() == other.read_bytes() == full_page().html().encode()


def test_a_figure_of_ours_takes_the_inks_of_the_page():
    svg = figures.learning_curve_figure({"train_loss": [2.0, 1.0]}, "good")
    assert b"#1f2328" in svg
    inline = ElementTree.tostring(parsed(Page("a").figure(svg, "b")).find(".//svg"), "unicode")
    assert "var(--ink)" in inline
    for gone in ("#1f2328", "#59636e", "#d1d9e0", "DejaVu", "<metadata", "<style"):
        assert gone not in inline
    assert "max-width: 640px" in inline
    assert "#0072b2" in inline


def test_two_figures_do_not_share_ids():
    svg = figures.few_labels_figure([1, 2], {"a": ([0.5, 0.6], [0.4, 0.5], [0.6, 0.7])})
    root = parsed(Page("a").figure(svg, "b").figure(svg, "c"))
    first, second = root.iter("svg")
    for part in (first, second):
        ids = {e.get("id") for e in part.iter() if e.get("id")}
        uses = [e.get("href")[1:] for e in part.iter("use")]
        clips = re.findall(r"url\(#([^)]*)\)", ElementTree.tostring(part, "unicode"))
        assert uses
        assert clips
        assert set(uses) | set(clips) <= ids
    assert not {e.get("id") for e in first.iter()} & {e.get("id") for e in second.iter()} - {None}


def test_a_foreign_svg_loses_what_runs_or_loads_and_keeps_what_draws():
    page = Page("a").figure(EVIL, "evil")
    assert_safe(page)
    assert "evil.example" not in page.html()
    svg = parsed(page).find(".//svg")
    assert [e.tag for e in svg] == ["rect", "rect", "rect", "defs", "rect", "text"]
    wide = {e.get("width"): e.attrib for e in svg.iter("rect")}
    assert wide["10"] == {
        "id": "f1-a",
        "width": "10",
        "height": "10",
        "style": "fill: none; stroke: #1f2328",
    }
    assert "style" not in wide["9"]
    assert wide["8"]["fill"] == "none"
    assert wide["7"]["fill"] == "url(#f1-g)"
    assert svg.find("text").text == "kept <b> words"
    assert svg.get("viewBox") == "0 0 75 37.5"


@pytest.mark.parametrize(
    ("data", "wanted"),
    [
        (b'<!DOCTYPE svg [<!ENTITY a "b">]><svg xmlns="http://www.w3.org/2000/svg"/>', "entities"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'><g></svg>", "no well-formed SVG"),
        (b"<p><svg/></p>", "begins with <p>"),
        (b"GIF89a", "neither SVG, PNG nor JPEG"),
        (b"\x89PNG\r\n\x1a\n damaged", "cannot be decoded"),
    ],
)
def test_what_is_no_picture_is_refused(data, wanted):
    with pytest.raises(ValueError, match=wanted):
        Page("a").figure(data, "b")
    with pytest.raises(ValueError, match="needs alt"):
        Page("a").figure(png(noise()), " ")


def test_a_picture_stands_inside():
    image = noise()
    tag = parsed(Page("a").figure(png(image), "b", "c")).find(".//img")
    kind, data = tag.get("src").split(",")
    assert kind == "data:image/png;base64"
    back = np.asarray(Image.open(io.BytesIO(base64.b64decode(data))))
    np.testing.assert_array_equal(back, image)
    assert (tag.get("width"), tag.get("height")) == ("60", "40")


def decoded(link: str) -> tuple[str, np.ndarray]:
    kind, data = link.split(";base64,")
    return kind, np.asarray(Image.open(io.BytesIO(base64.b64decode(data))))


def test_thumbnails_are_averaged_down_and_never_enlarged():
    ramp = np.repeat(np.linspace(0, 255, 512).astype(np.uint8)[:, None, None], 256, axis=1)
    large, small = np.repeat(ramp, 3, axis=2), noise(8, 5)
    line = np.zeros((1000, 1, 3), np.uint8)
    page = Page("a").gallery(
        [(large, "l", "plain"), (small, "s", "right"), (line, "i", "wrong")], "c"
    )
    root = parsed(page)
    images = list(root.iter("img"))
    kind, back = decoded(images[0].get("src"))
    assert kind == "data:image/jpeg"
    assert back.shape == (160, 80, 3)
    wanted = np.linspace(0, 255, 512)
    assert (
        np.abs(
            back[:, 0, 0] - np.interp((np.arange(160) + 0.5) * 3.2 - 0.5, range(512), wanted)
        ).max()
        < 4
    )
    kind, back = decoded(images[1].get("src"))
    assert kind == "data:image/png"
    np.testing.assert_array_equal(back, small)
    assert images[1].get("class") == "small"
    assert decoded(images[2].get("src"))[1].shape == (160, 1, 3)
    assert [words(li) for li in root.iterfind(".//ul[@class='gallery']/li")] == [
        "l",
        "s✓ right",
        "i✗ wrong",
    ]


def test_a_gallery_refuses_what_it_cannot_show():
    page = Page("a")
    for image in (noise().astype(float), noise()[..., 0], noise()[:0]):
        with pytest.raises(ValueError, match=r"give uint8 \(height, width, 3\)"):
            page.gallery([(image, "a", "plain")], "b")
    with pytest.raises(ValueError, match="the tone 'odd' is not known"):
        page.gallery([(noise(), "a", "odd")], "b")
    assert words(parsed(page.gallery([], "Mistakes")).find(".//p")) == "Mistakes: none."


def test_values_are_shown_as_people_read_them():
    values = [None, float("nan"), 2100, np.int64(5), 0.98312, 12345.6, 1e-9, True, "x", 3.0]
    assert [shown(v) for v in values] == [
        "–", "–", "2,100", "5", "0.9831", "12,346", "1e-09", "yes", "x", "3",
    ]  # fmt: skip


def test_columns_of_numbers_stand_right_and_can_be_sorted():
    rows = [
        ["a", 1200, "97.3 %", "98.1 ± 0.2", "12 of 20", float("nan")],
        ["b", 3, "−4 %", "1,200 (1 to 2)", "–", 0.5],
    ]
    table = parsed(Page("t").table(["n", "c", "p", "i", "s", "m"], rows, "c")).find(".//table")
    sides = [cell.get("class") for cell in table.findall("thead//th")]
    assert sides == [None, "r", "r", "r", None, "r"]
    keys = [[cell.get("data-v") for cell in row] for row in table.findall("tbody/tr")]
    assert keys == [
        [None, "1200", "97.3", "98.1", None, None],
        [None, "3", "-4", "1200", None, "0.5"],
    ]
    assert table.find("tbody/tr")[5].get("data-none") == "1"
    given = parsed(Page("t").table(["n", "c"], [["a", 1]], "c", align="cl")).find(".//table")
    assert [cell.get("class") for cell in given.findall("tbody/tr/*")] == ["c", None]


def test_tables_that_do_not_fit_are_refused():
    page = Page("a")
    with pytest.raises(ValueError, match="row 2 has 1 cells for 2 columns"):
        page.table(["a", "b"], [[1, 2], [1]], "c")
    with pytest.raises(ValueError, match="needs columns and a caption"):
        page.table(["a"], [[1]], "")
    for align in ("l", "lx"):
        with pytest.raises(ValueError, match="one of l, r, c"):
            page.table(["a", "b"], [[1, 2]], "c", align=align)


DOM = """
const nodes = tag => ({ tag, a: {}, kids: [], on: {}, text: "",
  get firstChild() { return this.kids[0]; },
  appendChild(k) { if (k.up) k.up.kids = k.up.kids.filter(x => x !== k);
    k.up = this; this.kids.push(k); return k; },
  addEventListener(n, f) { this.on[n] = f; },
  getAttribute(n) { return n in this.a ? this.a[n] : null; },
  hasAttribute(n) { return n in this.a; },
  setAttribute(n, v) { this.a[n] = v; }, removeAttribute(n) { delete this.a[n]; },
  classList: { contains() { return false; } },
  get textContent() { return this.text + this.kids.map(k => k.textContent).join(""); } });
const cell = c => { const n = nodes("td"); n.text = c.text; Object.assign(n.a, c.a);
  n.classList = { contains: x => c.a["class"] === x }; return n; };
const table = nodes("table"), input = JSON.parse(process.argv[1]);
const row = cs => { const n = nodes("tr"); n.cells = cs.map(cell); return n; };
const heads = row(input.heads);
heads.cells.forEach(h => {
  const inner = nodes("#text"); inner.text = h.text; h.text = ""; h.appendChild(inner); });
table.tHead = { rows: [heads] };
const body = nodes("tbody"); input.rows.forEach(r => body.appendChild(row(r)));
Object.defineProperty(body, "rows", { get() { return this.kids; } });
table.tBodies = [body];
global.document = { querySelectorAll: q => q === "table.sortable" ? [table] : [],
  createElement: nodes };
global.window = { addEventListener() {} };
"""


def clicked(page: Page, clicks: list[int]) -> list[tuple[list[str], str]]:
    """Click heads of a page's table; return the names of the rows and aria-sort after each."""
    table = parsed(page).find(".//table")

    def cells(row: ElementTree.Element) -> list[dict[str, object]]:
        return [{"text": words(cell), "a": cell.attrib} for cell in row]

    given = {
        "heads": cells(table.find("thead/tr")),
        "rows": [cells(row) for row in table.findall("tbody/tr")],
    }
    act = """
    for (const i of %s) { heads.cells[i].kids[0].on.click();
      console.log(JSON.stringify([body.kids.map(r => r.cells[0].text),
        heads.cells.map(h => h.a["aria-sort"] || "-").join(" ")])); }"""
    code = DOM + SCRIPT + act % json.dumps(clicks)
    done = subprocess.run(
        [NODE, "-e", code, "--", json.dumps(given)], capture_output=True, text=True, check=True
    )
    return [tuple(json.loads(line)) for line in done.stdout.splitlines()]


@pytest.mark.skipif(NODE is None, reason="needs node to run the page's script")
def test_a_click_on_a_head_sorts():
    rows = [["b 10", 5], ["a", None], ["b 9", 30.5], ["c", "−1"]]
    page = Page("t").table(["name", "score"], rows, "c")
    assert clicked(page, [1, 1, 0, 0]) == [
        (["b 9", "b 10", "c", "a"], "- descending"),
        (["c", "b 10", "b 9", "a"], "- ascending"),
        (["a", "b 9", "b 10", "c"], "ascending -"),
        (["c", "b 10", "b 9", "a"], "descending -"),
    ]


def test_a_recipe_is_json_that_can_be_read_back():
    data = {
        "z": np.float32(0.5),
        "a": {"list": (1, np.int8(2), [float("nan"), float("inf")]), "none": None, "yes": True},
        "array": np.arange(3),
        "path": Path("x") / "y",
        "set": {"b", "a"},
    }
    root = parsed(Page("t").recipe(data, "How"))
    assert words(root.find(".//summary")) == "How"
    back = json.loads(words(root.find(".//pre")))
    assert back == {
        "z": 0.5,
        "a": {"list": [1, 2, [None, None]], "none": None, "yes": True},
        "array": [0, 1, 2],
        "path": str(Path("x") / "y"),
        "set": ["a", "b"],
    }
    assert list(back) == list(data)


def test_saving_refuses_what_exists(tmp_path):
    path = tmp_path / "report.html"
    path.write_text("mine")
    with pytest.raises(OutputError, match="exists already; choose another name"):
        Page("a").save(path)
    assert path.read_text() == "mine"
    Page("a").save(path, overwrite=True)
    assert "<h1>a</h1>" in path.read_text()
    (tmp_path / "folder.html").mkdir()
    with pytest.raises(OutputError, match="is a folder"):
        Page("a").save(tmp_path / "folder.html", overwrite=True)
    with pytest.raises(OutputError, match=r"ends in \.html"):
        Page("a").save(tmp_path / "report.pdf")
    with pytest.raises(OutputError, match="a part of that path is a file"):
        Page("a").save(path / "b.html")


def test_a_saved_page_can_be_read_by_others(tmp_path):
    plain = tmp_path / "plain"
    plain.touch()
    path = Page("a").save(tmp_path / "a.html")
    assert path.stat().st_mode == plain.stat().st_mode
    assert {p.name for p in tmp_path.iterdir()} == {"plain", "a.html"}


def test_a_full_disk_leaves_the_older_page(tmp_path, monkeypatch):
    path = Page("old").save(tmp_path / "a.html")
    before = path.read_bytes()

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(OutputError, match="the disk is full"):
        Page("new").save(path, overwrite=True)
    assert path.read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == ["a.html"]


def test_importing_is_light():
    code = (
        "import sys, terrapatch.studies.page; "
        "sys.exit(any(m in sys.modules for m in ('matplotlib', 'torch', 'sklearn', 'PIL')))"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
