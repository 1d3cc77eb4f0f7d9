CREATE TABLE t (id serial PRIMARY KEY, a text, b text, n int, s text, r float8, c text CONSTRAINT c_like CHECK (c LIKE 'x%'), d text CONSTRAINT d_in CHECK (d IN ('on', 'off')), e int CONSTRAINT e_above CHECK (e > 0), f text CONSTRAINT f_like CHECK (f LIKE '1_'));
CREATE UNIQUE INDEX t_like ON t(a) WHERE a LIKE 'x%';
CREATE UNIQUE INDEX t_case ON t(n) WHERE b = 'open';
CREATE UNIQUE INDEX t_type ON t(n, id) WHERE s = '1';
CREATE UNIQUE INDEX t_order ON t(id, a) WHERE a > 'M';
CREATE INDEX t_half ON t(n) WHERE r / 2 > 1;
