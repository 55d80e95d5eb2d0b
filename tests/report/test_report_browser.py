"""report.html in headless Chromium: it stands alone, fits every width, and works by mouse, keyboard and ear."""

import json
import shutil
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from leafdist.prepare.audit import audit_report
from leafdist.prepare.audit.audit import audit
from leafdist.report import write as report
from tests.helpers.browser import alone, needs_chromium, violations
from tests.helpers.drawn_run import draw_run

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

WIDTHS = (360, 375, 820, 1440)
CROPS = ("Apple", "Corn", "Grape", "Pepper,_bell", "Tomato")
KINDS = ("Spider_mites_Two-spotted_spider_mite_under_the_leaf", "healthy", "rust")
CLASSES = [f"{crop}___{kind}" for crop in CROPS for kind in KINDS]
OTHER = "a_run_whose_name_has_no_blank_at_which_a_line_could_break_or_an_end"

pytestmark = [pytest.mark.slow, needs_chromium]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("browser")
    run = draw_run(place / "runs" / "drawn", CLASSES, 300, place / "splitted")
    other = draw_run(place / "runs" / OTHER, CLASSES, 300, place / "splitted", seed=1, lr=3e-4)
    report.write(run)
    report.write(run, other)
    found = audit(place / "splitted")
    (run / "audit.html").write_text(audit_report.page(found), encoding="utf-8")
    return run


@pytest.fixture
def page(browser: "Browser", run: Path) -> Iterator["Page"]:
    """The report at 1440 pixels."""
    with alone(browser, run / "report.html", ("data:",), viewport={"width": 1440, "height": 900}) as page:
        yield page


def cell(page: "Page", label: int, said: int) -> Any:
    return page.locator(f'td[data-label="{label}"][data-said="{said}"]')


def test_page_figures_match_the_json(page: "Page", run: Path) -> None:
    result = json.loads((run / "eval-test.json").read_text())
    shown = {element.get_attribute("data-key"): element for element in page.locator("data[data-key]").all()}
    expected = {
        "accuracy": result["accuracy"],
        "macro_f1": result["macro_f1"],
        "healthy": result["healthy"]["accuracy"],
    }
    expected |= {"ece_calibrated": result["calibration"]["ece_calibrated"]}
    assert {key: float(shown[key].get_attribute("value") or "nan") for key in expected} == expected
    assert shown["accuracy"].inner_text() == f"{100 * result['accuracy']:.1f}\u202f%"
    rows = page.locator("[role=grid] tbody tr")
    grid = rows.evaluate_all("rows => rows.map(row => [...row.cells].slice(1).map(cell => +cell.textContent))")
    assert grid == result["confusion"]
    recalls = page.locator("tr[data-name] td:nth-child(4) data").evaluate_all("all => all.map(one => +one.value)")
    assert recalls == [entry["recall"] for entry in result["classes"].values()]


def test_the_matrix_answers_to_a_click(page: "Page", run: Path) -> None:
    pair = json.loads((run / "eval-test.json").read_text())["confused"][0]
    label, said = (CLASSES.index(pair[key]) for key in ("label", "predicted"))
    cell(page, label, said).click()
    panel = page.get_by_role("region", name="Selected cell")
    assert f"{pair['images']} of 20 photos of" in panel.inner_text()
    assert panel.locator("figure, li").count() == pair["images"]
    assert cell(page, label, said).get_attribute("aria-selected") == "true"
    panel.get_by_role("button", name="Close").click()
    assert panel.inner_text() == ""


def test_matrix_is_walked_by_keys(page: "Page") -> None:
    assert page.locator('[role="grid"] [tabindex="0"]').count() == 1
    cell(page, 0, 0).focus()
    for key, place in (
        ("ArrowRight", "0,1"),
        ("ArrowDown", "1,1"),
        ("End", "1,14"),
        ("ArrowRight", "1,14"),
        ("Home", "1,0"),
    ):
        page.keyboard.press(key)
        assert (
            page.evaluate("document.activeElement.dataset.label + ',' + document.activeElement.dataset.said") == place
        )
    page.keyboard.press("Enter")
    assert (
        "photo of Apple · healthy called Apple · Spider mites"
        in page.get_by_role("region", name="Selected cell").inner_text()
    )
    page.keyboard.press("Escape")
    assert page.locator("#selection").inner_text() == ""
    assert page.locator('[role="grid"] [tabindex="0"]').count() == 1


