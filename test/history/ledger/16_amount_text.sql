ALTER TABLE ledger.entries_2025 ALTER amount TYPE text;
INSERT INTO ledger.entries_2025 VALUES (300, '2025-01-02', 'A9', 'debit', 'about 5', NULL);
SELECT cdc.retire_version('ledger.accounts', 2, reason => 'nobody reads it') \g /dev/null
