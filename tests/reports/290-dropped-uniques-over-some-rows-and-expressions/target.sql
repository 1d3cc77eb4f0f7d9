CREATE TABLE t (id serial PRIMARY KEY, a text NOT NULL, b text, c int, del text);
CREATE UNIQUE INDEX t_live ON t (a) WHERE del IS NULL; CREATE UNIQUE INDEX t_low ON t (lower(a), c);
CREATE UNIQUE INDEX t_coal ON t (b, coalesce(del, '')); CREATE INDEX t_len ON t (length(a)); CREATE UNIQUE INDEX t_all ON t (id, a);