def test_matrix_of_each_root_is_walked(browser: "Browser", run: Path, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(run, tmp_path / "run"))
    settings, result = (copy / "config.yaml").read_text(), json.loads((copy / "eval-test.json").read_text())
    (copy / "config.yaml").write_text(settings.replace("extra: []", "extra: ['/field:0.3']"))
    field = {"elsewhere": "/field/test", "root": "/field", "unknown": {}, "absent": []}
    (copy / "eval-test@field.json").write_text(json.dumps(result | field))
    page = browser.new_page()
    page.goto(report.write(copy).as_uri())
    page.locator(".still tbody td").first.focus()
    for key in ("ArrowRight", "ArrowDown", "End"):
        page.keyboard.press(key)
    told = page.evaluate("document.activeElement.ariaLabel")
    assert "of Apple · healthy called Tomato · rust" in told
    assert page.locator(".still th.on").all_inner_texts() == ["Tomato · rust", "Apple · healthy"]
    assert page.locator('.still [tabindex="0"]').count() == 1
    page.close()


def test_every_cell_is_told_in_words(page: "Page", run: Path) -> None:
    confusion = json.loads((run / "eval-test.json").read_text())["confusion"]
    names = page.locator("td[data-label]").evaluate_all("all => all.map(one => one.getAttribute('aria-label'))")
    assert len(names) == len(CLASSES) ** 2
    title, hits = "Apple · Spider mites Two-spotted spider mite under the leaf", confusion[0][0]
    assert names[0] == f"{hits} of 20 photos of {title} recognised, {5 * hits}.0\u202f%"
    assert all(("called" in name) != ("recognised" in name) for name in names)
    assert page.get_by_role("gridcell", name=names[0]).count() == 1
    cell(page, 2, 1).hover()
    assert page.locator("#readout").inner_text() == names[2 * len(CLASSES) + 1]


def test_sorting_and_zoom_keep_cells(page: "Page") -> None:
    before = cell(page, 3, 4).bounding_box()
    page.get_by_role("button", name="Worst class first").click()
    first = page.locator('[role="grid"] tbody tr').first
    label = first.locator("td").first.get_attribute("data-label")
    down = page.locator('[role="grid"] tbody td:nth-child(2)').evaluate_all("all => all.map(one => one.dataset.label)")
    assert down != list(map(str, range(len(CLASSES))))
    assert first.locator("td").evaluate_all("all => all.map(one => one.dataset.said)") == down
    assert first.locator("th").get_attribute("title") == page.locator('[role="grid"] thead th').first.get_attribute(
        "title"
    )
    corner: Any = first.locator("td").first.bounding_box()
    assert cell(page, int(label or 0), int(label or 0)).bounding_box() == corner
    rates = page.evaluate(
        "[...document.querySelectorAll('[role=grid] tbody tr')].map(r => +r.querySelector('.hit').textContent)"
    )
    assert rates == sorted(rates)
    page.get_by_role("button", name="By class").click()
    page.get_by_role("button", name="larger cells").click()
    assert cell(page, 3, 4).bounding_box()["width"] > before["width"]
    page.get_by_role("button", name="fit to width").click()
    assert cell(page, 3, 4).bounding_box()["width"] == before["width"]


def test_tables_sort_and_say_so(page: "Page") -> None:
    head = page.locator(".sortable").first.locator("th", has_text="F1")
    for direction in ("ascending", "descending"):
        head.get_by_role("button").click()
        assert head.get_attribute("aria-sort") == direction
        values = page.locator("tr[data-name] td:last-child").evaluate_all("all => all.map(one => +one.dataset.sort)")
        assert values == sorted(values, reverse=direction == "descending")


