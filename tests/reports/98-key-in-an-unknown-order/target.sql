CREATE TABLE w (n text PRIMARY KEY, v int);
