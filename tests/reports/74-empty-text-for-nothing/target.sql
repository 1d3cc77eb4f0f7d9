CREATE TABLE contact (id serial PRIMARY KEY, age integer, born date, seen timestamp);
