"""``python -m optionlake``: the same as the ``optionlake`` command."""

from optionlake.cli import app

app()
