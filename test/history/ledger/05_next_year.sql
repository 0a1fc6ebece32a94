CREATE TABLE ledger.entries_2027 (LIKE ledger.entries INCLUDING ALL);
ALTER TABLE ledger.entries ATTACH PARTITION ledger.entries_2027 FOR VALUES FROM ('2027-01-01') TO ('2028-01-01');
SELECT cdc.register('ledger.entries_2027', 'forward', 'file') \g /dev/null
INSERT INTO ledger.entries VALUES (200, '2027-02-03', 'A1', 'debit', 1, 'ahead');
