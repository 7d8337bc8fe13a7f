"""The page in a real browser: what the feed says is what is read."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.dashboard.conftest import Dashboard
from tests.dashboard.fake_upstream import FakeUpstream, now_ms
from tests.dashboard.until import until


class Visit:
    """A page with everything that it complained about and asked for."""

    def __init__(self, page: Page, url: str) -> None:
        self.page = page
        self.url = url
        self.complaints: list[str] = []
        self.requests: list[str] = []
        page.on("console", lambda m: self.complaints.append(m.text))
        page.on("pageerror", lambda e: self.complaints.append(str(e)))
        page.on("request", lambda r: self.requests.append(r.url))

    def open(self, choice: str = "") -> Page:
        """Open it and wait for the first chain."""
        self.page.goto(f"{self.url}/{choice}")
        expect(self.page.locator(".chain tr[data-atm]")).to_be_visible()
        return self.page


@pytest.fixture
def visit(browser: Browser, dashboard: Dashboard) -> Iterator[Visit]:
    """A new visitor on a desk-sized screen."""
    context = browser.new_context(viewport={"width": 1600, "height": 900})
    yield Visit(context.new_page(), dashboard.url)
    context.close()


def figure(page: Page, symbol: str, field: str) -> str:
    """What stands in an underlying's field."""
    return page.locator(f'[data-symbol="{symbol}"] [data-field="{field}"]').inner_text()


def cell(page: Page, contract: int, field: str) -> str:
    """What stands in a cell of the chain."""
    return page.locator(f'td[data-contract="{contract}"][data-field="{field}"]').inner_text()


def test_values_arrive_change_and_are_formatted(visit: Visit, upstream: FakeUpstream) -> None:
    """Index, stock and contract; Indian grouping; nothing but our own server is asked."""
    page = visit.open()
    upstream.move("SENSEX", 101_234.5)
    upstream.move("TCS", 3_500.05)
    until(lambda: figure(page, "SENSEX", "spot") == "1,01,234.50")
    until(lambda: figure(page, "TCS", "spot") == "3,500.05")
    option = ("NIFTY", upstream.market.expiries[0], 24_150.0, "CE")
    number = upstream.market.ids[option]
    changed = {"last_price": 1_234.55, "open_interest_units": 12_345_678.0, "delta_forward": -0.5}
    upstream.set(option, "contract", **changed)
    until(lambda: cell(page, number, "last_price") == "1,234.55")
    assert cell(page, number, "open_interest_units") == "1.23Cr"
    assert cell(page, number, "delta_forward") == "−0.50"
    assert visit.complaints == []
    assert all(url.startswith((visit.url, "data:")) for url in visit.requests)


def test_a_missing_number_says_why(visit: Visit, upstream: FakeUpstream) -> None:
    """A dash with the feed's reason, never a zero."""
    page = visit.open()
    option = ("NIFTY", upstream.market.expiries[0], 24_150.0, "PE")
    nan = float("nan")
    upstream.set(option, "contract", implied_volatility=nan, iv_status=2.0, bid_price=nan)
    number = upstream.market.ids[option]
    until(lambda: cell(page, number, "implied_volatility") == "–")
    iv = page.locator(f'td[data-contract="{number}"][data-field="implied_volatility"]')
    expect(iv).to_have_attribute("title", re.compile("below intrinsic"))


def test_the_pointer_tells_time_and_source(visit: Visit, upstream: FakeUpstream) -> None:
    """Of any value in the chain."""
    page = visit.open()
    number = upstream.market.ids["NIFTY", upstream.market.expiries[0], 24_150.0, "CE"]
    price = page.locator(f'td[data-contract="{number}"][data-field="last_price"]')
    price.hover()
    expect(price).to_have_attribute(
        "title", re.compile(r"as of \d\d:\d\d:\d\d\.\d\d\d IST.*\n.*socket")
    )


def test_the_spot_stands_between_its_strikes(visit: Visit, upstream: FakeUpstream) -> None:
    """The row above it is the next strike, the nearest one is marked."""
    page = visit.open()
    upstream.move("NIFTY", 24_210.0)
    expect(page.locator(".chain tr[data-gap]")).to_have_attribute("data-strike", "24250")
    expect(page.locator(".chain tr[data-atm]")).to_have_attribute("data-strike", "24200")
    expect(page.locator('[data-field="chain_spot"]')).to_have_text("24,210.00")


