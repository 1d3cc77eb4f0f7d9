CREATE TABLE django_migrations (id serial PRIMARY KEY, app text, name text, applied timestamptz);
CREATE TABLE track (id serial PRIMARY KEY, length interval NOT NULL);
