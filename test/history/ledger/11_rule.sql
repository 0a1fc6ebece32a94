-- Nothing is changed while it is in force, so that it is the same to all who read the stream.
SELECT cdc.redact('ledger.accounts', 'secret', 'hash', reason => 'nobody needs it') \g /dev/null