def test_symbol_and_expiry_are_chosen_by_key_and_kept_in_the_address(
    visit: Visit, upstream: FakeUpstream
) -> None:
    """The address alone brings the choice back."""
    page = visit.open()
    page.keyboard.press("/")
    page.keyboard.type("sens")
    page.keyboard.press("Enter")
    expect(page.locator(".picker .symbol")).to_contain_text("SENSEX")
    page.keyboard.press("]")
    second = upstream.market.expiries[1]
    until(lambda: page.url.endswith(f"#SENSEX/{second}"))
    number = upstream.market.ids["SENSEX", second, 79_700.0, "CE"]
    expect(page.locator(f'td[data-contract="{number}"]').first).to_be_visible()
    page.reload()
    expect(page.locator(f'td[data-contract="{number}"]').first).to_be_visible()
    expect(page.locator('.dates [aria-pressed="true"]')).to_have_attribute("data-expiry", second)


def test_an_expired_or_unknown_choice_moves_to_the_nearest(visit: Visit) -> None:
    """An old link still opens something."""
    page = visit.open("#TCS/2001-01-01")
    expect(page.locator(".picker .symbol")).to_contain_text("TCS")
    assert "TCS" in page.title()


def test_a_link_may_name_the_symbol_alone(visit: Visit) -> None:
    """Its nearest expiry is shown, and the address completed."""
    page = visit.open("#SENSEX")
    page.wait_for_url("**/#SENSEX/20*")
    expect(page.locator(".chain tr[data-atm]")).to_have_count(1)


def test_the_page_survives_a_restart_of_the_feed(visit: Visit, upstream: FakeUpstream) -> None:
    """It says that the feed is gone, keeps the values, and goes on by itself."""
    page = visit.open()
    upstream.stop()
    expect(page.locator(".banner")).to_contain_text("Live feed not reachable")
    assert figure(page, "NIFTY", "spot") != "–"
    upstream.start()
    upstream.move("NIFTY", 24_333.35)
    until(lambda: figure(page, "NIFTY", "spot") == "24,333.35")
    expect(page.locator(".banner")).to_be_hidden()
    assert visit.complaints == []


def test_the_page_survives_a_restart_of_its_server(
    browser: Browser,
    upstream: FakeUpstream,
    dashboard: Dashboard,
    start_dashboard: Callable[..., Dashboard],
) -> None:
    """The banner tells that the connection is lost; the page connects again and catches up."""
    context = browser.new_context()
    page = Visit(context.new_page(), dashboard.url).open()
    dashboard.stop()
    expect(page.locator(".banner")).to_contain_text("Connection to the server lost")
    start_dashboard(upstream.url, dashboard.port)
    upstream.move("NIFTY", 24_444.45)
    until(lambda: figure(page, "NIFTY", "spot") == "24,444.45")
    expect(page.locator(".banner")).to_be_hidden()
    context.close()


def test_a_mute_feed_is_called_stale(visit: Visit, upstream: FakeUpstream) -> None:
    """Open sockets are no proof of life."""
    page = visit.open()
    upstream.last_frame_at_ms = now_ms() - 65_000
    expect(page.locator(".banner")).to_contain_text("No price from the feed for")
    expect(page.locator('.top [data-field="state"]')).to_have_text("stale")


def test_latency_is_measured_from_tick_to_paint(visit: Visit, upstream: FakeUpstream) -> None:
    """One measure for each tick that was painted, none for rows that were only sent again."""
    page = visit.open()
    page.evaluate("optionlake.resetLatency()")
    for i in range(5):
        upstream.move("NIFTY", 24_100.0 + i)
        until(lambda i=i: figure(page, "NIFTY", "spot") == f"24,10{i}.00")
    measured = until(lambda: count_is(page, 5))
    assert 0 < measured["p50"] <= measured["p99"] < 5_000
    assert page.evaluate("optionlake.sendToPaint().count") >= 5


def count_is(page: Page, count: int) -> dict[str, float] | None:
    """The measured latency, once so many ticks are in it."""
    found: dict[str, float] = page.evaluate("optionlake.latency()")
    return found if found["count"] == count else None


def test_dark_and_light_are_remembered(visit: Visit) -> None:
    """The system's wish first, then the reader's."""
    page = visit.open()
    root = page.locator("html")
    before = root.get_attribute("data-theme")
    page.locator(".theme").click()
    page.reload()
    after = "light" if before == "dark" else "dark"
    expect(root).to_have_attribute("data-theme", after)


