ALTER TABLE ledger.accounts REPLICA IDENTITY DEFAULT;
UPDATE ledger.accounts SET holder = 'again' WHERE number = 'A4';
