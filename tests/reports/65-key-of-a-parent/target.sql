CREATE TABLE place (id serial PRIMARY KEY, n text); CREATE TABLE restaurant (place_ptr_id integer PRIMARY KEY REFERENCES place(id), stars integer);