@pytest.mark.parametrize("width", [390, 1100, 1366, 1920])
def test_no_screen_scrolls_sideways(browser: Browser, dashboard: Dashboard, width: int) -> None:
    """What does not fit scrolls inside its panel or is left out."""
    context = browser.new_context(viewport={"width": width, "height": 800})
    page = Visit(context.new_page(), dashboard.url).open()
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    context.close()


def test_updates_move_nothing(visit: Visit, upstream: FakeUpstream) -> None:
    """Longer and shorter numbers leave every cell where it was."""
    page = visit.open()
    place = (
        "JSON.stringify([...document.querySelectorAll('.tile, .chain th.strike')].map("
        "e => [e.getBoundingClientRect().x, e.getBoundingClientRect().width]))"
    )
    before = page.evaluate(place)
    upstream.move("NIFTY", 24_000.0)
    upstream.move("SENSEX", 123_456.75)
    until(lambda: figure(page, "SENSEX", "spot") == "1,23,456.75")
    assert page.evaluate(place) == before


def alert(number: int, **more: object) -> dict[str, object]:
    """An alert as the feed tells it, a second after the one before."""
    at_ms = now_ms() - 100_000 + 1000 * number
    told: dict[str, object] = {
        "key": f"volume_spike:NIFTY:up:{number}",
        "kind": "volume_spike",
        "symbol": "NIFTY",
        "contract_id": "NIFTY-20261229-FUT",
        "at_ms": at_ms,
        "direction": "up",
        "level": None,
        "value": 412_300.0,
        "score": 5.1,
        "inputs": {"usual_volume_units": 61_300.0},
        "reason": f"NIFTY traded 6.7 times its usual volume ({number})",
    }
    return {**told, **more}


def crossing(number: int, **more: object) -> dict[str, object]:
    """An alert of a level that was crossed."""
    told = {"key": f"call_wall_cross:TCS:down:{number}", "kind": "call_wall_cross"}
    price = {"level": 3_500.0, "value": 3_498.05, "inputs": {"close": 3_498.05}}
    return alert(number, **told, symbol="TCS", direction="down", **price, **more)


def alert_keys(page: Page) -> list[str]:
    """Keys of the alerts that are listed, from the top."""
    keys: list[str] = page.evaluate(
        "[...document.querySelectorAll('.alerts li:not([hidden])')].map(e => e.dataset.key)"
    )
    return keys


def test_alerts_are_listed_as_they_come(visit: Visit, upstream: FakeUpstream) -> None:
    """Once each, newest first, with their figures, their inputs on hover, told politely."""
    upstream.alerts = [alert(1)]
    page = visit.open()
    first = page.locator('.alerts li[data-key="volume_spike:NIFTY:up:1"]')
    expect(first).to_be_visible()
    expect(first.locator('[data-field="value"]')).to_have_text("4.12L units")
    expect(first.locator('[data-field="score"]')).to_have_text("score 5.1")
    expect(first.locator('[data-field="at"]')).to_have_text(re.compile(r"\d\d:\d\d"))
    expect(first).to_have_attribute("title", re.compile("usual volume units: 61,300.00"))
    spoken = page.locator(".alerts [aria-live='polite']")
    expect(spoken).to_have_text("")
    upstream.alerts = [*upstream.alerts, crossing(2)]
    until(lambda: len(alert_keys(page)) == 2)
    newest = page.locator(".alerts li").first
    expect(newest.locator('[data-field="kind"]')).to_have_text("call wall cross")
    expect(newest.locator('[data-field="level"]')).to_have_text("level 3,500.00")
    expect(newest.locator('[data-field="value"]')).to_have_text("₹ 3,498.05")
    expect(newest.locator('[data-field="direction"]')).to_have_text("▼")
    expect(spoken).to_contain_text("TCS call wall cross down")
    expect(page.locator('[data-field="alerts_unread"]')).to_have_text("2 new of 2")
    assert visit.complaints == []


