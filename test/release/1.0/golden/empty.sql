-- Little: no columns, no rows, nothing but zero and empty values.
CREATE TABLE no_columns ();
INSERT INTO no_columns DEFAULT VALUES;
ALTER TABLE no_columns REPLICA IDENTITY FULL;
INSERT INTO no_columns DEFAULT VALUES;
DELETE FROM no_columns;
TRUNCATE no_columns;

CREATE TABLE dropped (a integer);
ALTER TABLE dropped DROP COLUMN a;
INSERT INTO dropped DEFAULT VALUES;

BEGIN;
COMMIT;
BEGIN;
CREATE TABLE zeros (id integer PRIMARY KEY, b boolean, n numeric, f float8, t text, y bytea, d date, s timestamp, m time);
COMMIT;
INSERT INTO zeros VALUES (0, false, 0, 0, '', '', '2000-01-01', '2000-01-01', '00:00');
INSERT INTO zeros VALUES (1);
UPDATE zeros SET b = false, n = 0, f = 0, t = '', y = '', d = '2000-01-01', s = '2000-01-01', m = '00:00' WHERE id = 1;
UPDATE zeros SET b = NULL, n = NULL, f = NULL, t = NULL, y = NULL, d = NULL, s = NULL, m = NULL WHERE id = 0;
UPDATE zeros SET t = 'nobody' WHERE id = 99;
DELETE FROM zeros;

CREATE UNLOGGED TABLE unlogged (id integer);
INSERT INTO unlogged VALUES (1);
CREATE TEMPORARY TABLE temporary (id integer);
INSERT INTO temporary VALUES (1);
BEGIN;
INSERT INTO zeros VALUES (2);
ROLLBACK;
