-- XML, in a file of its own: builds without libxml have the type, and no values of it.
SELECT slot_name FROM cdc.create_slot('cdc_regress_xml');
CREATE TABLE documents (id int PRIMARY KEY, x xml, xs xml[]);
INSERT INTO documents VALUES (1, NULL, '{}'), (2, NULL, NULL);
INSERT INTO documents VALUES
  (3, '', '{"<a/>",NULL}'),
  (4, '<a b="c"/>', '{"<a b=\"c\"/>"}'),
  (5, '<?xml version="1.0" encoding="LATIN1"?><a/>', NULL);
SELECT changes('cdc_regress_xml');
SELECT cdc.drop_slot('cdc_regress_xml');
DROP TABLE documents;
