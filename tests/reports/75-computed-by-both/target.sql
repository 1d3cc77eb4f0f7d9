CREATE TABLE account (id serial PRIMARY KEY, balance float8, rounded float8 GENERATED ALWAYS AS (round(balance)) STORED);
