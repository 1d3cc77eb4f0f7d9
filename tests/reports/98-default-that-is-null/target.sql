CREATE TABLE t(id serial PRIMARY KEY, v text, who text NOT NULL DEFAULT nullif(current_setting('app.who', true),''));
