CREATE TABLE sales (id serial PRIMARY KEY, region text, amount integer); CREATE TABLE counter (n bigint);
CREATE MATERIALIZED VIEW z_by_region AS SELECT region, sum(amount) AS total FROM sales GROUP BY region;
CREATE MATERIALIZED VIEW a_top AS SELECT max(total) AS top FROM z_by_region WITH NO DATA;
