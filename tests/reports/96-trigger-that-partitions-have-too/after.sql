insert into hit(y) values (2023) returning id, note