def test_alerts_are_acknowledged_and_muted_in_this_browser(
    visit: Visit, upstream: FakeUpstream
) -> None:
    """What the reader chose outlives a reload, and can be taken back."""
    upstream.alerts = [alert(1), alert(2), crossing(3)]
    page = visit.open()
    unread = page.locator('[data-field="alerts_unread"]')
    expect(unread).to_have_text("3 new of 3")
    page.locator(".alerts li").first.locator(".ack").click()
    expect(unread).to_have_text("2 new of 3")
    page.locator(".alerts li").nth(1).locator(".mute").click()
    expect(unread).to_have_text("0 new of 1")
    page.reload()
    expect(unread).to_have_text("0 new of 1")
    page.locator("[data-topic='NIFTY volume_spike']").click()
    expect(unread).to_have_text("2 new of 3")
    page.locator(".alerts .quiet", has_text="Ack all").click()
    expect(unread).to_have_text("0 new of 3")


def test_no_alert_is_lost_over_a_reconnect(
    visit: Visit, upstream: FakeUpstream, dashboard: Dashboard
) -> None:
    """What came while the browser was offline is listed in its place, and counted."""
    upstream.alerts = [alert(1)]
    page = visit.open()
    until(lambda: len(alert_keys(page)) == 1)
    page.evaluate(
        "window.kept = WebSocket.prototype.send; WebSocket.prototype.send = function (m) {"
        " if (JSON.parse(m).type === 'ack') { this.close(); return; }"
        " window.kept.call(this, m); }; 0"
    )
    upstream.move("NIFTY", 24_111.0)
    expect(page.locator(".banner")).to_contain_text("Connection to the server lost")
    upstream.alerts = [*upstream.alerts, alert(2), alert(3)]
    until(lambda: len(dashboard.get("/api/v1/alerts").json()["alerts"]) == 3)
    page.evaluate("WebSocket.prototype.send = window.kept; 0")
    until(lambda: len(alert_keys(page)) == 3)
    assert alert_keys(page) == [f"volume_spike:NIFTY:up:{n}" for n in (3, 2, 1)]
    expect(page.locator('[data-field="alerts_away"]')).to_contain_text("came while")
    page.locator(".alerts .quiet", has_text="Ack all").click()
    expect(page.locator('[data-field="alerts_away"]')).to_be_hidden()


def test_the_list_of_alerts_is_bounded(visit: Visit, upstream: FakeUpstream) -> None:
    """Rows are recycled: more alerts make no more elements."""
    upstream.alerts = [alert(n) for n in range(150)]
    page = visit.open()
    until(lambda: len(alert_keys(page)) == 100)
    upstream.alerts = [alert(n) for n in range(400)]
    until(lambda: alert_keys(page)[0] == "volume_spike:NIFTY:up:399")
    assert page.locator(".alerts li").count() <= 200


def test_a_dead_token_cannot_be_overlooked(visit: Visit, upstream: FakeUpstream) -> None:
    """While the market is open; a token that is about to die is a quiet note."""
    page = visit.open()
    expect(page.locator(".alarm")).to_be_hidden()
    detail = "it dies in 50 minutes, before the session ends: run optionlake login"
    upstream.more_health = {"token_level": "warning", "token_detail": detail}
    expect(page.locator(".notes")).to_contain_text("before the session ends")
    expect(page.locator(".alarm")).to_be_hidden()
    died = {"token_level": "alarm", "token_detail": "the token died at 03:30 IST"}
    upstream.more_health = {**died, "is_market_open": True}
    expect(page.locator(".alarm")).to_contain_text("The token died at 03:30 IST.")
    upstream.more_health = {**died, "is_market_open": False}
    expect(page.locator(".alarm")).to_be_hidden()
    expect(page.locator(".notes")).to_contain_text("the token died")
    upstream.more_health = {"state": "waiting_for_token", "detail": "the broker refuses it"}
    expect(page.locator(".alarm")).to_contain_text("The broker refuses it.")


def test_prices_by_rest_are_told_apart(visit: Visit, upstream: FakeUpstream) -> None:
    """With their beginning, in the banner and in the feed's figures."""
    page = visit.open()
    source = page.locator('.health [data-field="price_source"]')
    expect(source).to_have_text("socket")
    upstream.more_health = {"mode": "hybrid", "fallback_since_ms": 1_795_581_760_000}
    expect(page.locator(".banner")).to_contain_text("Prices by REST since 10:12 IST")
    expect(source).to_have_text("REST since 10:12")
    upstream.more_health = {"mode": "hybrid", "fallback_since_ms": None}
    expect(page.locator(".banner")).to_be_hidden()
