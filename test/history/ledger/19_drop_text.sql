ALTER TABLE ledger.entries DROP text;
INSERT INTO ledger.entries VALUES (202, '2026-07-08', 'A3', 'debit', 2);
