"""Where everything of one installation lies under its home folder.

Names of files and folders, and how a private file is written; what is in them belongs to whoever
writes them. The embedded server's data may lie elsewhere (see ``embedded``).
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Layout:
    """The folders of one home; ``home`` must be absolute, since programs change directory."""

    home: Path

    def __post_init__(self) -> None:
        if not self.home.is_absolute():
            raise ValueError(f"home {self.home} is relative, expected an absolute path")

    @property
    def run(self) -> Path:
        """What running programs share: process list, database address, API budget, token."""
        return self.home / "run"

    @property
    def logs(self) -> Path:
        """One log file for each program."""
        return self.home / "logs"

    @property
    def journal(self) -> Path:
        """Raw feed frames."""
        return self.home / "journal"

    @property
    def lake(self) -> Path:
        """Parquet files of the lake."""
        return self.home / "lake"

    @property
    def dagster(self) -> Path:
        """Dagster's instance folder."""
        return self.home / "dagster"

    @property
    def dbt(self) -> Path:
        """dbt's target and logs."""
        return self.home / "dbt"

    @property
    def database_url_file(self) -> Path:
        """Address of the database that this home uses, written by the launcher (mode 0600)."""
        return self.run / "database.url"

    @property
    def processes_file(self) -> Path:
        """What the launcher has started."""
        return self.run / "processes.json"

    @property
    def token_file(self) -> Path:
        """The broker's access token that ``optionlake login`` wrote (mode 0600)."""
        return self.run / "token"

    @property
    def budget_file(self) -> Path:
        """API calls already made, shared by all programs."""
        return self.run / "api-budget"

    @property
    def interval_file(self) -> Path:
        """Seconds between refreshes of polled prices, as ``optionlake interval`` set them."""
        return self.run / "interval"

    def create(self) -> None:
        """Make the folders that every program expects."""
        for folder in (self.run, self.logs, self.journal, self.lake, self.dagster, self.dbt):
            folder.mkdir(parents=True, exist_ok=True)


def write_private(path: Path, text: str) -> None:
    """Replace a file by one that only its owner may read; never half-written."""
    fresh = path.with_name(f"{path.name}.new")
    fresh.unlink(missing_ok=True)
    fresh.touch(mode=0o600)
    fresh.write_text(text, encoding="utf-8")
    fresh.replace(path)
