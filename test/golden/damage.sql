-- Decodes damaged copies of the setting golden.data, the same ones each time, and shows what is
-- neither lines nor one of the errors that say that the bytes are at fault.
-- For run.sh.
CREATE TEMPORARY TABLE outcome (state text, message text);

CREATE FUNCTION pg_temp.damage(data bytea) RETURNS bytea LANGUAGE plpgsql AS $$
DECLARE
	len integer := length(data);
	at integer := floor(random() * len);
	many integer := least(1 + floor(random() * 8)::integer, len - at);
	bit bigint := at * 8 + floor(random() * 8)::integer;
BEGIN
	RETURN CASE floor(random() * 5)::integer
		WHEN 0 THEN substr(data, 1, at)
		WHEN 1 THEN set_byte(data, at, floor(random() * 256)::integer)
		WHEN 2 THEN set_bit(data, bit, 1 - get_bit(data, bit))
		WHEN 3 THEN overlay(data PLACING '' FROM at + 1 FOR many)
		ELSE substr(data, 1, at + many) || substr(data, at + 1)
	END;
END $$;

CREATE FUNCTION pg_temp.try(data bytea) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
	PERFORM count(*) FROM cdc.decode_json(data);
	INSERT INTO outcome VALUES ('ok');
EXCEPTION WHEN OTHERS THEN
	INSERT INTO outcome VALUES (SQLSTATE, SQLERRM);
END $$;

SELECT setseed(0.5) \gset ignored
DO $$
DECLARE
	whole bytea := current_setting('golden.data')::bytea;
	copy bytea;
BEGIN
	FOR i IN 1..1000 LOOP
		copy := whole;
		FOR k IN 0..i % 3 LOOP
			CONTINUE WHEN length(copy) = 0;
			copy := pg_temp.damage(copy);
		END LOOP;
		PERFORM pg_temp.try(copy);
	END LOOP;
END $$;

-- data_corrupted; feature_not_supported for batches that say they are compressed
SELECT state, count(*), min(message) FROM outcome WHERE state NOT IN ('ok', 'XX001', '0A000') GROUP BY state;
SELECT 'few were refused: ' || count(*) FROM outcome WHERE state = 'XX001' HAVING count(*) < 300;
