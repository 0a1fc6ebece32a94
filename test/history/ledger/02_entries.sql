CREATE TABLE ledger.entries (id bigint, at date NOT NULL, account text NOT NULL, side ledger.side, amount numeric(12,2), PRIMARY KEY (id, at)) PARTITION BY RANGE (at);
CREATE TABLE ledger.entries_2025 PARTITION OF ledger.entries FOR VALUES FROM ('2025-01-01') TO ('2026-01-01');
CREATE TABLE ledger.entries_2026 PARTITION OF ledger.entries FOR VALUES FROM ('2026-01-01') TO ('2027-01-01');
SELECT cdc.register('ledger.entries_2025', 'forward', 'file') \g /dev/null
SELECT cdc.register('ledger.entries_2026', 'forward', 'file') \g /dev/null
INSERT INTO ledger.entries SELECT n, '2025-11-01'::date + n, 'A' || n % 30 + 1, (ARRAY['debit', 'credit'])[n % 2 + 1]::ledger.side, n / 8.0 FROM generate_series(1, 120) n;
