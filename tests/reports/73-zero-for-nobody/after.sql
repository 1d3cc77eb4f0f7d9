insert into task(owner) values(1)
