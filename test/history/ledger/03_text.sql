ALTER TABLE ledger.entries ADD text text;
UPDATE ledger.entries SET text = 'entry ' || id WHERE id % 3 = 0;