def test_legend_reads_values_under_pointer(page: "Page", run: Path) -> None:
    events = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    third = next(event for event in events if event["event"] == "epoch" and event["epoch"] == 2)
    chart = page.locator("figure.chart", has_text="Accuracy")
    chart.scroll_into_view_if_needed()
    box: Any = chart.locator("svg[role=img]").bounding_box()
    page.mouse.move(box["x"] + box["width"] * 0.52, box["y"] + 60)
    assert chart.locator(".at").inner_text() == "at epoch 3"
    assert chart.locator(".now").all_inner_texts() == [
        f"{100 * third[key]:.1f}\u202f%" for key in ("train_accuracy", "val_accuracy")
    ]
    page.mouse.move(0, 0)
    assert chart.locator(".at").inner_text() == "at the end"


def test_contents_stay_reachable_on_phones(browser: "Browser", run: Path) -> None:
    page = browser.new_page(viewport={"width": 360, "height": 700}, reduced_motion="reduce")
    page.goto((run / "report.html").as_uri())
    page.locator("nav a", has_text="Photos").click()
    page.wait_for_function("document.querySelector('nav a[aria-current]')?.hash === '#photos'")
    bar, heading = (page.locator(what).bounding_box() for what in ("nav", "#photos"))
    assert bar
    assert heading
    assert bar["y"] == 0
    assert bar["height"] < heading["y"] < 200, "below the bar, not under it"
    link: Any = page.locator("nav a[aria-current]").bounding_box()
    assert 0 <= link["x"] < 360 - link["width"]
    page.close()


def test_headings_are_ordered_pictures_described(page: "Page") -> None:
    levels = page.locator("h1, h2, h3, h4").evaluate_all("all => all.map(one => +one.tagName[1])")
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after <= before + 1 for before, after in pairwise(levels))
    assert page.locator("img:not([alt]), svg:not([aria-label]):not([aria-hidden])").count() == 0
    for link in page.locator("nav a").all():
        assert page.locator(str(link.get_attribute("href"))).count() == 1


@pytest.mark.parametrize("name", ["report.html", f"report-{OTHER}.html", "audit.html"])
@pytest.mark.parametrize("width", WIDTHS)
def test_nothing_is_cut_or_scrolls_sideways(browser: "Browser", run: Path, width: int, name: str) -> None:
    page = browser.new_page(viewport={"width": width, "height": 800})
    page.goto((run / name).as_uri())
    assert page.evaluate("document.documentElement.scrollWidth") == width
    cut = "all => all.filter(one => one.scrollWidth > one.clientWidth).map(one => one.textContent.trim().slice(0, 60))"
    assert page.locator(".scroll, .matrix th, .matrix th span").evaluate_all(cut) == []
    heads = "all => all.filter(one => one.offsetHeight > 40).map(one => one.textContent)"
    assert page.locator(".counts thead th").evaluate_all(heads) == [], "a head of one word is not broken"
    page.close()


def test_dark_and_print_have_own_colours(browser: "Browser", run: Path) -> None:
    page = browser.new_page(color_scheme="dark")
    page.goto((run / "report.html").as_uri())
    colours = ("document.body).backgroundColor", "document.querySelector('.line.main')).stroke")
    look = f"[{', '.join(f'getComputedStyle({colour}' for colour in colours)}]"
    dark = page.evaluate(look)
    page.emulate_media(color_scheme="light")
    light = page.evaluate(look)
    page.emulate_media(color_scheme="dark", media="print")
    printed = page.evaluate(look)
    assert [one != other for one, other in zip(dark, light, strict=True)] == [True, True]
    assert printed == light
    assert page.locator("nav").is_hidden()
    page.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing(browser: "Browser", run: Path, scheme: Any) -> None:
    page = browser.new_page(color_scheme=scheme, bypass_csp=True)
    for name in ("report.html", f"report-{OTHER}.html"):
        page.goto((run / name).as_uri())
        assert violations(page) == []
    page.close()
