SELECT id FROM p WHERE outer_f(n) = 'a'; INSERT INTO p (n) VALUES ('C') RETURNING id
