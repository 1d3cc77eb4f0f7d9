CREATE TABLE post (id serial PRIMARY KEY, tags text[], ids int[], words text[], flags boolean[]);
