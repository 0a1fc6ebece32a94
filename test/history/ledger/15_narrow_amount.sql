ALTER TABLE ledger.entries ALTER amount TYPE numeric(10,2);
