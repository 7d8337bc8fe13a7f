-- A gap touches what its own socket should have delivered. Null: not known, as in rows from before
-- there were several, so all of them.
ALTER TABLE gap ADD COLUMN instrument_ids int[];
