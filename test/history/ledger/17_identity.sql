ALTER TABLE ledger.accounts REPLICA IDENTITY FULL;
UPDATE ledger.accounts SET holder = NULL WHERE number IN ('A4', 'A5');
