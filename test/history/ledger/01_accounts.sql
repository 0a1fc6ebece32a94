CREATE TABLE ledger.accounts (number text PRIMARY KEY, owner text, balance numeric NOT NULL DEFAULT 0, secret text);
SELECT cdc.register('ledger.accounts', 'full_transitive', 'wire') \g /dev/null
INSERT INTO ledger.accounts SELECT 'A' || n, 'owner ' || n, n * 10, md5(n::text) FROM generate_series(1, 30) n;
