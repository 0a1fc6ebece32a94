-- Of all tables: other plugins decode nothing of them, and SQL writes them in a restore alone
DO $$
DECLARE
  t regclass;
BEGIN
  FOR t IN SELECT c.oid FROM pg_catalog.pg_class c
           WHERE c.relnamespace OPERATOR(pg_catalog.=) 'cdc'::pg_catalog.regnamespace AND c.relkind OPERATOR(pg_catalog.=) 'r' LOOP
    EXECUTE pg_catalog.format('ALTER TABLE %s REPLICA IDENTITY NOTHING', t);
    EXECUTE pg_catalog.format('CREATE TRIGGER table_written AFTER INSERT ON %s FOR EACH STATEMENT EXECUTE FUNCTION cdc.table_written()', t);
    EXECUTE pg_catalog.format('CREATE TRIGGER refuse_sql BEFORE UPDATE OR DELETE OR TRUNCATE ON %s FOR EACH STATEMENT EXECUTE FUNCTION cdc.table_written()', t);
    EXECUTE pg_catalog.format('ALTER TABLE %s ENABLE ALWAYS TRIGGER table_written, ENABLE ALWAYS TRIGGER refuse_sql', t);
  END LOOP;
END $$;

-- Since when rules and grants are known
SELECT cdc.put_row(ROW(true, pg_catalog.pg_current_wal_insert_lsn())::cdc.installation);
SELECT cdc.positions_at_commit();
