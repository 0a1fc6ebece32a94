TRUNCATE ledger.entries_2025;
DROP TABLE ledger.entries_2025;
DELETE FROM ledger.accounts WHERE number = 'A30';
