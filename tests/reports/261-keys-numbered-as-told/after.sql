INSERT INTO pool (name) VALUES ('d') RETURNING id; INSERT INTO taken (name) VALUES ('d') RETURNING id
