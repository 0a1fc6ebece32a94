-- From one partition to another.
UPDATE ledger.entries SET at = '2026-05-05' WHERE id IN (1, 2, 3);
