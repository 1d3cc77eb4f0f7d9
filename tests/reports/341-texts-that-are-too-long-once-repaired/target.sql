CREATE TABLE a(id serial PRIMARY KEY, d varchar(3), e varchar(3));
