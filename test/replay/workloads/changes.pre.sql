CREATE SCHEMA kinds;
CREATE SCHEMA kinds2;
CREATE TYPE kinds.mood AS ENUM ('low', 'mid', 'high');
CREATE TYPE kinds.pair AS (a int, b text);
CREATE TYPE kinds.row AS (id int, b text);
CREATE DOMAIN kinds.positive AS int CHECK (VALUE > 0);
