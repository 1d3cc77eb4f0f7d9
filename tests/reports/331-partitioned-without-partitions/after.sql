insert into e values (1, 1)
