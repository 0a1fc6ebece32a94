ALTER TABLE ledger.accounts ADD currency char(3) NOT NULL DEFAULT 'EUR';
UPDATE ledger.accounts SET currency = 'USD' WHERE number LIKE '%7';
