CREATE TABLE sales (id INTEGER PRIMARY KEY, region TEXT, amount INTEGER); INSERT INTO sales VALUES (1,'n',10),(2,'s',20),(3,'n',5);
