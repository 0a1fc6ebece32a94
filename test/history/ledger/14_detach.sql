ALTER TABLE ledger.entries DETACH PARTITION ledger.entries_2025;
DELETE FROM ledger.entries_2025 WHERE id % 5 = 0;
