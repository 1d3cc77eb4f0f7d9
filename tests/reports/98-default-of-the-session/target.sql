CREATE TABLE t(id serial PRIMARY KEY, v text, tenant int NOT NULL DEFAULT current_setting('app.tenant')::int);
