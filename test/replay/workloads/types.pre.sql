-- Types that the target must know too.
SELECT count(*) > 0 AS contrib FROM pg_available_extensions WHERE name = 'citext' \gset
\if :contrib
CREATE EXTENSION citext;
\else
CREATE DOMAIN citext AS text;
\endif
CREATE SCHEMA app;
CREATE TYPE app.mood AS ENUM ('sad', 'so "so"', 'glücklich');
CREATE TYPE app."Pair" AS (a int, "B b" text);
CREATE DOMAIN app.positive AS int CHECK (VALUE > 0);
CREATE DOMAIN app.mail AS citext;
CREATE DOMAIN app.moods AS app.mood[];
CREATE TYPE app.floatrange AS RANGE (subtype = float8);
