-- Decodes as many damaged copies of the setting golden.data as golden.copies says, the same
-- ones each time, and shows what is neither lines nor one of the errors that say that the bytes
-- are at fault.
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

-- How the copy is met: 'ok' or the error's state.
CREATE FUNCTION pg_temp.try(data bytea) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
	PERFORM count(*) FROM cdc.decode_json(data);
	RETURN 'ok';
-- data_corrupted; feature_not_supported for batches that say they are compressed
EXCEPTION WHEN SQLSTATE 'XX001' OR SQLSTATE '0A000' THEN
	RETURN SQLSTATE;
WHEN OTHERS THEN
	INSERT INTO outcome VALUES (SQLSTATE, SQLERRM);
	RETURN SQLSTATE;
END $$;

SELECT setseed(0.5) \gset ignored
DO $$
DECLARE
	whole bytea := current_setting('golden.data')::bytea;
	copies integer := current_setting('golden.copies');
	refused integer := 0;
	copy bytea;
BEGIN
	FOR i IN 1..copies LOOP
		copy := whole;
		FOR k IN 0..i % 3 LOOP
			CONTINUE WHEN length(copy) = 0;
			copy := pg_temp.damage(copy);
		END LOOP;
		IF pg_temp.try(copy) = 'XX001' THEN
			refused := refused + 1;
		END IF;
	END LOOP;
	IF refused < copies * 0.3 THEN
		INSERT INTO outcome VALUES ('few', 'were refused: ' || refused);
	END IF;
END $$;

SELECT state, count(*), min(message) FROM outcome GROUP BY state;
