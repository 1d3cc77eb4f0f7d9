insert into doc(title) values ('X y') returning search
