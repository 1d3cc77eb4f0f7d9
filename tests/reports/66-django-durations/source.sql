CREATE TABLE django_migrations (id INTEGER PRIMARY KEY, app TEXT, name TEXT, applied TEXT);
CREATE TABLE track (id INTEGER PRIMARY KEY, length bigint NOT NULL); INSERT INTO track VALUES (1, 1500000), (2, 86400000000), (3, -1);
