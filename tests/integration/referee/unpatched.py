"""A program as any user of the broker's official SDK writes it: real hosts, nothing replaced.

It knows nothing of the simulator. Where the broker is found it has from its environment: the
proxy, and the file to trust, which this SDK takes for REST as settings. Prints what it was told,
one JSON object a line.

Usage: unpatched.py KEY... with ACCESS_TOKEN, https_proxy and CA_FILE in the environment.
"""

from __future__ import annotations

import json
import os
import queue
import sys
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import upstox_client
from upstox_client.rest import ApiException

_WAIT_SECONDS = 20
_MODES = ("ltpc", "option_greeks", "full", "full_d30")


def main() -> None:
    """REST by its real address, then the socket in every mode."""
    keys = sys.argv[1:]
    client = upstox_client.ApiClient(_configuration(os.environ["ACCESS_TOKEN"]))
    _say(hosts=[client.configuration.host])
    _rest(client, keys)
    # Side by side: the SDK takes seconds to close a socket.
    with ThreadPoolExecutor(len(_MODES)) as threads:
        told = threads.map(lambda mode: _frames(client, keys, mode), _MODES)
        for mode, frames in zip(_MODES, told, strict=True):
            _say(mode=mode, frames=frames)


def _configuration(token: str) -> upstox_client.Configuration:
    configuration = upstox_client.Configuration()
    configuration.proxy = os.environ["https_proxy"]
    configuration.ssl_ca_cert = os.environ["CA_FILE"]
    configuration.access_token = token
    return configuration


def _rest(client: upstox_client.ApiClient, keys: list[str]) -> None:
    prices = upstox_client.MarketQuoteV3Api(client).get_ltp(instrument_key=",".join(keys))
    _say(last_prices={quote.instrument_token: quote.last_price for quote in prices.data.values()})
    days = upstox_client.MarketHolidaysAndTimingsApi(client).get_holidays()
    _say(holidays=[str(day._date) for day in days.data])
    address = upstox_client.WebsocketApi(client).get_market_data_feed_authorize_v3()
    _say(authorized=address.data.authorized_redirect_uri.partition("?")[0])
    stranger = upstox_client.ApiClient(_configuration("nobody"))
    try:
        upstox_client.MarketQuoteV3Api(stranger).get_ltp(instrument_key=keys[0])
    except ApiException as error:
        _say(refused=error.status, errors=json.loads(error.body)["errors"])


def _frames(client: upstox_client.ApiClient, keys: list[str], mode: str) -> list[Any]:
    """The market's state, the snapshot and the first update, as the SDK decodes them."""
    told: queue.Queue[Any] = queue.Queue()
    streamer = upstox_client.MarketDataStreamerV3(client, keys, mode)
    streamer.auto_reconnect(False)
    streamer.on("message", told.put)
    streamer.on("error", lambda error: told.put(RuntimeError(str(error))))
    streamer.connect()
    frames: list[Any] = []
    while not frames or frames[-1].get("type") != "live_feed":
        frame = told.get(timeout=_WAIT_SECONDS)
        if isinstance(frame, RuntimeError):
            raise frame
        frames.append(frame)
    streamer.disconnect()
    return frames


def _say(**what: Any) -> None:
    sys.stdout.write(json.dumps(what) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    code = 0
    try:
        main()
    except BaseException:
        sys.excepthook(*sys.exc_info())
        code = 1
    # The SDK's threads look up from a closed TLS socket after ten seconds only.
    os._exit(code)
