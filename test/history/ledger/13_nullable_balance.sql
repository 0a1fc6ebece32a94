ALTER TABLE ledger.accounts ALTER balance DROP NOT NULL;
UPDATE ledger.accounts SET balance = NULL WHERE number = 'A3';
