CREATE TABLE t (id serial PRIMARY KEY, a text, b text, n int, mail text, nick text, k varchar(9));
CREATE UNIQUE INDEX t_joined ON t((a || '-' || b));
CREATE UNIQUE INDEX t_between ON t(a) WHERE n BETWEEN 1 AND 9 AND b IS NOT NULL;
CREATE UNIQUE INDEX t_case ON t((CASE WHEN n = 1 THEN a END));
CREATE UNIQUE INDEX t_mail ON t(lower(mail)) WHERE n > 0;
CREATE UNIQUE INDEX t_nick ON t(lower(nick)) WHERE n > 0;
CREATE UNIQUE INDEX t_words ON t(b) WHERE k = 'on' AND k NOT ILIKE 'x%';
