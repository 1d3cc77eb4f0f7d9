insert into letter(author) values('alice')
