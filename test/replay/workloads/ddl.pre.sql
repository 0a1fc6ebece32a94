CREATE TYPE mood AS ENUM ('sad', 'ok');
CREATE DOMAIN small AS int;
