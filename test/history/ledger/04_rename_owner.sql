-- Level wire: names may change.
ALTER TABLE ledger.accounts RENAME owner TO holder;
UPDATE ledger.accounts SET holder = upper(holder) WHERE number < 'A15';
