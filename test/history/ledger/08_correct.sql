INSERT INTO ledger.entries VALUES (201, '2026-06-07', 'A2', 'correction', -1.5, NULL);
