INSERT INTO post (at) VALUES (now()) RETURNING id
