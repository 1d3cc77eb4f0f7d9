CREATE TABLE t (id serial PRIMARY KEY, n int CHECK (n > 0), m int CHECK (m > 0 AND m < 100), o int CHECK (o >= 1) CHECK (o <= 99));
