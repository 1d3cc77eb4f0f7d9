CREATE COLLATION any_case (provider = icu, locale = 'und-u-ks-level2', deterministic = false);
CREATE TABLE t (id serial PRIMARY KEY, n int CONSTRAINT above CHECK (n > 0) CONSTRAINT below CHECK (n < 100), mail text, k text);
CREATE UNIQUE INDEX by_bytes ON t (mail); CREATE UNIQUE INDEX by_letters ON t (mail COLLATE any_case);
CREATE INDEX k_plain ON t (k); CREATE INDEX k_like ON t (k text_pattern_ops);
