"""The catalogue names what the tables hold, and nothing that has no number yet."""

from __future__ import annotations

from pathlib import Path

from market.live_frame import LiveTable
from streaming.catalogue import Catalogue, Option
from tests.streaming.listed import EXPIRY, SPOT
from transforms.forward import FORWARD_STATUSES
from transforms.implied_vol import IV_STATUSES

ROOT = Path(__file__).resolve().parents[2]
CALL = Option("NIFTY-20261201-24000-CE", "NIFTY", EXPIRY, 24000.0, "CE", 65)


def test_a_contract_is_named_once_it_has_a_number() -> None:
    """Its strike and expiry are known before; each step raises the version."""
    catalogue = Catalogue()
    catalogue.add_spot(SPOT)
    catalogue.add_option(CALL, None, 1)
    before = catalogue.describe()
    assert before["contracts"] == []
    assert before["underlyings"] == [
        {"id": 1, "symbol": "NIFTY", "kind": "INDEX", "exchange": "NSE"}
    ]
    assert before["expiries"] == [{"id": 1, "symbol": "NIFTY", "expiry": "2026-12-01"}]
    assert before["strikes"] == [
        {"id": 1, "symbol": "NIFTY", "expiry": "2026-12-01", "strike": 24000.0}
    ]
    catalogue.add_option(CALL, 4711, 2)
    after = catalogue.describe()
    assert after["version"] > before["version"]
    assert after["contracts"] == [
        {
            "id": 4711,
            "symbol": "NIFTY",
            "expiry": "2026-12-01",
            "strike": 24000.0,
            "right": "CE",
            "lot_size_units": 65,
        }
    ]


def test_adding_again_changes_nothing() -> None:
    """The version stays, so that no viewer is sent the catalogue again."""
    catalogue = Catalogue()
    first = (catalogue.add_spot(SPOT), catalogue.add_option(CALL, 7, 1))
    version, described = catalogue.version, catalogue.describe()
    assert (catalogue.add_spot(SPOT), catalogue.add_option(CALL, 7, 2)) == first
    assert catalogue.version == version
    assert catalogue.describe() is described


def test_statuses_are_those_of_the_formulas() -> None:
    """Codes in the frames index into these lists."""
    described = Catalogue().describe()
    assert described["iv_statuses"] == list(IV_STATUSES)
    assert described["forward_statuses"] == list(FORWARD_STATUSES)


def test_groups_are_what_viewers_choose_by() -> None:
    """Rows of another expiry are left out; the underlying never is."""
    catalogue = Catalogue()
    catalogue.add_spot(SPOT)
    row = catalogue.add_option(CALL, 7, 1)
    assert row == 0
    shown = catalogue.contracts.changed(0, {("NIFTY", "2026-12-01")})
    assert isinstance(shown, LiveTable)
    assert catalogue.contracts.changed(0, {("NIFTY", "2026-12-29")}) is None


def test_the_document_names_every_column() -> None:
    """Whoever reads a frame finds its columns, table by table."""
    document = (ROOT / "docs" / "live-feed.md").read_text(encoding="utf-8")
    for table in Catalogue().tables:
        part = document.split(f"| `{table.name}` |")[1].split("\n| `")[0]
        assert [name for name in table.shown if f"`{name}`" not in part] == []
