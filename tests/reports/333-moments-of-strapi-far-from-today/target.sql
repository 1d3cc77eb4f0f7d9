CREATE TABLE strapi_migrations (id serial PRIMARY KEY, name varchar(255), time timestamp);
CREATE TABLE a (id serial PRIMARY KEY, at timestamptz);
