SELECT cdc.unredact(id) FROM cdc.redaction_rules \g /dev/null
SELECT cdc.retire_version('ledger.accounts', 1, reason => 'nobody reads it') \g /dev/null
