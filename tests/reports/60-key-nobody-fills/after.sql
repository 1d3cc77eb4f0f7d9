insert into note(t) values ('b');
