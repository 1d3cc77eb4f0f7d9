CREATE TABLE znote (z_pk serial PRIMARY KEY, zdate timestamptz);
