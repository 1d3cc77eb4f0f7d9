CREATE TABLE t (id serial PRIMARY KEY, at timestamp(3), seen timestamp(3), ended timestamp(3), due timestamp(3));
