"""What ``optionlake record`` does: whom to record, which keys, how far it is.

The recorder itself, and how a recording lies on disk, belong to ``simulator``; serving one again is
``simulate --replay``.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from market.errors import ConfigurationError
from optionlake import compose
from optionlake.serve import signalled
from optionlake.settings import Settings
from simulator.access.tokens import mint
from simulator.recordings import recorder
from simulator.recordings.recorder import Recorder, Target, Wish
from simulator.recordings.recording import About, Recording

_KEYS_FILE = "@"
# The exchange's clock may be far ahead of ours, and the token guards nothing.
_SIMULATED_LIFETIME = timedelta(days=365 * 20)
_PLACEHOLDER = "waiting for the first frame"


@dataclass(frozen=True, slots=True)
class Wanted:
    """What was typed.

    Attributes:
        keys: comma-separated instrument keys, or ``@`` and a file with one a line.
        simulator: address of a simulated exchange; None for the broker of the settings.
    """

    folder: Path
    keys: Sequence[str]
    mode: str = "full"
    minutes: float | None = None
    simulator: str | None = None


def record(settings: Settings, wanted: Wanted, console: Console) -> About:
    """Record until a signal or until the time is over; what the recording says of itself.

    Raises:
        ConfigurationError: for keys, mode, time or folder that cannot be.
        AuthenticationError: if no living token is set, or it is refused.
        BrokerUnavailable: if the feed cannot be opened.
    """
    wish = Wish(keys_of(wanted.keys), wanted.mode, _seconds(wanted.minutes))
    target = target_of(settings, wanted.simulator)

    async def until_stopped(tell: Callable[[recorder.Progress], None]) -> About:
        # Checked before the signals are ours, so that a wrong wish ends at once.
        made = Recorder(target, wish, wanted.folder, compose.now, tell)
        return await made.run(signalled())

    with _bar(console, wish.seconds) as tell:
        about = asyncio.run(until_stopped(tell))
    console.print(f"{about.frames} frames in {wanted.folder}", soft_wrap=True)
    if unheard := silent(wanted.folder, about):
        # The protocol refuses nothing, so a wrong key or one too many shows by its absence only.
        console.print(f"nothing came for {', '.join(unheard)}", style="yellow", soft_wrap=True)
    console.print(f"serve it again: optionlake simulate --replay {wanted.folder}", soft_wrap=True)
    return about


def target_of(settings: Settings, simulator: str | None) -> Target:
    """The broker of the settings, or a simulated exchange, which never sees the real token.

    Raises:
        AuthenticationError: if the broker's token is missing or dead.
        ConfigurationError: if ``simulator`` is no address.
    """
    if simulator is None:
        token = compose.tokens(settings).token().reveal()
        return Target(settings.api_url, settings.assets_url, token)
    url = simulator.rstrip("/")
    if not url.startswith(("http://", "https://")):
        raise ConfigurationError(f"simulator {simulator!r}, expected e.g. http://127.0.0.1:8052")
    return Target(url, url, mint(compose.now(), _SIMULATED_LIFETIME))


def keys_of(texts: Sequence[str]) -> tuple[str, ...]:
    """The keys that were typed or stand in files, each once, in order.

    Raises:
        ConfigurationError: for a file that cannot be read.
    """
    found = [key.strip() for text in texts for key in _split(text)]
    return tuple(dict.fromkeys(key for key in found if key))


def _split(text: str) -> list[str]:
    if not text.startswith(_KEYS_FILE):
        return text.split(",")
    path = Path(text.removeprefix(_KEYS_FILE))
    try:
        return path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(
            f"keys file {path} cannot be read ({error}), expected one instrument key a line"
        ) from error


def _seconds(minutes: float | None) -> float | None:
    if minutes is None:
        return None
    if not (math.isfinite(minutes) and minutes > 0):
        raise ConfigurationError(f"--minutes {minutes:g}, expected more than 0")
    return minutes * 60


def silent(folder: Path, about: About) -> list[str]:
    """Keys that no frame told of; a hundred of them will do."""
    if not about.frames:
        return list(about.keys)[:100]
    recording = Recording(folder)
    return [key for key in about.keys if not recording.has(key)][:100]


@contextmanager
def _bar(console: Console, seconds: float | None) -> Iterator[Callable[[recorder.Progress], None]]:
    """A bar over the time, or a spinner without an end; it is told what was recorded."""
    columns = (SpinnerColumn(), TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task(_PLACEHOLDER, total=seconds)

        def tell(progress: recorder.Progress) -> None:
            text = f"{progress.frames} frames, {progress.size_bytes / 1e6:.1f} MB"
            again = progress.connections - 1
            lost = f", {again} times reconnected" if again else ""
            bar.update(task, description=text + lost, completed=bar.tasks[0].elapsed or 0.0)

        yield tell
