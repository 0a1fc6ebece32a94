-- Identifiers that are no words.
CREATE SCHEMA "s p a c e";
CREATE TABLE "s p a c e"."T.""q""" ("Id" integer PRIMARY KEY, "new" text, "ä ö" text, "a""b" text,
	"position" text, "xid" integer, "back\slash" text, "x_y" integer, "xY" integer);
INSERT INTO "s p a c e"."T.""q""" VALUES (1, 'n', 'umlaut', 'quote', 'p', 7, 'b', 1, 2);
UPDATE "s p a c e"."T.""q""" SET "ä ö" = NULL, "xid" = 8;
CREATE TABLE "a_name_of_sixty_three_bytes_which_is_the_most_that_there_can_be" (
	"a_column_of_sixty_three_bytes_which_is_the_most_that_there_can__" integer PRIMARY KEY);
INSERT INTO "a_name_of_sixty_three_bytes_which_is_the_most_that_there_can_be" VALUES (1);
CREATE DOMAIN "s p a c e"."d.d" AS "s p a c e"."T.""q""";
CREATE TABLE "typed" (id integer PRIMARY KEY, v "s p a c e"."d.d", n numeric(5,1), c "char", i interval hour to minute,
	a varchar(3)[], b bit varying(7), t timestamp(3) with time zone);
INSERT INTO "typed" (id, n, t) VALUES (1, 1.25, '2026-01-01 00:00:00.12345+00');
