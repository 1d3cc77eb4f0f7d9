CREATE TABLE device (id uuid PRIMARY KEY); CREATE TABLE cipher (id serial PRIMARY KEY, device uuid REFERENCES device(id));
