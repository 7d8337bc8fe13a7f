"""From rounds to claims: which peer is the best, what the ratio is, and who was missing."""

from __future__ import annotations

import pytest

from benchmarks import alone, pricing
from benchmarks.pricing import Result, best_peer, metrics

SET = {"within_1e_12": 1.0, "max": 5e-15, "gamma_p999": 1e-13, "vega_p999": 2e-13}
ITM = {"well_conditioned_max": 1e-15, "ill_conditioned_attained": 1.0}


def _result(price_ns: list[float], imply_ns: list[float], wrong: tuple[str, ...] = ()) -> Result:
    seconds = {
        ("market", "price"): [ns * 1e-9 for ns in price_ns],
        ("market", "imply"): [ns * 1e-9 for ns in imply_ns],
        ("chain", "price"): [ns * 1e-9 for ns in price_ns],
    }
    accuracy = {"universe": SET, "otm": SET, "itm": {**SET, **ITM}, "tail": SET}
    return Result(5, seconds, accuracy, wrong)


RESULTS = {
    "optionlake": _result([50, 100, 50], [25, 50, 25], ("one",)),
    "slow": _result([900, 900, 900], [300, 300, 300]),
    "quick": _result([500, 800, 500], [400, 400, 400]),
    "volatility only": Result(0, {("market", "imply"): [310e-9] * 3}),
}


def test_best_peer_is_the_quickest_at_that_door() -> None:
    """Each claim is made against the one that does just that the best; never against ourselves."""
    assert best_peer(RESULTS, "market", "price") == "quick"
    assert best_peer(RESULTS, "market", "imply") == "slow"


def test_no_peer_is_no_claim() -> None:
    """Alone, there is nothing to be faster than."""
    with pytest.raises(SystemExit, match="make bench"):
        best_peer({"optionlake": RESULTS["optionlake"]}, "market", "price")


def test_ratio_says_how_many_times_as_fast() -> None:
    """The median over rounds of the peer's time over ours."""
    found = metrics(RESULTS)
    assert found["iv_greeks_vs_best_peer"].ratio == pytest.approx(10.0)
    assert found["iv_vs_best_peer"].ratio == pytest.approx(12.0)
    assert found["iv_greeks_vs_best_peer"].value == pytest.approx(20.0)
    assert found["chain_200_rows_ms"].value == pytest.approx(50e-9 * 200 * 1e3)
    assert found["chain_200_rows_ms"].ratio == pytest.approx(0.1)


def test_accuracy_is_held_against_its_limit() -> None:
    """Ratios of the errors to their limits, the worse Greek counting."""
    found = metrics(RESULTS)
    assert found["otm_max_error"].ratio == pytest.approx(0.5)
    assert found["greeks_p999_error"].value == pytest.approx(2e-13)
    assert found["nasty_ok"].value == 41


@pytest.mark.parametrize("name", ["volfi", "opengreeks"])
def test_a_missing_package_is_told_by_name(name: str) -> None:
    """A package that does not load says why, in its own process, and ends."""
    with alone.Alone("benchmarks.worker", name) as worker:
        assert "Error" in worker.hello["missing"]
        assert "error" in worker.ask(act="nasty")


def test_missing_packages_stand_in_the_details(monkeypatch: pytest.MonkeyPatch) -> None:
    """They are listed with their reason beside those that ran."""
    monkeypatch.setattr(pricing, "CONTENDERS", ("volfi",))
    with pricing.ExitStack() as stack:
        workers, missing = pricing._start(stack)
    assert workers == {}
    assert "volfi" in missing
