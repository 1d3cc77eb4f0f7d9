insert into cipher(device) values(null)
