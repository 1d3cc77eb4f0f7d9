CREATE TABLE account (id INTEGER PRIMARY KEY, balance REAL, rounded REAL GENERATED ALWAYS AS (round(balance)) STORED);
INSERT INTO account (id, balance) VALUES (1,3.0),(2,2.5);
