CREATE COLLATION ci (provider=icu, locale='und-u-ks-level2', deterministic=false); CREATE DOMAIN em AS text COLLATE ci; CREATE TABLE u (id serial PRIMARY KEY, email em UNIQUE);
