ALTER TYPE ledger.side ADD VALUE 'correction';
