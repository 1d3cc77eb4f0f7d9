CREATE TABLE kv (id INTEGER PRIMARY KEY, k TEXT, "V" INT, del TEXT, st TEXT);
CREATE UNIQUE INDEX kv_l ON kv(LOWER(k)); create unique index kv_d on kv([k]) where ((`del` is null)); CREATE UNIQUE INDEX kv_plain ON kv(k, v);
CREATE UNIQUE INDEX kv_two ON kv(k, coalesce(del, '')) WHERE "V" != 3 AND (st IN ('a', 'b') OR del IS NULL) AND NOT v == 4 AND st <> 'it''s';
CREATE INDEX kv_some ON kv(v) WHERE del IS NOT NULL; CREATE INDEX kv_sum ON kv(v + 1);
INSERT INTO kv VALUES (1,'a',1,NULL,'a');
