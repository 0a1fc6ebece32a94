-- The value of older rows is not a constant.
ALTER TABLE ledger.accounts ADD opened uuid NOT NULL DEFAULT gen_random_uuid();
